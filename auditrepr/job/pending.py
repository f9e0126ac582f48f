"""Finds pending events, at a cost that does not depend on the size of the log.

``Checkpoint`` holds the watermark: the event ID up to which no event is pending and none can still
be committed. Visible events above it are handed out at once, window by window; the watermark itself
follows only when it is proven that no open transaction holds an ID below it (docs/design.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Value
from django.db.models.functions import Greatest
from django.utils import timezone

from ..exceptions import RowsHidden
from ..models import AuditLog, Checkpoint
from ..utils.phrases import counted
from ..vendors import get_vendor
from ..vendors.types import BEGINNING, Event, Writers
from .windows import start_of, windows

logger = logging.getLogger("auditrepr.pending")
#: IDs below the watermark that a run re-checks.
SLICE = 20_000

#: The fields with the job's progress; the same row stores the reported findings, too.
POSITIONS = ("settled_id", "candidate_id", "swept_id")
MARK = (*POSITIONS, "candidate_evidence", "candidate_at")


class PendingBatch(NamedTuple):
    """Pending events in the order of their IDs; empty if a turn found none."""

    events: list[Event]
    reaches: int  # all pending events up to this ID are in this batch or an earlier one


@dataclass(frozen=True)
class Count:
    """The number of pending events, counted up to a limit."""

    rows: int
    complete: bool

    def __str__(self) -> str:
        return f"{self.rows:,}" if self.complete else f"at least {self.rows:,}"


class Backlog:
    """The pending events of one database, for one run.

    Take a batch, store all of it, call :meth:`settle` in the same transaction, take the next one.

    :param rescan: start at the beginning of the log. If the run is interrupted, the next one
        continues the rescan without being asked.
    """

    def __init__(self, using: str, *, rescan: bool = False) -> None:
        self.using = using
        self.vendor = get_vendor(using)
        self.checkpoint = Checkpoint.objects.using(using).get_or_create(pk=1)[0]
        self._stored = _state(self.checkpoint)
        self.top: int  # the end of the visible log
        self.provable = self._prove(rescan)
        # Skip what was pruned, so that progress starts at the first event.
        settled = self.checkpoint.settled_id
        self.start = start_of(using, self.top) if settled == BEGINNING else settled

    def batches(self, next_size: Callable[[], int]) -> Iterator[PendingBatch]:
        """Yield pending events above the watermark, until a batch is short."""
        done = self.start
        while done < self.top:
            size = next_size()
            # New events have adjacent IDs. Without statistics for them, a planner may read all of a
            # window to sort it.
            batch = take(self.using, done, self.top, size, width=2 * size)
            yield batch
            done = batch.reaches
            if done >= self.top and len(batch.events) < size:
                return
            self.top = max(self.top, self.vendor.reach().visible)

    def sweep(self, size: int) -> Iterator[PendingBatch]:
        """Yield pending events from one slice below the watermark; normally there are none."""
        settled = self.checkpoint.settled_id
        done = start_of(self.using, settled, self.checkpoint.swept_id)
        end = min(done + SLICE, settled)
        while done < end:
            batch = take(self.using, done, end, size)
            if batch.events:
                logger.warning(
                    "Found %s from ID %d on below the watermark %d: restored, inserted with an"
                    " explicit ID, or the representation was deleted",
                    counted(len(batch.events), "pending event"),
                    batch.events[0].id,
                    settled,
                    extra={
                        "database": self.using,
                        "rows": len(batch.events),
                        "first_id": batch.events[0].id,
                        "settled_id": settled,
                    },
                )
            yield batch
            done = self.checkpoint.swept_id = batch.reaches
        self.checkpoint.swept_id = BEGINNING if end >= settled else end

    def settle(self, reached: int | None = None) -> None:
        """Record up to where everything is stored, if that has changed."""
        if reached is not None:
            proven = min(reached, self.provable)
            self.checkpoint.settled_id = max(self.checkpoint.settled_id, proven)
        state, stored = _state(self.checkpoint), self._stored
        if any(state[name] != stored[name] for name in POSITIONS):
            changed = {name: value for name, value in state.items() if value != stored[name]}
            if state["settled_id"] > stored["settled_id"]:
                # Another run's watermark may be further by now, and must not go back.
                changed["settled_id"] = Greatest("settled_id", Value(state["settled_id"]))
            Checkpoint.objects.using(self.using).filter(pk=1).update(**changed)
            self._stored = state

    def _prove(self, rescan: bool) -> int:
        """Return the highest event ID to which this run may move the watermark.

        Reads the end of the log first and the open transactions second, in separate statements;
        every scan for events comes later. Inside the caller's transaction both may see the same
        snapshot, so the watermark does not move.

        :raises RowsHidden: if row-level security hides events: they would be skipped.
        """
        mark = self.checkpoint
        reach = self.vendor.reach()
        if not reach.whole:
            raise RowsHidden(alias=self.using)
        writers = self.vendor.writers()
        self.top = reach.visible
        if rescan or self.top < mark.settled_id:
            mark.settled_id = mark.swept_id = BEGINNING
        if self.vendor.connection.in_atomic_block:
            return mark.settled_id
        proven = mark.settled_id
        if not writers.names:
            proven = reach.handed_out
            _note(mark, None, None)
        elif mark.candidate_id is None or mark.candidate_id > reach.handed_out:
            _note(mark, reach.handed_out, writers)
        elif not writers.include_any_of(_noted(mark)):
            proven = mark.candidate_id
            _note(mark, reach.handed_out, writers)
        return proven


def preview(using: str, limit: int, mark: Checkpoint | None = None) -> tuple[list[Event], Count]:
    """Return the first events that a run would take, and how many are pending, without writing.

    :param mark: the watermark, if it has been read.
    """
    mark = mark or Checkpoint.of(using, "settled_id") or Checkpoint()
    top = get_vendor(using).reach().visible
    start = mark.settled_id if mark.settled_id <= top else BEGINNING
    start = start_of(using, top, start)
    events = take(using, start, top, limit).events if limit else []
    log = AuditLog.objects.using(using)
    rows = 0
    for after, end in windows(using, start, top):
        rows += log.pending(after=after, upto=end).count()
    return events, Count(rows, complete=end == top)


def take(using: str, after: int, upto: int, size: int, width: int | None = None) -> PendingBatch:
    """Return the next pending events in ``(after, upto]``, from a bounded number of windows."""
    events: list[Event] = []
    log = AuditLog.objects.using(using)
    for begin, end in windows(using, after, upto, width):
        rows = log.pending(after=begin, upto=end).order_by("id").values_list(*Event._fields)
        events += [Event(*row) for row in rows[: size - len(events)]]
        if len(events) == size:
            return PendingBatch(events, events[-1].id)
    return PendingBatch(events, end)


def _state(mark: Checkpoint) -> dict[str, Any]:
    return {name: getattr(mark, name) for name in MARK}


def _note(mark: Checkpoint, candidate: int | None, writers: Writers | None) -> None:
    mark.candidate_id = candidate
    mark.candidate_evidence = writers and {
        "server": writers.server,
        "transactions": sorted(writers.names),
    }
    mark.candidate_at = timezone.now() if writers else None


def _noted(mark: Checkpoint) -> Writers:
    evidence: Any = mark.candidate_evidence
    return Writers(frozenset(evidence["transactions"]), evidence["server"])
