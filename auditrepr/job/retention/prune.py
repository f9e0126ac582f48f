"""Deletes old events; what is left stays as true as before.

Events are deleted in the order of their IDs, up to the first one that is not old enough. So each
deleted event has an ID up to :attr:`Coverage.pruned_id`, and the log after it is complete: the
state of an object there is what its next event recorded, or the current row. States before it can
only be determined if all events are there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from django.db import connections, transaction
from django.db.models import Model

from ...capture import attachment
from ...exceptions import MayNotPrune, WaitStopped
from ...models import AuditLog, ChangedValues, Coverage, InstanceRepr, RelatedObject, ReprFailure
from ...vendors import get_vendor
from ...vendors.types import BEGINNING
from .. import preflight
from ..locks.base import Lock
from ..rounds.alone import working_alone
from ..seals import pruning
from . import emptying
from .due import Until, due_of
from .emptying import Whole
from .marks import Deleted, mark
from .prunable import Prunable, Range

BATCH_SIZE = 5000
NOT_OURS = "auditrepr does not prune them"


@dataclass
class Pruned:
    """What was deleted, or would be."""

    events: int = 0
    representations: int = 0
    failures: int = 0
    last_id: int = BEGINNING  # events with a higher id were not checked
    by_entry: dict[str, int] = field(default_factory=dict)  # of RETENTION: previewed events


def preview(using: str, before: Until = None, *, keep_last: bool = False) -> Pruned:
    """Return what :func:`prune` would delete now."""
    attachment.refuse(using, NOT_OURS)
    preflight.sees_all(using)
    prunable = Prunable(using, due_of(using, before), keep_last=keep_last)
    end = prunable.due.end
    events = prunable.among(BEGINNING, end)
    return Pruned(
        events.count(),
        InstanceRepr.objects.using(using).filter(audit_log__in=events).count(),
        ReprFailure.objects.using(using).filter(audit_log__in=events).count(),
        end,
        prunable.by_entry(),
    )


def prune(
    using: str,
    before: Until = None,
    *,
    lock: Lock,
    keep_last: bool = False,
    ignore_seals: bool = False,
    batch_size: int = BATCH_SIZE,
    on_batch: Callable[[Pruned], None] = lambda pruned: None,
    stop: Callable[[], bool] = lambda: False,
) -> Pruned:
    """Delete events with their representations and failures, and return how many.

    Each batch is a short transaction of its own: what was deleted before an error stays deleted.

    :param before: delete the events before this time; or before the times of several entries, as
        ``RETENTION`` has them; by default, what that setting does not keep.
    :param lock: the job's lock: a run could store representations for events that are deleted.
    :param keep_last: keep the latest event of each object, whatever its age.
    :param ignore_seals: delete also from ranges that are no longer what was sealed.
    :param stop: called after each batch, and while it waits; true ends the work.
    :raises AuditReprError: as :func:`check`, :func:`due_of` and the lock do;
        :exc:`LogBusy` if others read a partition for too long that is to be emptied;
        :exc:`SealBroken` if what would be deleted is no longer what was sealed.
    """
    check(using)
    with working_alone(using, lock):
        prunable = Prunable(using, due_of(using, before), keep_last=keep_last)
        work = _Pruning(prunable, lock, stop, ignore_seals=ignore_seals)
        work.run(batch_size, on_batch)
        emptying.merge(using)
    return work.done


def check(using: str) -> None:
    """Check that the events of this log may be pruned.

    :raises NothingCommitted: if the project's settings turn Django's transactions off.
    :raises MigrationsPending: if one of auditrepr's own migrations is not applied.
    :raises LogAttached: if the log is another tool's.
    :raises MayNotPrune: if this connection lacks the rights.
    :raises RowsHidden: if row-level security hides events, which may be young.
    """
    preflight.commits(using)
    preflight.check_own_tables(using)
    attachment.refuse(using, NOT_OURS)
    if not get_vendor(using).may_prune():
        raise MayNotPrune(alias=using, role=connections[using].settings_dict["USER"])
    preflight.sees_all(using)


class _Pruning:
    """Deletes what is prunable, range by range."""

    def __init__(
        self, prunable: Prunable, lock: Lock, stop: Callable[[], bool], *, ignore_seals: bool
    ) -> None:
        self.prunable = prunable
        self.using = prunable.using
        self.due = prunable.due
        self.done = Pruned(last_id=self.due.end)
        self._lock = lock
        self._stop = stop
        self._ignore_seals = ignore_seals

    def run(self, batch_size: int, on_batch: Callable[[Pruned], None]) -> None:
        """Delete until nothing is left, or it is to stop."""
        for one in self.prunable.ranges(batch_size):
            try:
                with transaction.atomic(self.using):
                    if one.whole:
                        self._empty(one.whole)
                    else:
                        self._delete(one)
                    self._lock.renew()
            except WaitStopped:
                self.done.last_id = one.begin
                return
            on_batch(self.done)
            if self._stop():
                self.done.last_id = one.end
                return

    def _empty(self, whole: Whole) -> None:
        """Remove a partition's rows, all in one moment, once the rest is done."""
        pruning.record(self.using, whole.begin, whole.end, whole, ignore=self._ignore_seals)
        mark(self.using, self.due, whole.end, [Deleted(*row) for row in whole.tables()])
        found = whole.remove(self._stop)
        self.done.events += found.events
        self.done.representations += found.representations
        self.done.failures += found.failures

    def _delete(self, one: Range) -> None:
        # Start with a no-op write: SQLite cannot upgrade a read transaction while others write.
        Coverage.objects.using(self.using).filter(pk="").update(pruned_id=BEGINNING)
        found = self.prunable.among(one.begin, one.end)
        events = [Deleted(*row) for row in found.values_list("pk", "transaction_id", "table_name")]
        rows = [event.pk for event in events]
        pruning.record(self.using, one.begin, one.end, rows, ignore=self._ignore_seals)
        if events:
            mark(self.using, self.due, one.end, events)
            self._delete_rows(rows)

    def _delete_rows(self, rows: Collection[int]) -> None:
        using, done = self.using, self.done
        with get_vendor(using).pruning():
            done.events += _delete(using, AuditLog, rows)
        _delete(using, ChangedValues, rows)
        done.representations += _delete(using, InstanceRepr, rows)
        done.failures += _delete(using, ReprFailure, rows)
        RelatedObject.objects.using(using).filter(audit_log__in=rows)._raw_delete(using)


def _delete(using: str, model: type[Model], ids: Collection[int]) -> int:
    """Delete in one statement: Django's own delete() would load every event and its relations."""
    rows = model._base_manager.using(using).filter(pk__in=ids)
    return rows._raw_delete(using)
