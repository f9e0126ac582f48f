"""The events of one object, page by page: its own, and those that are about it besides others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import ForeignObjectRel, Model, QuerySet

from ..exceptions import UnknownModel, UnusableRelated
from ..lineage import recent_renames
from ..models import AuditLog, AuditLogQuerySet
from ..models.related import links_to, newest_events
from ..tracking import tracked_tables
from ..tracking.related import Link, relation_links
from ..utils.table_names import log_name, model_for_table
from ..vendors.types import BEGINNING
from .permissions import readable_tables
from .related import events_about

Action = AuditLog.Action


@dataclass(frozen=True)
class Asked:
    """What is asked of one object's history."""

    table: str  # by its current name
    key: str
    after: int = BEGINNING  # events up to this ID are on earlier pages
    size: int = 100  # of a page
    belonging: bool = False  # with what belongs to it
    user: Any = None  # who reads it


@dataclass
class ObjectEvents:
    """One page of an object's events, in the order of their IDs."""

    events: list[AuditLog] = field(default_factory=list)
    more: bool = False
    searched_in_part: list[str] = field(default_factory=list)  # tables, of their newest events


def object_events(log: AuditLogQuerySet, asked: Asked) -> ObjectEvents:
    """Return one page of events; each part is read from an index, in its order.

    :param log: all events of one database, with what is to be read along.
    """
    page = ObjectEvents()
    keys = dict.fromkeys(tables_of(asked.table), asked.key)
    most = asked.size + 1
    others = events_about(
        log, keys, asked.user, after=asked.after, most=most, related=asked.belonging
    )
    found = {event.pk: event for event in others}
    for part in (*_own(log, asked), *_about(log, asked, page)):
        found |= {event.pk: event for event in part[:most]}
    events = sorted(found.values(), key=lambda event: event.pk)
    ours = {name.name for table in tables_of(asked.table) for name in _names(log, table)}
    events = list(_until_emptied(log, events, ours, asked))
    page.events, page.more = events[: asked.size], len(events) > asked.size
    return page


def its_changes(event: Any, asked: Asked) -> list[Any]:
    """Return the changes of an event of what belongs to the object, in words.

    An added or deleted row does not say that it belongs to it: the page is about the object, and
    the name that is stored for it may be an earlier one.
    """
    told = list(event.changes_in_words)
    if event.pair or event.action == Action.UPDATE:
        return told
    tables, row = tables_of(asked.table), event.row_data or {}
    leading = {
        str(field.verbose_name)
        for column, field in event.recorded_fields().items()
        if field.related_model and str(row.get(column)) == asked.key
        if log_name(field.related_model._meta.db_table) in tables
    }
    return [change for change in told if change.label not in leading]


def tables_of(table_name: str) -> list[str]:
    """Return the table, and those that hold the inherited parts of its rows."""
    model = model_for_table(table_name)
    parents = model._meta.all_parents if model else ()
    return [table_name, *(log_name(parent._meta.db_table) for parent in parents)]


def belonging(model: type[Model], using: str) -> list[Link]:
    """Return the links of all that can belong to the model's objects: its reverse relations."""
    audited = {table.name for table in tracked_tables(using)}
    found: list[Link] = []
    for relation in model._meta.get_fields():
        name = relation.get_accessor_name() if isinstance(relation, ForeignObjectRel) else None
        if name is None or relation.many_to_many:
            continue
        try:
            links = relation_links(model._meta.label, name)
        except (UnknownModel, UnusableRelated):
            continue
        found += (link for link in links if link.table in audited)
    return [link for link in found if link.table not in tables_of(log_name(model._meta.db_table))]


def declared(table_name: str) -> list[Link]:
    """Return the links that the settings and admin classes name for objects of this table."""
    return [link for link in links_to(tables_of(table_name), related=True) if link.field is None]


def _names(log: AuditLogQuerySet, table: str) -> Any:
    return recent_renames(log.db).lineage(table).names


def _own(log: AuditLogQuerySet, asked: Asked) -> Iterator[QuerySet[AuditLog]]:
    for name in {name for table in tables_of(asked.table) for name in _names(log, table)}:
        events = log.filter(name.events(), pk__gt=asked.after)
        for key in ("object_id", "previous_object_id"):
            yield events.filter(**{key: asked.key}).order_by(key, "pk")
        yield events.filter(object_id=None, action=Action.TRUNCATE).order_by("object_id", "pk")


def _about(log: AuditLogQuerySet, asked: Asked, page: ObjectEvents) -> Iterator[QuerySet[AuditLog]]:
    """Yield events of rows that belong to the object by relations that no setting names."""
    model = model_for_table(asked.table)
    if not asked.belonging or model is None or declared(asked.table):
        return
    tables = readable_tables(asked.user)
    for link in belonging(model, log.db):
        if tables is None or link.table in tables:
            page.searched_in_part.append(link.table)
            events = newest_events(log, link, asked.key)
            yield events.filter(pk__gt=asked.after).order_by("pk")


def _until_emptied(
    log: AuditLogQuerySet, events: list[AuditLog], ours: Collection[str], asked: Asked
) -> Iterator[AuditLog]:
    """Yield the events; a TRUNCATE only where it ended the object."""
    last = log.filter(pk=asked.after).first() if asked.after != BEGINNING else None
    exists = last is not None and last.action not in (Action.DELETE, Action.TRUNCATE)
    for event in events:
        if event.action == Action.TRUNCATE:
            if exists:
                yield event
            exists = exists and event.table_name not in ours
            continue
        if event.object_id == asked.key and event.table_name in ours:
            exists = event.action != Action.DELETE
        yield event
