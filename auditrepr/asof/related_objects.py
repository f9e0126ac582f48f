"""Finds the objects that events are about besides their own, by what the log holds of their rows.

Both what a column led to after an event and before it counts, whether or not that object exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from ..lineage import Renames, recent_renames
from ..models.related import content_type
from ..tracking.related import Link, links
from ..utils.text import can_be_stored
from ..vendors import get_vendor
from ..vendors.base.store import Texts
from ..vendors.types import Event, Name, renamed

#: Bytes of a key up to which an index of PostgreSQL takes it, together with the table's name.
LONGEST_KEY = 2_000
SHORT_KEY = LONGEST_KEY // 4  # characters


class Related(NamedTuple):
    """An object that an event is about: as the log would name it at that time."""

    event_id: int
    table_name: str
    object_id: str
    link: Link


class _Target(NamedTuple):
    """A link, and the names that its object's table has had."""

    link: Link
    names: Sequence[Name]

    def name_at(self, at: datetime) -> str:
        """Return the name that the log has for the table of an object as of an event."""
        if len(self.names) == 1:
            return self.names[0].name
        return next((one.name for one in self.names if one.includes(at)), self.link.target)


def related_objects(events: Sequence[Event], using: str) -> list[Related]:
    """Return the objects that these events are about besides their own; each of an event once.

    One query, however many events and tables there are; none if no table can have any.
    """
    if not events or not (known := links()):
        return []
    renames = recent_renames(using)
    tables = [renames.table(event.table_name, event.occurred_at) for event in events]
    candidates = [
        (event, table) for event, table in zip(events, tables, strict=True) if table in known
    ]
    return _found(candidates, known, renames, using) if candidates else []


def _found(
    candidates: Sequence[tuple[Event, str]],
    known: Mapping[str, Sequence[Link]],
    renames: Renames,
    using: str,
) -> list[Related]:
    targets = {
        table: [_Target(link, renames.lineage(link.target).names) for link in known[table]]
        for table in {table for _, table in candidates}
    }
    rows = _recorded([event for event, _ in candidates], targets, renames, using)
    found: dict[Related, None] = {}
    for event, table in candidates:
        steps = renames.image(table, event.id, event.occurred_at).steps
        for row in rows.get(event.id, ()):
            then = renamed(steps, row) if steps else row
            for target in targets[table]:
                key = _key(target.link, then, using)
                name = target.name_at(event.occurred_at)
                if key and (key != event.object_id or name != event.table_name):
                    found[Related(event.id, name, key, target.link)] = None
    return list(found)


def _recorded(
    events: Sequence[Event], targets: Mapping[str, Sequence[_Target]], renames: Renames, using: str
) -> dict[int, list[Texts]]:
    """Return the columns of the links: after each event, and before an update that changed them."""
    columns = {
        name
        for table, of_table in targets.items()
        for target in of_table
        for column in filter(None, (target.link.column, target.link.generic))
        for name in renames.lineage(table).columns(column)
    }
    recorded = get_vendor(using).recorded_texts([event.id for event in events], sorted(columns))
    return {pk: [new, new | old] if old else [new] for pk, new, old in recorded}


def _key(link: Link, row: Mapping[str, Any], using: str) -> str | None:
    """Return the key of the object that the link leads to, as the log would write it."""
    key = row.get(link.column)
    if key is None or not _fits(key):
        return None
    if not link.generic:
        return str(key)
    if row.get(link.generic) != str(content_type(link, using)):
        return None
    try:  # a generic key's column may write it in another way, or not hold a key at all
        value = link.model._meta.pk.to_python(key)
        (text,) = get_vendor(using).key_texts(link.model._meta.pk, [value])
    except (ValueError, TypeError, ArithmeticError, ValidationError):
        return None
    return text


def _fits(key: str) -> bool:
    """Return whether the database can store the key, and an index take it."""
    if not key.isprintable() and not can_be_stored(key):
        return False
    return len(key) <= SHORT_KEY or len(key.encode()) <= LONGEST_KEY
