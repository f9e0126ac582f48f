"""What bounds a run, and each of its batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ...conf import AUTO
from ...models import StopReason

if TYPE_CHECKING:
    from ...conf import Asked


#: Seconds of CPU that a batch is to take: what it costs besides its rows hardly counts then,
#: however many other processes work on the machine.
SECONDS = 0.5
#: Seconds by the clock after which a batch is stored as far as it is built, and limits are checked.
#: To store it takes less than one more.
EARLY = 4.0
#: The first batch, and how small and large the others become. What a batch needs is in memory.
FIRST, LEAST, MOST = 1000, 50, 4000


class Spent(NamedTuple):
    """What a batch has taken, or what the clocks show."""

    seconds: float
    cpu_seconds: float


class Clocks(NamedTuple):
    """What a run measures its batches with."""

    wall: Callable[[], float] = time.monotonic
    cpu: Callable[[], float] = time.thread_time  # of the thread that does the work

    def read(self) -> Spent:
        return Spent(self.wall(), self.cpu())

    def since(self, before: Spent) -> Spent:
        """Return what has been spent since the clocks were read."""
        now = self.read()
        return Spent(now.seconds - before.seconds, now.cpu_seconds - before.cpu_seconds)


class BatchSize:
    """The size of the next batch: fixed, or adapted to what earlier batches have taken."""

    def __init__(self, asked: Asked) -> None:
        self.auto = asked == AUTO
        self.rows = self.asked = FIRST if asked == AUTO else asked

    @property
    def most_next(self) -> int:
        """Return how large the next batch may be, whatever :meth:`learn` makes of this one."""
        return max(LEAST, min(2 * self.rows, MOST)) if self.auto else min(2 * self.rows, self.asked)

    def halve(self, rows: int) -> None:
        """Halve the size of a batch that ended its run; :meth:`learn` restores it."""
        self.rows = max(1, min(self.rows, rows // 2))

    def learn(self, rows: int, spent: Spent, *, cut: bool = False) -> None:
        """Adapt the size to what a full batch has taken; ignore batches that were not full.

        :param cut: the batch was stopped early because it took too long: it counts as full.
        """
        if not self.auto:
            self.rows = min(2 * self.rows, self.asked)
        elif rows >= self.rows or cut:
            share = min(SECONDS / max(spent.cpu_seconds, 0.001), EARLY / max(spent.seconds, 0.001))
            self.rows = max(LEAST, min(int(rows * share), 2 * self.rows, MOST))


@dataclass
class Limits:
    """When a run ends although there is more to do.

    :param stop: called before each batch; true ends the run.
    :param stop_reason: called then; returns why.
    """

    max_batches: int | None = None
    max_seconds: float | None = None
    stop: Callable[[], bool] = lambda: False
    stop_reason: Callable[[], StopReason] = lambda: StopReason.SIGNAL
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def seconds_left(self) -> float | None:
        return None if self.max_seconds is None else self.max_seconds - self.seconds

    def reached(self, batches: int) -> StopReason | None:
        """Return the reason to start no further batch, if there is one."""
        if self.stop():
            return self.stop_reason()
        if self.max_batches is not None and batches >= self.max_batches:
            return StopReason.BATCH_LIMIT
        if self.max_seconds is not None and self.seconds >= self.max_seconds:
            return StopReason.TIME_BUDGET
        return None
