"""Finds the objects that events are about besides their own, by what the log holds of their rows.

Both what a column led to after an event and before it counts, whether or not that object exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from ..lineage import Renames, recent_renames
from ..models.related import content_type
from ..tracking.related import Link, links
from ..vendors import get_vendor
from ..vendors.types import Event, renamed

#: Bytes of a key up to which an index of PostgreSQL takes it, together with the table's name.
LONGEST_KEY = 2_000


class Related(NamedTuple):
    """An object that an event is about: as the log would name it at that time."""

    event_id: int
    table_name: str
    object_id: str
    link: Link


class _Candidate(NamedTuple):
    """An event of a table that has links."""

    event: Event
    table: str  # its current name
    links: Sequence[Link]


def related_objects(events: Sequence[Event], using: str) -> list[Related]:
    """Return the objects that these events are about besides their own; each of an event once.

    One query, however many events and tables there are; none if no table can have any.
    """
    if not events or not (known := links()):
        return []
    renames = recent_renames(using)
    tables = [renames.table(event.table_name, event.occurred_at) for event in events]
    candidates = [
        _Candidate(event, table, known[table])
        for event, table in zip(events, tables, strict=True)
        if table in known
    ]
    return _found(candidates, renames, using) if candidates else []


def _found(candidates: Sequence[_Candidate], renames: Renames, using: str) -> list[Related]:
    columns = {
        name
        for table, of_table in {c.table: c.links for c in candidates}.items()
        for link in of_table
        for column in filter(None, (link.column, link.generic))
        for name in renames.lineage(table).columns(column)
    }
    ids = [candidate.event.id for candidate in candidates]
    recorded = get_vendor(using).recorded_texts(ids, sorted(columns))
    rows = {pk: (new, new | old) for pk, new, old in recorded}
    found: dict[Related, None] = {}
    for event, table, of_table in candidates:
        steps = renames.image(table, event.id, event.occurred_at).steps
        for row in rows.get(event.id, ()):
            then = renamed(steps, row)
            for link in of_table:
                key = _key(link, then, using)
                target = name_then(renames, link.target, event.occurred_at)
                if key and (target, key) != (event.table_name, event.object_id):
                    found[Related(event.id, target, key, link)] = None
    return list(found)


def _key(link: Link, row: Mapping[str, Any], using: str) -> str | None:
    """Return the key of the object that the link leads to, as the log would write it."""
    key = row.get(link.column)
    if key is None or len(key.encode("utf-8", "replace")) > LONGEST_KEY:
        return None
    if not link.generic:
        return str(key)
    if row.get(link.generic) != str(content_type(link, using)):
        return None
    try:  # a generic key's column may write it in another way, or hold what is no key
        value = link.model._meta.pk.to_python(key)
        (text,) = get_vendor(using).key_texts(link.model._meta.pk, [value])
    except (ValueError, TypeError, ArithmeticError, ValidationError):
        return None
    return text


def name_then(renames: Renames, table: str, at: datetime) -> str:
    """Return the name that this table, by its current one, had at that time."""
    names: Iterator[str] = (n.name for n in renames.lineage(table).names if n.includes(at))
    return next(names, table)
