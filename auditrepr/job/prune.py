"""Deletes old events; what is left stays as true as before.

Events are deleted in the order of their IDs, up to the first one that is not old enough. So each
deleted event has an ID up to :attr:`Coverage.pruned_id`, and the log after it is complete: the
state of an object there is what its next event recorded, or the current row. States before it can
only be determined if all events are there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connections, transaction
from django.db.models import Exists, Model, OuterRef, Q

from ..exceptions import LockHeld, MayNotPrune
from ..models import (
    AuditLog,
    AuditLogQuerySet,
    ChangedValues,
    Coverage,
    InstanceRepr,
    RelatedObject,
    ReprFailure,
)
from ..vendors import get_vendor
from ..vendors.types import BEGINNING
from . import preflight
from .locks.base import Lock
from .rounds import shares
from .seals import pruning
from .windows import WINDOW, next_id

BATCH_SIZE = 5000


@dataclass
class Pruned:
    """What was deleted, or would be."""

    events: int = 0
    representations: int = 0
    failures: int = 0
    last_id: int = BEGINNING  # events with a higher id were not checked


def preview(using: str, before: datetime, *, keep_last: bool = False) -> Pruned:
    """Return what :func:`prune` would delete now."""
    end = _end(using, before)
    events = _old(using, BEGINNING, end, keep_last)
    return Pruned(
        events.count(),
        InstanceRepr.objects.using(using).filter(audit_log__in=events).count(),
        ReprFailure.objects.using(using).filter(audit_log__in=events).count(),
        end,
    )


def prune(
    using: str,
    before: datetime,
    *,
    lock: Lock,
    keep_last: bool = False,
    ignore_seals: bool = False,
    batch_size: int = BATCH_SIZE,
    on_batch: Callable[[Pruned], None] = lambda pruned: None,
    stop: Callable[[], bool] = lambda: False,
) -> Pruned:
    """Delete the events before this time, with their representations and failures.

    Each batch is a short transaction of its own: what was deleted before an error stays deleted.

    :param lock: the job's lock: a run could store representations for events that are deleted.
    :param keep_last: keep the latest event of each object, whatever its age.
    :param ignore_seals: delete also from ranges that are no longer what was sealed.
    :param stop: called after each batch; true ends the work.
    :raises NothingCommitted: if the project's settings turn Django's transactions off.
    :raises MigrationsPending: if one of auditrepr's own migrations is not applied.
    :raises MayNotPrune: if this connection lacks the rights.
    :raises LockHeld: if a run holds the lock.
    :raises LeaseLost: if a run has taken over the lock: the last batch is rolled back.
    :raises SealBroken: if what would be deleted is no longer what was sealed.
    """
    preflight.commits(using)
    preflight.check_own_tables(using)
    if not get_vendor(using).may_prune():
        raise MayNotPrune(alias=using, role=connections[using].settings_dict["USER"])
    with lock:
        if not lock:
            raise LockHeld(holder=lock.holder() or "an unknown process")
        shares.void(using)
        with lock.kept_alive():
            done = Pruned(last_id=_end(using, before))
            for begin, end in _ranges(using, done.last_id, batch_size):
                with transaction.atomic(using):
                    rows = _begin_range(using, begin, end, keep_last)
                    pruning.record(using, begin, end, rows, ignore=ignore_seals)
                    _delete_range(using, end, rows, done)
                    lock.renew()
                on_batch(done)
                if stop():
                    done.last_id = end
                    break
    return done


def _begin_range(using: str, begin: int, end: int, keep_last: bool) -> dict[int, int | None]:
    """Return the events to delete, with their transactions."""
    # Start with a no-op write: SQLite cannot upgrade a read transaction while others write.
    Coverage.objects.using(using).filter(pk="").update(pruned_id=BEGINNING)
    return dict(_old(using, begin, end, keep_last).values_list("pk", "transaction_id"))


def _delete_range(using: str, end: int, rows: dict[int, int | None], done: Pruned) -> None:
    if not rows:
        return
    _mark(using, end, max((t for t in rows.values() if t is not None), default=None))
    with get_vendor(using).pruning():
        done.events += _delete(using, AuditLog, rows)
    _delete(using, ChangedValues, rows)
    done.representations += _delete(using, InstanceRepr, rows)
    done.failures += _delete(using, ReprFailure, rows)
    RelatedObject.objects.using(using).filter(audit_log__in=list(rows))._raw_delete(using)


def _end(using: str, before: datetime) -> int:
    """Return the ID up to which all events are older; events just beyond it may be older, too."""
    log = AuditLog.objects.using(using)
    top = get_vendor(using).reach().visible
    begin = BEGINNING
    while (first := next_id(using, begin, top)) is not None:
        end = min(first - 1 + WINDOW, top)
        young = log.filter(pk__gte=first, pk__lte=end, occurred_at__gte=before)
        found = young.order_by("pk").values_list("pk", flat=True).first()
        if found is not None:
            return found - 1
        begin = end
    return top


def _ranges(using: str, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield parts of the log up to this end, with `size` events each, or one sealed range."""
    begin = BEGINNING
    while (first := next_id(using, begin, end)) is not None:
        rows = AuditLog.objects.using(using).filter(pk__gte=first, pk__lte=end).order_by("pk")
        last = rows.values_list("pk", flat=True)[size - 1 : size].first()
        upto = pruning.end_of_batch(using, first, end if last is None else last, end)
        yield begin, upto
        begin = upto


def _old(using: str, begin: int, end: int, keep_last: bool) -> AuditLogQuerySet:
    """Return the events in ``(begin, end]`` that may be deleted."""
    log = AuditLog.objects.using(using)
    events = log.filter(pk__gt=begin, pk__lte=end)
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


def _mark(using: str, pruned_id: int, transaction_id: int | None) -> None:
    """Record in Coverage up to which ID and transaction events are pruned; call before deleting."""
    coverage = Coverage.objects.using(using)
    coverage.filter(pruned_id__lt=pruned_id).update(pruned_id=pruned_id)
    if transaction_id is not None:
        unknown = Q(pruned_transaction_id=None) | Q(pruned_transaction_id__lt=transaction_id)
        coverage.filter(unknown).update(pruned_transaction_id=transaction_id)


def _delete(using: str, model: type[Model], ids: Collection[int]) -> int:
    """Delete in one statement: Django's own delete() would load every event and its relations."""
    rows = model._base_manager.using(using).filter(pk__in=ids)
    return rows._raw_delete(using)
