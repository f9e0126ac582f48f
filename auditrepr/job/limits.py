"""What bounds a run, and each of its batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..conf import AUTO
from ..models import StopReason

if TYPE_CHECKING:
    from ..conf import Asked


SECONDS = 0.5
#: The first batch, and how small and large the others become. What a batch needs is in memory.
FIRST, LEAST, MOST = 1000, 50, 4000


class BatchSize:
    """The size of the next batch: what was asked for, or what the last ones suggest."""

    def __init__(self, asked: Asked) -> None:
        self.auto = asked == AUTO
        self.rows = self.asked = FIRST if asked == AUTO else asked

    def halve(self, rows: int) -> None:
        """A batch of so many rows ended the run that built it; this size is found again later."""
        self.rows = max(1, min(self.rows, rows // 2))

    def learn(self, rows: int, seconds: float, *, cut: bool = False) -> None:
        """A batch of so many rows took so long; a short one says nothing of full ones.

        :param cut: unless it was cut short because it took too long.
        """
        if not self.auto:
            self.rows = min(2 * self.rows, self.asked)
        elif rows >= self.rows or cut:
            fitting = int(rows * SECONDS / max(seconds, 0.001))
            self.rows = max(LEAST, min(fitting, 2 * self.rows, MOST))


@dataclass
class Limits:
    """When a run ends although there is more to do.

    :param stop: asked before each batch; true ends the run.
    """

    max_batches: int | None = None
    max_seconds: float | None = None
    stop: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def seconds_left(self) -> float | None:
        return None if self.max_seconds is None else self.max_seconds - self.seconds

    def reached(self, batches: int) -> StopReason | None:
        """The reason not to begin another batch."""
        if self.stop():
            return StopReason.SIGNAL
        if self.max_batches is not None and batches >= self.max_batches:
            return StopReason.BATCH_LIMIT
        if self.max_seconds is not None and self.seconds >= self.max_seconds:
            return StopReason.TIME_BUDGET
        return None
