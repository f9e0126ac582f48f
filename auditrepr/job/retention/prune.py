"""Deletes old events; what is left stays as true as before.

Events are deleted in the order of their IDs, up to the first one that is not old enough. So each
deleted event has an ID up to :attr:`Coverage.pruned_id`, and the log after it is complete: the
state of an object there is what its next event recorded, or the current row. States before it can
only be determined if all events are there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db import connections, transaction
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from ...capture import attachment
from ...exceptions import MayNotPrune, WaitStopped
from ...models import (
    AuditLog,
    AuditLogQuerySet,
    ChangedValues,
    Coverage,
    InstanceRepr,
    RelatedObject,
    ReprFailure,
)
from ...vendors import get_vendor
from ...vendors.types import BEGINNING
from .. import preflight
from ..locks.base import Lock
from ..rounds.alone import working_alone
from ..seals import pruning
from . import emptying
from .due import Due, Retained, Until, due_of
from .emptying import Parts, Whole

BATCH_SIZE = 5000
NOT_OURS = "auditrepr does not prune them"


class Deleted(NamedTuple):
    """An event that is deleted."""

    pk: int
    transaction_id: int | None
    table_name: str


class Range(NamedTuple):
    """A part of the log: the IDs in ``(begin, end]``."""

    begin: int
    end: int
    whole: Whole | None = None  # the partition that it is, if all its events are due


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
    due = due_of(using, before)
    events = _old(using, due.among(BEGINNING, due.end), due.end, keep_last)
    return Pruned(
        events.count(),
        InstanceRepr.objects.using(using).filter(audit_log__in=events).count(),
        ReprFailure.objects.using(using).filter(audit_log__in=events).count(),
        due.end,
        _by_entry(due, keep_last),
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
    """Delete events with their representations and failures.

    Each batch is a short transaction of its own: what was deleted before an error stays deleted.

    :param before: delete the events before this time; or before the times of several entries, as
        ``RETENTION`` has them; by default, what that setting does not keep.
    :param lock: the job's lock: a run could store representations for events that are deleted.
    :param keep_last: keep the latest event of each object, whatever its age.
    :param ignore_seals: delete also from ranges that are no longer what was sealed.
    :param stop: called after each batch, and while it waits; true ends the work.
    :raises NothingCommitted: if the project's settings turn Django's transactions off.
    :raises MigrationsPending: if one of auditrepr's own migrations is not applied.
    :raises LogAttached: if the log is another tool's.
    :raises MayNotPrune: if this connection lacks the rights.
    :raises RowsHidden: if row-level security hides events, which may be young.
    :raises UnknownModel: if an entry names no installed model.
    :raises LockHeld: if a run holds the lock.
    :raises LeaseLost: if a run has taken over the lock: the last batch is rolled back.
    :raises LogBusy: if others read a partition for too long that is to be emptied.
    :raises SealBroken: if what would be deleted is no longer what was sealed.
    """
    _check(using)
    with working_alone(using, lock):
        due = due_of(using, before)
        done = Pruned(last_id=due.end)
        for one in _ranges(using, due, batch_size, keep_last):
            try:
                with transaction.atomic(using):
                    _prune_range(using, due, one, done, keep_last, ignore_seals, stop)
                    lock.renew()
            except WaitStopped:
                done.last_id = one.begin
                break
            on_batch(done)
            if stop():
                done.last_id = one.end
                break
        emptying.merge(using)
    return done


def _prune_range(
    using: str,
    due: Due,
    one: Range,
    done: Pruned,
    keep_last: bool,
    ignore_seals: bool,
    stop: Callable[[], bool],
) -> None:
    if one.whole:
        _empty(using, due, one.whole, done, ignore_seals, stop)
        return
    events = _begin_range(using, due, one.begin, one.end, keep_last)
    rows = [event.pk for event in events]
    pruning.record(using, one.begin, one.end, rows, ignore=ignore_seals)
    _delete_range(using, due, one.end, events, done)


def _empty(
    using: str, due: Due, whole: Whole, done: Pruned, ignore_seals: bool, stop: Callable[[], bool]
) -> None:
    """Remove a partition's rows, all in one moment, once the rest is done."""
    pruning.record(using, whole.begin, whole.end, whole, ignore=ignore_seals)
    _mark(using, due, whole.end, [Deleted(*row) for row in whole.tables()])
    found = whole.remove(stop)
    done.events += found.events
    done.representations += found.representations
    done.failures += found.failures


