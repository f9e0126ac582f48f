"""Rebuilds stored representations, for example after improving ``__str__``.

A representation that can no longer be built keeps its text. Final events, of which ``str()`` gave
none, are built once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from ...conf import Asked, get_settings
from ...models import RebuildCursor, Share, StopReason
from ...reprs import Outcome
from ..locks.base import Lock
from ..locks.lease import DatabaseLock
from ..rounds import shares, workers
from ..rounds.crew import Crew
from ..rounds.sharing import Sharing
from ..runs.limits import Limits
from ..runs.result import Progress, Result, Stored
from ..storing import quarantine, related, store
from ..windows import next_id, start_of
from .selection import Selection, StoredBatch, take, values_of

#: About how many shares a round has at most: one round is all of a rebuild.
MOST = 5_000


def unfinished(using: str) -> RebuildCursor | None:
    """Return the cursor of an interrupted rebuild, if there is one."""
    return RebuildCursor.objects.using(using).first()


def run(
    using: str,
    selection: Selection | None,
    *,
    lock: Lock,
    batch_size: Asked | None = None,
    max_seconds: float | None = None,
    workers: int = 1,
    crew: Crew | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Rebuild stored representations in batches, and update those that differ.

    :param selection: none continues the run that was cut short, if there is one.
    :param workers: how many workers this host should have; from two on, a large log is shared.
    :param crew: the others of them.
    :returns: what it did; see :func:`.backfill.run`. Its ``rows`` are those that changed,
        its ``failures`` those that could not be built and keep what they had.
    """
    limits = Limits(None, max_seconds, stop)
    options: dict[str, Any] = {"lock": lock, "limits": limits, "size": batch_size}
    options |= {"workers": workers, "crew": crew}
    return Rebuild(using, selection, on_progress=on_progress, **options).run()


def assist(
    using: str,
    *,
    batch_size: Asked | None = None,
    max_seconds: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    stop_reason: Callable[[], StopReason] = lambda: StopReason.SIGNAL,
) -> Result:
    """Work on the shares of a rebuild that another process has planned, until none is left.

    :param stop_reason: returns the reason that `stop` has had; it is this run's, too.
    :returns: the result, as of :func:`run`.
    """
    limits = Limits(None, max_seconds, stop, stop_reason)
    options: dict[str, Any] = {"lock": DatabaseLock(using), "limits": limits, "size": batch_size}
    return Rebuild(using, None, on_progress=on_progress, **options).assist()


