"""Whole tables as of a moment, for the queries that the code of a row sends.

A table as of a moment consists of the current rows, without those that an event after the moment
changed, and of the states that the first such event of each row found. The changes are read once
for each table and batch, from its earliest moment on, and narrowed to each event's own moment here.

No current row was there before a TRUNCATE: as of then, the table holds what its events had left in
it, from the log's beginning on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Model

from ..models import AuditLog
from ..utils.model_meta import concrete, key_parts, own_fields
from ..utils.table_names import model_for_table
from ..vendors.base import PastTableSQL
from ..vendors.types import NOT_RECORDED, NOTHING_SEEN, Image, Moment
from .changes import Changes, Unseen
from .expressions import Expression, with_expressions
from .history import TIMELESS, History
from .neighbors import FIELDS, Neighbor
from .placeholders import unknown
from .replay import rows_left
from .rows import read_images
from .shared_keys import SHARED, by_key, change_of, left
from .statement_order import taken
from .statements import Statement, read
from .substitution import NotAsOf
from .truncations import EMPTIED

#: How many events of one table after a batch's earliest moment may be read to answer its queries.
MOST = 20_000
#: How many tables as of a moment are cached: each may list as many keys as there are changes.
KEPT = 16
ORDER = "a query without an order took some of its rows"


class Source(NamedTuple):
    """One table, with its changes and the SQL for it, kept to the end of the batch."""

    name: str
    model: type[Model]
    changes: Changes
    emptied: bool  # by a TRUNCATE that one of the moments has not seen
    extra: frozenset[str]  # columns of the table that the model does not have
    missing: Mapping[Image, Mapping[str, str]]  # columns whose value is not known
    sql: PastTableSQL


class PastTables:
    """The tables as of the moments of one batch, from one view of the database.

    :param moments: all moments of the batch.
    """

    def __init__(self, history: History, moments: Sequence[Moment]) -> None:
        self.history = history
        self.vendor = history.vendor
        self.moments = moments
        history.states.visibility.expect(moment.upto for moment in moments)
        self._sources: dict[str, Source | None] = {}
        self._kept: dict[Any, Expression] = {}

    def rewritten(
        self, sql: str, parameters: Any, moment: Moment
    ) -> tuple[str, Any, tuple[str, ...]]:
        """Return the statement on the tables as of the moment, its parameters, and its doubts.

        :raises NotAsOf: if the statement cannot be parsed with certainty, or reads a table that is
            not audited or has changed too much.
        """
        statement = read(sql, self.vendor.names_have_case)
        if statement is None:
            raise NotAsOf
        doubts: dict[str, None] = {}
        heads = []
        for name in sorted(statement.tables):
            expression, why = self._as_of(name, statement, moment)
            doubts |= dict.fromkeys(why)
            if expression.head:
                heads.append(expression)
        if statement.cut or (heads and self._may_take_others(heads, statement, sql, parameters)):
            doubts[ORDER] = None
        if heads:
            sql, parameters = with_expressions(heads, statement, sql, parameters)
        return sql, parameters, tuple(doubts)

    def _may_take_others(
        self, heads: Sequence[Expression], statement: Statement, sql: str, parameters: Any
    ) -> bool:
        """Return whether the result depends on an order that does not tell all rows apart.

        A table that has not changed since is read as it was.
        """
        names = statement.tables & self._sources.keys()
        unique = {column for name in names for column in _unique_columns(self._sources[name])}
        unclear = [order for order in statement.orders if unique.isdisjoint(order)]
        parts = taken(sql) if len(unclear) == 1 else None
        if parts is None or not isinstance(parameters, list | tuple | None):
            return bool(unclear)
        given = parts.parameters(parameters or ())
        places = self.vendor.rows(*with_expressions(heads, statement, parts.places(), given))
        return len(set(places)) < len(places)

    def _as_of(
        self, name: str, statement: Statement, moment: Moment
    ) -> tuple[Expression, list[str]]:
        """Return the SQL that replaces the table, and why it may not be what the moment saw."""
        table = self._audited.get(name if self.vendor.names_have_case else name.lower())
        if table is None:
            raise NotAsOf
        if table in TIMELESS:
            return Expression(), []
        source = self._source(table)
        if source is None or not source.extra.isdisjoint(statement.columns):
            raise NotAsOf
        expression = self._expression(source, moment)
        never = {
            *self.history.excluded.get(table, ()),
            *self.history.columns.not_yet(source.model, moment),
        }
        lacking = {*expression.unknown, *((column, NOT_RECORDED) for column in never)}
        doubts = [unknown(*one) for one in sorted(lacking) if one[0] in statement.columns]
        states = self.history.states
        lost = source.emptied and states.truncations.lost(table, moment)
        why = states.completeness.gap(table, moment, moment.upto), EMPTIED if lost else ""
        shared = [SHARED.format(table)] if expression.shared else []
        return expression, [*filter(None, why), *source.changes.doubts(moment), *doubts, *shared]

    @cached_property
    def _audited(self) -> dict[str, str]:
        """The names of the audited tables, by how statements name them."""
        lower = not self.vendor.names_have_case
        names = {*self.history.excluded, *TIMELESS}
        return {name.lower() if lower else name: name for name in names}

    def _source(self, table: str) -> Source | None:
        if table not in self._sources:
            self._sources[table] = self._look_up(table)
        return self._sources[table]

    def _look_up(self, table: str) -> Source | None:
        """Return the changes of the table; None if it cannot be read as of any moment."""
        model = model_for_table(table)
        if model is None or len(key_parts(model._meta.pk)) > 1 or "." in table:
            return None
        events = self._events(table, self.moments)
        emptied = any(map(_empties, events))
        if emptied and len(events) <= MOST:
            events = self._events(table, [NOTHING_SEEN])
        if len(events) > MOST:
            return None
        known = {f.column for f in own_fields(model)}
        columns = {column.name for column in self.vendor.shapes([table])[table].columns}
        images = self._images(table, events)
        rows = read_images(self.vendor, model, images, self.history.limit) if images else {}
        return Source(
            table,
            concrete(model),
            Changes(self.history.states, table, events),
            emptied,
            frozenset(columns - known),
            {image: getattr(row, "missing", {}) for image, row in rows.items()},
            self.vendor.past_table(concrete(model), images),
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

    def _expression(self, source: Source, moment: Moment) -> Expression:
        """Return the SQL for the table; moments that have seen the same events share it."""
        unseen = source.changes.unseen(moment)
        key = source.name, *unseen
        if key not in self._kept:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._made(source, unseen)
        return self._kept[key]

    def _made(self, source: Source, unseen: Unseen) -> Expression:
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
        keyless = source.name in self.history.states.completeness.keyless
        shared = keyless and self._share_keys(source, unseen, {key for key, _, _ in changes}, rows)
        return Expression(*made, frozenset(lacking), shared)

    def _share_keys(
        self, source: Source, unseen: Unseen, changed: set[str], rows: Mapping[str, Image]
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


def _unique_columns(source: Source | None) -> set[str]:
    """Return the columns in which no two rows of the table have the same value."""
    fields = own_fields(source.model) if source else ()
    return {str(field.column) for field in fields if field.unique and not field.null}


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
