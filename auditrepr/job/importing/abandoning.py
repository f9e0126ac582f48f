"""Ends an interrupted import with what it has imported."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import Error, transaction
from django.db.models import Min

from ...exceptions import AuditReprError, NoUnfinishedImport
from ...models import AuditLog, AuditLogQuerySet, Import, PlannedEvent
from ...vendors import get_vendor
from .. import preflight
from ..locks.base import Lock
from . import chosen
from .chosen import Chosen, Request
from .running import alone, finish, import_range, unfinished


@dataclass
class Abandoned:
    """What an import that was ended has imported, and what it has not."""

    events: int = 0
    left: int = 0
    earliest: datetime | None = None  # events from before can still be imported
    lost: int | None = 0  # of those that are left, how many are not; None: the source is unreadable


def abandon(request: Request, *, lock: Lock) -> Abandoned:
    """End the unfinished import of these sources with the events that it has imported.

    Events of the same time as the earliest of these are imported first: no other import could.

    :raises NoUnfinishedImport: if there is none.
    """
    using = request.using
    preflight.check(using)
    with alone(using, lock):
        found = unfinished(using)
        if found is None or list(found.sources) != list(request.sources):
            raise NoUnfinishedImport(sources=" and ".join(request.sources))
        parts = _readable(request, found)
        ended = _tied(using, found, parts, lock) if parts else Abandoned(lost=None)
        with transaction.atomic(using):
            planned = PlannedEvent.objects.using(using).all()
            ended.left = planned.count()
            planned._raw_delete(using)
            ended.earliest = _imported(found).aggregate(first=Min("occurred_at"))["first"]
            found.first_id = _lowest(found)
            finish(found)
            lock.renew()
    ended.events = found.last_id + 1 - found.first_id
    return ended


def _readable(request: Request, found: Import) -> list[Chosen]:
    """Return the SELECTs of the import; none if they cannot be read, which may be why it ends."""
    with suppress(AuditReprError, Error):
        return chosen.planned(request, found)
    return []


def _tied(using: str, found: Import, parts: Sequence[Chosen], lock: Lock) -> Abandoned:
    """Import what is of the same time as the earliest imported event."""
    since = _imported(found).aggregate(first=Min("occurred_at"))["first"]
    if since is None:
        return Abandoned()
    try:
        with get_vendor(using).pinned():
            late = [
                get_vendor(using).late_events(one.selection, part, since)
                for part, one in enumerate(parts)
            ]
            after = max((pk for pk, _ in late if pk is not None), default=found.first_id - 1)
            rows = PlannedEvent.objects.using(using).filter(pk__gt=after)
            tied = import_range(using, parts, after, found.last_id)
            rows._raw_delete(using)
            lock.renew()
        return Abandoned(lost=sum(number for _, number in late) - tied)
    except (AuditReprError, Error):
        return Abandoned(lost=None)


def _imported(found: Import) -> AuditLogQuerySet:
    log = AuditLog.objects.using(found._state.db)
    return log.filter(pk__gte=found.first_id, pk__lte=found.last_id)


def _lowest(found: Import) -> int:
    """Return the lowest ID that the import has used; the one after its last if it has none."""
    lowest = _imported(found).order_by("pk").values_list("pk", flat=True).first()
    return found.last_id + 1 if lowest is None else lowest
