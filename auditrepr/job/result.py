"""What a run has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ..models import StopReason
from ..reprs import Outcome
from .failing import Failing
from .locks.process import Process
from .run import _DOCUMENT


@dataclass
class Result:
    """What a run did, in one turn or in several."""

    stop_reason: StopReason = StopReason.CAUGHT_UP
    rows: int = 0  # representations stored
    failures: int = 0  # rows that could not be represented, for the first time
    again: int = 0  # rows among those of this run that had been tried or represented before
    batches: int = 0
    seconds: float = 0.0
    error: str = ""
    first_failure: str = ""  # of the rows that could not be represented: which, and why
    holder: Process | None = None  # of the lock, where it was held
    failing: Failing = field(default_factory=Failing)
    retried_to: int = 0  # of the failures that were all to be tried again, the last that was

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not self.batches

    @property
    def limited(self) -> bool:
        """Whether something else than the end of the work ended it."""
        return self.stop_reason is not StopReason.CAUGHT_UP

    def add(self, later: Result) -> None:
        """Count what a later turn did."""
        for name in ("rows", "failures", "again", "batches", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        for name in ("stop_reason", "error", "holder", "retried_to"):
            setattr(self, name, getattr(later, name))
        self.first_failure = self.first_failure or later.first_failure
        self.failing.add(later.failing)

    def document(self) -> dict[str, Any]:
        """Return what JSON says of it."""
        return {name: asdict(self)[name] for name in _DOCUMENT}


@dataclass(frozen=True)
class Progress:
    """How far a run has come, in ids of the log or in rows."""

    done: int
    total: int
    rows: int
    failures: int


class Stored(NamedTuple):
    """What a batch added to the result."""

    rows: int
    failed: Sequence[Outcome] = ()  # for the first time
    again: int = 0
    still: Sequence[Outcome] = ()  # as they did before

    @property
    def failures(self) -> int:
        return len(self.failed)
