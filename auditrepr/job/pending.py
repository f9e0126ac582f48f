"""Which audit rows still need a representation, at a cost that the size of the log does not set.

``Checkpoint`` holds the settled mark: the id at or below which nothing is pending and nothing can
appear any more. What is visible above it is handed out at once, window by window; the mark itself
follows only where it is proven that no transaction still holds an id below it (docs/design.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.utils import timezone

from ..exceptions import RowsHidden
from ..models import AuditLog, Checkpoint
from ..vendors import get_vendor
from ..vendors.types import Event, Writers
from .windows import next_id, windows

logger = logging.getLogger("auditrepr.pending")
#: Rows below the settled mark that a run re-checks.
SLICE = 20_000

#: What is written down of how far the job is; what it has told stands in the same row.
MARK = ("settled_id", "candidate_id", "candidate_evidence", "candidate_at", "swept_id")


class Batch(NamedTuple):
    """Pending rows in the order of their ids; none, where a turn found none."""

    events: list[Event]
    reaches: int  # whatever is pending up to this id is in this batch or in one before


@dataclass(frozen=True)
class Count:
    """How many rows are pending, counted up to a limit."""

    rows: int
    complete: bool

    def __str__(self) -> str:
        return f"{self.rows}" if self.complete else f"at least {self.rows}"


class Backlog:
    """What is pending in one database, for one run.

    Take a batch, store all of it, call :meth:`settle` in the same transaction, take the next one.

    :param rescan: start at the beginning of the log. A run that is cut short is resumed by any
        later one, which need not ask for it again.
    """

    def __init__(self, using: str, *, rescan: bool = False) -> None:
        self.using = using
        self.vendor = get_vendor(using)
        self.checkpoint = Checkpoint.objects.using(using).get_or_create(pk=1)[0]
        self._stored = _state(self.checkpoint)
        self.top: int  # how far the log goes, as far as it can be seen
        self._provable = self._prove(rescan)
        # Over what was pruned, or handed out long ago, so that progress is told from the first row.
        self.start = self.checkpoint.settled_id or (next_id(using, 0, self.top) or 1) - 1

    def batches(self, next_size: Callable[[], int]) -> Iterator[Batch]:
        """What is pending above the settled mark, until a short batch."""
        done = self.start
        while done < self.top:
            size = next_size()
            # What is new lies close together: without its rows' statistics, a planner may well
            # read all of a window to sort it.
            batch = take(self.using, done, self.top, size, width=2 * size)
            yield batch
            done = batch.reaches
            if done >= self.top and len(batch.events) < size:
                return
            self.top = max(self.top, self.vendor.reach().visible)

    def sweep(self, size: int) -> Iterator[Batch]:
        """What ought not to be there: pending rows in one slice below the settled mark."""
        settled = self.checkpoint.settled_id
        done = self.checkpoint.swept_id
        first = next_id(self.using, done, settled)
        end = settled if first is None else min(first - 1 + SLICE, settled)
        while first is not None and done < end:
            batch = take(self.using, done, end, size)
            if batch.events:
                logger.warning(
                    "%d audit rows from id %d on were pending below the settled mark %d: they were"
                    " restored or given ids by hand, or their representations were deleted",
                    len(batch.events),
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
        self.checkpoint.swept_id = 0 if end >= settled else end

    def settle(self, reached: int | None = None) -> None:
        """Write down how far everything is stored, if that is news."""
        if reached is not None:
            proven = min(reached, self._provable)
            self.checkpoint.settled_id = max(self.checkpoint.settled_id, proven)
        if (state := _state(self.checkpoint)) != self._stored:
            self.checkpoint.save(using=self.using, update_fields=MARK)
            self._stored = state

    def _prove(self, rescan: bool) -> int:
        """The id up to which the mark may follow what this run stores.

        Asks, in separate statements whose order counts, how far the log goes and who is writing;
        every scan comes later. In the caller's transaction those statements may all see the same
        moment, so nothing is proven there.

        :raises RowsHidden: if not all of the log can be seen: what is not, would be passed over.
        """
        mark = self.checkpoint
        reach = self.vendor.reach()
        if not reach.whole:
            raise RowsHidden(alias=self.using)
        writers = self.vendor.writers()
        self.top = reach.visible
        if rescan or self.top < mark.settled_id:
            mark.settled_id = mark.swept_id = 0
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


def preview(using: str, limit: int) -> tuple[list[Event], Count]:
    """The first rows that a run would take now, and how many there are. Writes nothing."""
    mark = Checkpoint.objects.using(using).filter(pk=1).first() or Checkpoint()
    top = get_vendor(using).reach().visible
    start = mark.settled_id if mark.settled_id <= top else 0
    events = take(using, start, top, limit).events if limit else []
    log = AuditLog.objects.using(using)
    rows = 0
    for after, end in windows(using, start, top):
        rows += log.pending(after=after, upto=end).count()
    return events, Count(rows, complete=end == top)


def take(using: str, after: int, upto: int, size: int, width: int | None = None) -> Batch:
    """The next pending rows in ``(after, upto]``, from as many windows as one turn looks at."""
    events: list[Event] = []
    log = AuditLog.objects.using(using)
    for begin, end in windows(using, after, upto, width):
        rows = log.pending(after=begin, upto=end).order_by("id").values_list(*Event._fields)
        events += [Event(*row) for row in rows[: size - len(events)]]
        if len(events) == size:
            return Batch(events, events[-1].id)
    return Batch(events, end)


def _state(mark: Checkpoint) -> tuple[int, int | None, int]:
    return mark.settled_id, mark.candidate_id, mark.swept_id


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
