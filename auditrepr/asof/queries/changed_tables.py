"""Whole tables as of the moments of a batch: their changes since, and SQL for their rows.

A table as of a moment consists of the current rows, without those that an event after the moment
changed, and of the states that the first such event of each row found. The changes are read once
for each table and batch, from its earliest moment on, and narrowed to each event's own moment here.

No current row was there before a TRUNCATE: as of then, the table holds what its events had left in
it, from the log's beginning on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import Model

from ...models import AuditLog
from ...utils.model_meta import concrete, key_parts, own_fields
from ...utils.table_names import model_for_table
from ...vendors.base import PastTableSQL
from ...vendors.types import NOTHING_SEEN, Image, Moment
from ..history import History
from ..rows import read_images
from ..states.changes import Changes, Unseen
from ..states.neighbors import FIELDS, Neighbor
from ..states.replay import rows_left
from ..states.shared_keys import by_key, change_of, left
from ..substitution import NotAsOf
from .expressions import Expression

#: How many events of one table after a batch's earliest moment may be read to answer its queries.
MOST = 20_000
#: How many tables as of a moment are cached: each may list as many keys as there are changes.
KEPT = 16


class ChangedTable(NamedTuple):
    """One table, with its changes and the SQL for it, kept to the end of the batch."""

    name: str
    model: type[Model]
    changes: Changes
    emptied: bool  # by a TRUNCATE that one of the moments has not seen
    extra: frozenset[str]  # columns of the table that the model does not have
    missing: Mapping[Image, Mapping[str, str]]  # columns whose value is not known
    unfit: Collection[int]  # events that may have happened in another order
    sql: PastTableSQL


class ChangedTables:
    """The tables of one batch, from one view of the database.

    :param moments: all moments of the batch.
    """

    def __init__(self, history: History, moments: Sequence[Moment]) -> None:
        self.history = history
        self.vendor = history.vendor
        self.moments = moments
        self.known: dict[str, ChangedTable | None] = {}  # those that were asked for
        self._kept: dict[Any, Expression] = {}

    def of(self, table: str) -> ChangedTable | None:
        """Return the table's changes; None if it cannot be read as of any moment."""
        if table not in self.known:
            self.known[table] = self._look_up(table)
        return self.known[table]

    def _look_up(self, table: str) -> ChangedTable | None:
        """Return the changes of the table; None if it cannot be read as of any moment."""
        model = model_for_table(table)
        if model is None or "." in table:
            return None
        events = self._events(table, self.moments)
        emptied = any(map(_empties, events))
        if emptied and len(events) <= MOST:
            events = self._events(table, [NOTHING_SEEN])
        if len(events) > MOST:
            return None
        known = {f.column for f in own_fields(model)}
        columns = [column.name for column in self.vendor.shapes([table])[table].columns]
        images = self._images(table, events)
        rows = read_images(self.history.conversion, model, images) if images else {}
        return ChangedTable(
            table,
            concrete(model),
            Changes(self.history.states, table, events),
            emptied,
            frozenset(columns) - known,
            {image: getattr(row, "missing", {}) for image, row in rows.items()},
            self.history.states.out_of_order({one.id for one in events}),
            self.vendor.past_table(concrete(model), images, columns),
        )

    def _events(self, table: str, moments: Sequence[Moment]) -> list[Neighbor]:
        """Return the events that one of the moments may not have seen; too many, if it has more."""
        events: list[Neighbor] = []
        for name in self.history.renames.lineage(table).names:
            found = self.vendor.changes(name.name, moments, MOST)
            every = [Neighbor(*row) for row in self.vendor.converted(FIELDS, found)]
            if len(every) > MOST:
                return every
            events += [one for one in every if name.includes(one.occurred_at)]
        return sorted(events)

    def _images(self, table: str, events: Sequence[Neighbor]) -> list[Image]:
        """Return the states that these events found, and those that a TRUNCATE found."""
        emptied = max((one.id for one in events if _empties(one)), default=None)
        found = [self._image(table, one, before=True) for one in events if one.action in ("U", "D")]
        if emptied is None:
            return found
        left = [one for one in events if one.action in ("I", "U") and one.id < emptied]
        return found + [self._image(table, one) for one in left]

    def _image(self, table: str, one: Neighbor, *, before: bool = False) -> Image:
        return self.history.renames.image(table, one.id, one.occurred_at, before=before)

    def expression(self, source: ChangedTable, moment: Moment) -> Expression:
        """Return the SQL for the table; moments that have seen the same events share it."""
        unseen = source.changes.unseen(moment)
        key = source.name, *unseen
        if key not in self._kept:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._made(source, unseen)
        return self._kept[key]

    def _made(self, source: ChangedTable, unseen: Unseen) -> Expression:
        since = list(source.changes.since(*unseen))
        until = next((n for n, one in enumerate(since) if _empties(one)), None)
        changes = _first_changes(since[:until])
        rows: dict[str, Image] = {}
        if until is not None:
            seen = rows_left(source.changes.before(*unseen))
            rows = {key: self._image(source.name, one) for key, one in seen.items()}
        for key, one, taking in changes:
            rows.pop(key, None)
            if taking or (one.action != AuditLog.Action.INSERT and not one.previous_object_id):
                rows[key] = self._image(source.name, one, before=True)
        gone = None if until is not None else [key for key, _, _ in changes]
        if gone == []:
            return Expression()
        made = source.sql(gone, rows)
        if made is None:
            raise NotAsOf
        lacking = {one for image in rows.values() for one in source.missing.get(image, {}).items()}
        basis = {one.id for _, one, _ in changes} | {image.event_id for image in rows.values()}
        keyless = source.name in self.history.states.completeness.keyless
        shared = keyless and self._share_keys(source, unseen, {key for key, _, _ in changes}, rows)
        own_key = self._quoted_key(source.model) if rows else ()
        unfit = not basis.isdisjoint(source.unfit)
        return Expression(*made, frozenset(lacking), own_key, shared, unfit)

    def _quoted_key(self, model: type[Model]) -> tuple[str, ...]:
        quote = self.vendor.connection.ops.quote_name
        return tuple(quote(str(part.column)) for part in key_parts(model._meta.pk))

    def _share_keys(
        self, source: ChangedTable, unseen: Unseen, changed: set[str], rows: Mapping[str, Image]
    ) -> bool:
        """Return whether one of these keys had several rows, or another number than is known."""
        since = list(source.changes.since(*unseen))
        if any(map(_empties, since)):  # what was there before is known from the log only
            earlier = list(source.changes.before(*unseen))
            emptied = [one for one in earlier if _empties(one)]
            of_key = by_key(earlier)
            return any(left(key, sorted([*of_key[key], *emptied])) > 1 for key in rows)
        now = self.history.shared_keys.now(source.model, source.name, changed)
        of_key = by_key(since)
        return any(now[key] - change_of(key, of_key[key]) != (key in rows) for key in changed)


def _empties(one: Neighbor) -> bool:
    return one.action == AuditLog.Action.TRUNCATE


def _first_changes(unseen: Iterable[Neighbor]) -> list[tuple[str, Neighbor, bool]]:
    """Return the first change of each key, and whether it took the key away from its row."""
    found: dict[str, tuple[str, Neighbor, bool]] = {}
    for one in unseen:
        # If one statement takes a key from one row and gives it to another, the row that had the
        # key before the statement counts: the event that took the key comes first.
        if one.previous_object_id is not None:
            key = one.previous_object_id
            known = found.get(key)
            if known is None or (not known[2] and known[1].occurred_at == one.occurred_at):
                found[key] = (key, one, True)
        key = one.object_id or ""
        found.setdefault(key, (key, one, False))
    return list(found.values())
