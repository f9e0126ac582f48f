"""What a run has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ...models import StopReason
from ...reprs import Outcome
from ..locks.process import Process
from .failing import Failing

#: What the JSON output has of a result, besides ``stored``.
DOCUMENTED = (
    "stop_reason", "failures", "final", "again", "failed_again", "batches", "seconds", "error",
    "first_failure", "holder", "gone",
)  # fmt: skip


@dataclass
class Result:
    """What a run did, in one turn or in several."""

    stop_reason: StopReason = StopReason.CAUGHT_UP
    rows: int = 0  # representations stored
    failures: int = 0  # events that failed, for the first time
    final: int = 0  # events found to be final: str() raised as of them, too
    again: int = 0  # events of this run that had failed or been represented before
    batches: int = 0
    fresh: int = 0  # those of them that were of new events, without a round
    seconds: float = 0.0
    error: str = ""
    first_failure: str = ""  # the first failed event, and its error
    holder: Process | None = None  # of the lock, if it was held
    failing: Failing = field(default_factory=Failing)
    lost_workers: list[str] = field(default_factory=list)  # that ended early, and why
    retried_to: int | None = None  # the ID of the last event that --retry-failed retried
    gone: int = 0  # events that another log no longer has, and for which something was stored
    in_round: bool = False  # whether it worked in a round, or waited there for others

    @property
    def idle(self) -> bool:
        """Return whether there was nothing to do."""
        return not self.batches

    @property
    def failed_again(self) -> int:
        """Return the number of events that had failed before, were retried, and failed again."""
        return sum(self.failing.still.values())

    @property
    def limited(self) -> bool:
        """Return whether the run ended before its work."""
        return self.stop_reason is not StopReason.CAUGHT_UP

    def add(self, later: Result) -> None:
        """Add the result of a later turn."""
        for name in ("rows", "failures", "final", "again", "batches", "fresh", "seconds", "gone"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        for name in ("stop_reason", "error", "holder", "retried_to", "in_round"):
            setattr(self, name, getattr(later, name))
        self.first_failure = self.first_failure or later.first_failure
        self.lost_workers += later.lost_workers
        self.failing.add(later.failing)

    def include(self, worker: Result) -> None:
        """Add what another worker did at the same time."""
        for name in ("rows", "failures", "final", "again", "batches", "gone"):
            setattr(self, name, getattr(self, name) + getattr(worker, name))
        self.first_failure = self.first_failure or worker.first_failure
        self.lost_workers += worker.lost_workers
        self.failing.add(worker.failing)

    def document(self) -> dict[str, Any]:
        """Return the result as in the JSON output."""
        values = {**asdict(self), "failed_again": self.failed_again}
        return {"stored": values["rows"], **{name: values[name] for name in DOCUMENTED}}


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
    failed: Sequence[Outcome] = ()  # for the first time
    again: int = 0
    still: Sequence[Outcome] = ()  # as they did before
    final: Sequence[Outcome] = ()  # for the first time, or as before

    @property
    def failures(self) -> int:
        return len(self.failed)