class Rebuild(Sharing[StoredBatch]):
    """A run of ``rebuild_reprs``."""

    command = shares.REBUILD

    def __init__(self, using: str, selection: Selection | None, **options: Any) -> None:
        super().__init__(using, **options)
        self.selection = selection

    def work(self) -> StopReason:
        if self.lease and (reason := self._begin_or_resume()):
            return reason
        reason = self.share()
        if reason or self.helping:
            return reason or StopReason.CAUGHT_UP
        return self._work_alone()

    def plan(self) -> int:
        """Cut all that is left into shares; so there is no second round."""
        cursor = self._cursor()
        span = cursor.top_id - cursor.reached_id if cursor else 0
        if cursor is None or span < shares.LEAST or shares.exist(self.using):
            return 0
        width = max(shares.WIDTH, -(-span // MOST))
        parts = list(self._parts(cursor.reached_id, cursor.top_id, width))
        with transaction.atomic(self.using):
            self.vendor.end_if_idle(get_settings().LEASE_SECONDS / 2)
            shares.put(self.using, self.command, parts, cursor.top_id)
            self.lease.renew()
        return len(parts)

    def take(self, after: int, upto: int) -> StoredBatch:
        cursor = self._cursor()
        if cursor is None:  # without it, the shares select nothing
            shares.void(self.using, self.command)
            return StoredBatch([], {}, upto)
        return take(self.using, Selection(**cursor.selection), after, upto, self.size)

    def write(self, batch: StoredBatch, outcomes: list[Outcome]) -> Stored:
        known = [outcome for outcome in outcomes if outcome.id in batch.stored]
        built = [outcome for outcome in known if outcome.failure is None]
        changed = [outcome for outcome in built if values_of(outcome) != batch.stored[outcome.id]]
        rows, changed = store.store(self.using, changed, self.vendor.replace)
        failed = [outcome for outcome in (*known, *changed) if outcome.failure]
        others = [outcome for outcome in outcomes if outcome.id not in batch.stored]
        more, still = quarantine.store_again(self.using, others)
        final = store.final(still)
        return Stored(rows + more, failed, len(outcomes), store.failed(still), final)

    def follow(self, share: Share) -> None:
        # Two that finish in the same moment wait for each other here, and the last one sees that
        # it is the last.
        cursor = RebuildCursor.objects.using(self.using).select_for_update().filter(pk=1).first()
        left = shares.first(self.using, self.command)
        if cursor:
            self._move(cursor, cursor.top_id if left is None else max(left, cursor.reached_id))

    def next_round(self) -> StopReason | None:
        return StopReason.CAUGHT_UP

    def join(self) -> StopReason | None:
        reason = super().join()
        if not reason and self.record.pk is None:
            self.record.begin()  # so that the round is seen to be worked on between two shares
        return reason

    def _begin_or_resume(self) -> StopReason | None:
        """Begin a rebuild, or continue one; what works besides ends, unless it is a rebuild."""
        if self.selection is None:
            shares.void(self.using, shares.BACKFILL)
            return None
        if live := workers.at_work(self.using, self.command):
            self.result.holder = live[0]
            return StopReason.LOCKED
        shares.void(self.using)
        self._set_cursor(self.selection)
        self.selection = None  # after a retried error, this is continued
        return None

    def _set_cursor(self, selection: Selection) -> None:
        """Replace the cursor, if there is one; there is none if nothing is to be rebuilt."""
        cursors = RebuildCursor.objects.using(self.using)
        top = self.vendor.reach().visible
        start = start_of(self.using, top)
        values = {"selection": asdict(selection), "started_at": Now()}
        values |= {"start_id": start, "reached_id": start, "top_id": top}
        cursors.filter(pk=1).delete()
        if start < top:
            cursors.create(pk=1, **values)

    def _cursor(self) -> RebuildCursor | None:
        """Return the rebuild cursor, or None if nothing is left to rebuild."""
        return RebuildCursor.objects.using(self.using).first()

    def _parts(self, after: int, upto: int, width: int) -> Iterator[tuple[int, int]]:
        """Yield parts of the log that begin with an event."""
        while (first := next_id(self.using, after, upto)) is not None:
            after = min(first - 1 + width, upto)
            yield first - 1, after

    def _work_alone(self) -> StopReason:
        cursor = self._cursor()
        while cursor and cursor.reached_id < cursor.top_id:
            if reason := self.reached():
                return reason
            batch = take(
                self.using,
                Selection(**cursor.selection),
                cursor.reached_id,
                cursor.top_id,
                self.size,
            )
            self.store(batch.events, partial(self._write_and_move, cursor, batch))
            self.tell(cursor.reached_id - cursor.start_id, cursor.top_id - cursor.start_id)
        return StopReason.CAUGHT_UP

    def _write_and_move(
        self, cursor: RebuildCursor, batch: StoredBatch, outcomes: list[Outcome]
    ) -> Stored:
        stored = self.write(batch, outcomes)
        self._move(cursor, store.reached(batch, outcomes))
        return stored

    def _move(self, cursor: RebuildCursor, reached: int) -> None:
        """Move the cursor, or delete it at the end, within the caller's transaction."""
        cursor.reached_id = reached
        if reached < cursor.top_id:
            cursor.save(using=self.using, update_fields=["reached_id"])
            return
        selection = Selection(**cursor.selection)
        if not selection.since and not selection.mixed:
            related.note_rebuilt(self.using, cursor, selection.table_name)
        RebuildCursor.objects.using(self.using).filter(pk=cursor.pk).delete()