def _check(using: str) -> None:
    preflight.commits(using)
    preflight.check_own_tables(using)
    attachment.refuse(using, NOT_OURS)
    if not get_vendor(using).may_prune():
        raise MayNotPrune(alias=using, role=connections[using].settings_dict["USER"])
    preflight.sees_all(using)


def _by_entry(due: Due, keep_last: bool) -> dict[str, int]:
    if not isinstance(due, Retained):
        return {}
    found = due.by_entry().items()
    return {entry: _old(due.using, events, due.end, keep_last).count() for entry, events in found}


def _begin_range(using: str, due: Due, begin: int, end: int, keep_last: bool) -> Sequence[Deleted]:
    """Return the events to delete."""
    # Start with a no-op write: SQLite cannot upgrade a read transaction while others write.
    Coverage.objects.using(using).filter(pk="").update(pruned_id=BEGINNING)
    events = _old(using, due.among(begin, end), end, keep_last)
    return [Deleted(*row) for row in events.values_list("pk", "transaction_id", "table_name")]


def _delete_range(using: str, due: Due, end: int, events: Sequence[Deleted], done: Pruned) -> None:
    if not events:
        return
    _mark(using, due, end, events)
    rows = [event.pk for event in events]
    with get_vendor(using).pruning():
        done.events += _delete(using, AuditLog, rows)
    _delete(using, ChangedValues, rows)
    done.representations += _delete(using, InstanceRepr, rows)
    done.failures += _delete(using, ReprFailure, rows)
    RelatedObject.objects.using(using).filter(audit_log__in=rows)._raw_delete(using)


def _ranges(using: str, due: Due, size: int, keep_last: bool) -> Iterator[Range]:
    """Yield the parts of the log in which events are due, with `size` events each."""
    begin = BEGINNING
    parts = Parts(using, due, keep_last=keep_last)
    while (first := due.first(begin)) is not None:
        whole = parts.whole(first)
        if whole:
            yield Range(whole.begin, whole.end, whole)
            begin = whole.end
            continue
        rows = AuditLog.objects.using(using).filter(pk__gte=first, pk__lte=due.end).order_by("pk")
        last = rows.values_list("pk", flat=True)[size - 1 : size].first()
        upto = pruning.end_of_batch(using, first, due.end if last is None else last, due.end)
        part_end = parts.end_of(first)
        upto = upto if part_end is None else min(upto, part_end)
        yield Range(begin, upto)
        begin = upto


def _old(using: str, due: Q, end: int, keep_last: bool) -> AuditLogQuerySet:
    """Return the events up to this ID that are due, and that may be deleted."""
    log = AuditLog.objects.using(using)
    events = log.filter(due)
    if not keep_last:
        return events
    later = log.filter(table_name=OuterRef("table_name"), pk__gt=OuterRef("pk"))
    emptied = Q(action=AuditLog.Action.TRUNCATE)
    return events.filter(
        Exists(later.filter(object_id=OuterRef("object_id")))
        # An update that changed a key is the last event of the object that had it before.
        | Exists(later.filter(previous_object_id=OuterRef("object_id")))
        # A TRUNCATE ended objects whose last event is kept; only a later one here records the same.
        | emptied & Exists(later.filter(emptied, pk__lte=end))
        # A row without a primary key is not an object that could be looked up.
        | Q(object_id=None) & ~emptied
    )


def _mark(using: str, due: Due, end: int, deleted: Sequence[Deleted]) -> None:
    """Record in Coverage up to which event and transaction events are pruned; call this before."""
    coverage = Coverage.objects.using(using)
    tables = due.tables({name for *_, name in deleted})
    if tables is None:
        _mark_rows(coverage, end, (number for _, number, _ in deleted))
        return
    for table, names in tables.items():
        own = [(pk, number) for pk, number, name in deleted if name in names]
        last = max(pk for pk, _ in own)
        _mark_rows(coverage.filter(table_name=table), last, (number for _, number in own))


def _mark_rows(
    coverage: QuerySet[Coverage], pruned_id: int, transactions: Iterable[int | None]
) -> None:
    coverage.filter(pruned_id__lt=pruned_id).update(pruned_id=pruned_id)
    latest = max((number for number in transactions if number is not None), default=None)
    if latest is not None:
        unknown = Q(pruned_transaction_id=None) | Q(pruned_transaction_id__lt=latest)
        coverage.filter(unknown).update(pruned_transaction_id=latest)


def _delete(using: str, model: type[Model], ids: Collection[int]) -> int:
    """Delete in one statement: Django's own delete() would load every event and its relations."""
    rows = model._base_manager.using(using).filter(pk__in=ids)
    return rows._raw_delete(using)
