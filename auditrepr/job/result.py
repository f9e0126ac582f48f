"""What a run has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..models import StopReason
from ..reprs import Outcome
from .locks.process import Process


@dataclass
class Result:
    """What a run did."""

    stop_reason: StopReason = StopReason.CAUGHT_UP
    rows: int = 0  # representations stored
    failures: int = 0  # events that failed, for the first time
    again: int = 0  # events of this run that had failed or been represented before
    batches: int = 0
    seconds: float = 0.0
    error: str = ""
    first_failure: str = ""  # the first failed event, and its error
    holder: Process | None = None  # of the lock, if it was held

    @property
    def idle(self) -> bool:
        """Return whether there was nothing to do."""
        return not self.batches


@dataclass(frozen=True)
class Progress:
    """The progress of a run, in event IDs or in events."""

    done: int
    total: int
    rows: int
    failures: int


class Stored(NamedTuple):
    """What a batch adds to the result."""

    rows: int
    failed: Sequence[Outcome] = ()
    again: int = 0

    @property
    def failures(self) -> int:
        return len(self.failed)
