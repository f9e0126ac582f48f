"""Selects the events of an export: by model, object, actor and time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.apps import apps
from django.db.models import Q

from ..exceptions import NotAudited
from ..lineage import recent_renames
from ..models import AuditLog, AuditLogQuerySet
from ..models.log_queryset import first_id
from ..models.related import ids_about
from ..tracking import tracked_tables
from ..utils.model_meta import concrete
from ..utils.phrases import suggested
from ..utils.table_names import log_name
from .export import Bounds

#: How much older an event can be than those before it: so long may its statement have run.
SLACK = timedelta(days=1)


def table_called(using: str, name: str) -> str:
    """Return the table, as the log names it, of a model's label or of a table's name.

    It is audited, or there are events of it.

    :raises NotAudited: if it is neither.
    """
    try:
        table = log_name(concrete(apps.get_model(name))._meta.db_table)
    except (LookupError, ValueError):
        table = name
    audited = {one.name: one.model._meta.label for one in tracked_tables(using)}
    events = recent_renames(using).lineage(table).events()
    if table not in audited and not AuditLog.objects.using(using).filter(events).exists():
        raise NotAudited(name=name, hint=suggested(audited.values(), name))
    return table


def of_tables(log: AuditLogQuerySet, tables: Iterable[str]) -> AuditLogQuerySet:
    """Return the events of these tables, by current names, under all their names."""
    return log.filter(recent_renames(log.db).events(tables))


def of_object(
    log: AuditLogQuerySet, tables: Iterable[str], object_id: str, *, related: bool = False
) -> AuditLogQuerySet:
    """Return the events of the object whose row is in these tables, as its history shows them.

    :param related: also the events of what belongs to the object.
    """
    renames, tables = recent_renames(log.db), list(tables)
    key = Q(object_id=object_id) | Q(previous_object_id=object_id)
    own = reduce(or_, (renames.lineage(table).events() & key for table in tables))
    every = AuditLog.objects.using(log.db)
    others = ids_about(every, dict.fromkeys(tables, object_id), related=related)
    if not others:
        return log.filter(own)
    return log.filter(pk__in=every.filter(own).values("pk").union(*others))


def between(
    events: AuditLogQuerySet, bounds: Bounds, since: datetime | None, until: datetime | None
) -> tuple[AuditLogQuerySet, Bounds]:
    """Return the events at or after `since` and before `until`, and bounds that contain them."""
    log = AuditLog.objects.using(events.db)
    if since:
        events = events.filter(occurred_at__gte=since)
        bounds = bounds.within(first=_id_at(log, since, -SLACK))
    if until:
        events = events.filter(occurred_at__lt=until)
        bounds = bounds.within(end=_id_at(log, until, SLACK))
    return events, bounds


def _id_at(log: AuditLogQuerySet, when: datetime, slack: timedelta) -> int | None:
    try:
        return first_id(log, when + slack)
    except OverflowError:  # beyond the first day, or the last one
        return None
