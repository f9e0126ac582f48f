"""Stores old and new values for the search index, if there is one: new events first, then old.

It follows the watermark, so that no event can still be committed among those that it has done.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from ..capture import search_index
from ..models import AuditLog, Checkpoint, StopReason
from ..vendors import get_vendor
from .locks.base import Lock

#: Events whose values are stored in one short transaction.
EVENTS = 5_000
#: Such transactions that one run spends on events from before the index was there.
OLD = 20

Reached = Callable[[], StopReason | None]


def index(using: str, lock: Lock, reached: Reached) -> StopReason | None:
    """Store the values of the updates that the index lacks, as far as this run goes.

    :param reached: gives the reason to end the run, if there is one.
    :returns: that reason.
    """
    if not search_index.covers_values(using):
        return None
    mark = Checkpoint.objects.using(using).filter(pk=1).first()
    if mark is None:
        return None
    if mark.values_since is None or mark.values_upto is None:
        mark.values_since = mark.values_upto = mark.settled_id
    return _forward(using, lock, mark, reached) or _back(using, lock, mark, reached)


def _forward(using: str, lock: Lock, mark: Checkpoint, reached: Reached) -> StopReason | None:
    log = AuditLog.objects.using(using).order_by("pk").values_list("pk", flat=True)
    while mark.values_upto < mark.settled_id:
        if reason := reached():
            return reason
        found = log.filter(pk__gt=mark.values_upto, pk__lte=mark.settled_id)
        end = found[EVENTS - 1 : EVENTS].first() or mark.settled_id
        _fill(using, lock, mark.values_upto, end, values_since=mark.values_since, values_upto=end)
        mark.values_upto = end
    return None


def _back(using: str, lock: Lock, mark: Checkpoint, reached: Reached) -> StopReason | None:
    log = AuditLog.objects.using(using).order_by("-pk").values_list("pk", flat=True)
    for _ in range(OLD):
        found = log.filter(pk__lte=mark.values_since)
        if found.first() is None:
            return None
        if reason := reached():
            return reason
        begin = found[EVENTS : EVENTS + 1].first()
        begin = found.last() - 1 if begin is None else begin
        since, upto = begin, mark.values_upto
        _fill(using, lock, begin, mark.values_since, values_since=since, values_upto=upto)
        mark.values_since = begin
    return None


def _fill(using: str, lock: Lock, after: int, upto: int, **positions: int) -> None:
    with transaction.atomic(using):
        get_vendor(using).fill_values(after, upto)
        Checkpoint.objects.using(using).filter(pk=1).update(**positions)
        lock.renew()
