"""Whole tables as of a moment, for the queries that the code of a row sends by itself.

A table as of a moment is today's rows, without those that an event after the moment changed, and
with what the first such event of each found in its place. Which rows changed is asked once for
each table and batch, from its earliest moment on, and narrowed to each event's own moment here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Model

from ..models import AuditLog
from ..utils.model_meta import concrete, key_parts, own_fields
from ..utils.table_names import model_for_table
from ..vendors.base import PastTableSQL
from ..vendors.types import Event, Image
from .history import TIMELESS, History
from .neighbours import FIELDS, Around, Header
from .placeholders import UNKNOWN
from .rows import read_images
from .statements import Statement, read
from .states import BESIDE
from .substitution import NotAsOf

#: Of how many events of one table, after a batch's earliest moment, its queries can be answered.
MOST = 20_000
_WITH = re.compile(r"\s*WITH(\s+RECURSIVE)?\s", re.IGNORECASE)
ORDER = "a query without an order took some of its rows"


@dataclass
class Changes:
    """What happened to one table after the earliest moment of a batch."""

    model: type[Model]
    headers: list[Header]
    extra: frozenset[str]  # columns of the table that the model does not have
    missing: Mapping[int, Mapping[str, str]]  # of what each event found
    sql: PastTableSQL
    as_of: dict[tuple[int, ...], PastTable] = field(default_factory=dict)


@dataclass
class PastTable:
    """A table as of a moment."""

    head: str = ""  # the common table expression; none: the table is as it was
    parameters: list[Any] = field(default_factory=list)
    doubts: tuple[str, ...] = ()
    unknown: frozenset[str] = frozenset()  # columns whose value is not known of some row


class PastTables:
    """Answers for one batch, from one view of the database.

    :param moments: all events of the batch.
    """

    def __init__(self, history: History, moments: Sequence[Event]) -> None:
        self.history = history
        self.vendor = history.vendor
        self.moments = moments
        self._changes: dict[str, Changes | None] = {}

    def rewritten(
        self, sql: str, parameters: Any, moment: Event
    ) -> tuple[str, Any, tuple[str, ...]]:
        """The statement on the tables as of the moment, its parameters, and why that is in doubt.

        :raises NotAsOf: if it cannot be read for certain, reads a table that is not audited, or one
            of which too much has changed.
        """
        statement = read(sql, self.vendor.names_have_case)
        if statement is None:
            raise NotAsOf
        tables = [self._table(name, statement, moment) for name in sorted(statement.tables)]
        doubts = dict.fromkeys(doubt for table in tables for doubt in table.doubts)
        for table in tables:
            named = sorted(table.unknown & statement.columns)
            doubts |= dict.fromkeys(UNKNOWN.format(column) for column in named)
        if statement.cut:
            doubts[ORDER] = None
        changed = [table for table in tables if table.head]
        if changed:
            sql, parameters = _with(changed, statement, sql, parameters)
        return sql, parameters, tuple(doubts)

    def _table(self, name: str, statement: Statement, moment: Event) -> PastTable:
        table = self._audited.get(name if self.vendor.names_have_case else name.lower())
        if table is None:
            raise NotAsOf
        if table in TIMELESS:
            return PastTable()
        changes = self._changes_of(table)
        if changes is None or not changes.extra.isdisjoint(statement.columns):
            raise NotAsOf
        unseen = [h for h in changes.headers if not self._counts(table, moment, h)]
        # Moments that have seen the same are told alike; but for what is in doubt.
        near = self._near(moment, changes.headers)
        key = (*(h.id for h in unseen[:1]), len(unseen), moment.id if near else 0)
        if key not in changes.as_of or self.history.states.gap(table, moment, moment.id):
            changes.as_of[key] = self._as_of(table, changes, moment, unseen)
        return changes.as_of[key]

    @cached_property
    def _audited(self) -> dict[str, str]:
        """The audited tables, as statements name them."""
        lower = not self.vendor.names_have_case
        names = {*self.history.excluded, *TIMELESS}
        return {name.lower() if lower else name: name for name in names}

    def _changes_of(self, table: str) -> Changes | None:
        if table not in self._changes:
            self._changes[table] = self._look_up(table)
        return self._changes[table]

    def _look_up(self, table: str) -> Changes | None:
        """What has changed; None where the table cannot be told as of any moment."""
        model = model_for_table(table)
        if model is None or len(key_parts(model._meta.pk)) > 1 or "." in table:
            return None
        headers: list[Header] = []
        for name in self.history.renames.lineage(table).names:
            found = self.vendor.changes(name.name, self.moments, MOST)
            if len(found) > MOST:
                return None
            read_back = self.vendor.converted(FIELDS, found)
            headers += [
                h for h in (Header(*row) for row in read_back) if name.includes(h.occurred_at)
            ]
        headers.sort(key=lambda h: h.id)
        known = {f.column for f in own_fields(model)}
        columns = {column.name for column in self.vendor.shapes([table])[table].columns}
        images = [self._before(table, h) for h in headers if h.action in ("U", "D")]
        rows = read_images(self.vendor, model, images, self.history.limit)
        return Changes(
            concrete(model),
            headers,
            frozenset(columns - known),
            {image.event_id: getattr(row, "missing", {}) for image, row in rows.items()},
            self.vendor.past_table(concrete(model), images),
        )

    def _before(self, table: str, header: Header) -> Image:
        return self.history.renames.image(table, header.id, header.occurred_at, before=True)

    def _counts(self, table: str, moment: Event, header: Header) -> bool:
        """Does the state as of the moment include this change? The whole statement counts."""
        if moment.action == AuditLog.Action.DELETE:
            return (
                header.id < moment.id
                and not (self._same_table(table, moment) and header.same_statement(moment))
                and self.history.states.saw(moment, header)
            )
        return self.history.states.saw(moment, header) or (
            self._same_table(table, moment) and header.same_statement(moment)
        )

    def _beside(self, table: str, moment: Event, headers: Iterable[Header]) -> bool:
        """Can it be the statement of the moment, or another one, that made one of these changes?"""
        return self._same_table(table, moment) and any(
            h.id != moment.id and h.same_statement(moment) for h in headers
        )

    def _same_table(self, table: str, moment: Event) -> bool:
        return self.history.renames.table(moment.table_name, moment.occurred_at) == table

    def _near(self, moment: Event, headers: Iterable[Header]) -> bool:
        return any(h.same_message(moment) or h.occurred_at == moment.occurred_at for h in headers)

    def _as_of(
        self, table: str, changes: Changes, moment: Event, unseen: Sequence[Header]
    ) -> PastTable:
        states = self.history.states
        doubts = dict.fromkeys(filter(None, [states.gap(table, moment, moment.id)]))
        gone, images = [], []
        unknown = set(self.history.excluded.get(table, ()))
        unknown |= self.history.columns.not_yet(changes.model, moment)
        for key, header, taking in _first_changes(unseen):
            if header.action == AuditLog.Action.TRUNCATE:
                raise NotAsOf  # of the rows that were in it, the log may know nothing
            gone.append(key)
            around = Around(None, None, header, None, header, None)
            before = moment.action == AuditLog.Action.DELETE
            doubts[states._doubt_of_order(table, moment, around, before)] = None
            if taking or (
                header.action != AuditLog.Action.INSERT and not header.previous_object_id
            ):
                images.append(self._before(table, header))
                unknown |= changes.missing.get(header.id, {}).keys()
        if moment.action == AuditLog.Action.DELETE:
            doubts |= self._doubts_before(table, moment, changes.headers, unseen)
        if not self.vendor.knows_statements and self._beside(table, moment, changes.headers):
            doubts[BESIDE] = None
        doubts.pop("", None)
        if not gone:
            return PastTable("", [], tuple(doubts), frozenset(unknown))
        made = changes.sql(gone, images)
        if made is None:
            raise NotAsOf
        return PastTable(*made, tuple(doubts), frozenset(unknown))

    def _doubts_before(
        self, table: str, moment: Event, headers: Sequence[Header], unseen: Sequence[Header]
    ) -> dict[str, None]:
        """Why what came before a deletion may have been no part of what it found."""
        later = {header.id for header in unseen}
        arounds = [Around(h, None, None, None, None, None) for h in headers if h.id not in later]
        doubt = self.history.states._doubt_of_order
        return dict.fromkeys(doubt(table, moment, around, True) for around in arounds)


def _first_changes(unseen: Iterable[Header]) -> list[tuple[str, Header, bool]]:
    """The first change of each key, and whether that took the key away from its row."""
    found: dict[str, tuple[str, Header, bool]] = {}
    for header in unseen:
        # Where one event gives a key that another one takes in the same statement, the row with
        # the key was there before: what it took is asked first.
        if header.previous_object_id is not None:
            key = header.previous_object_id
            known = found.get(key)
            if known is None or (not known[2] and known[1].occurred_at == header.occurred_at):
                found[key] = (key, header, True)
        key = header.object_id or ""
        found.setdefault(key, (key, header, False))
    return list(found.values())


def _with(
    tables: Sequence[PastTable], statement: Statement, sql: str, parameters: Any
) -> tuple[str, Any]:
    """The statement after what hides its tables."""
    heads = ", ".join(table.head for table in tables)
    own = [value for table in tables for value in table.parameters]
    if parameters is None:
        sql, parameters = sql.replace("%", "%%"), ()
    if isinstance(parameters, Mapping):
        names = [f"auditrepr_{n}" for n in range(len(own))]
        pieces = heads.replace("%%", "\0").split("%s")
        heads = "".join(
            piece + (f"%({names[n]})s" if n < len(names) else "") for n, piece in enumerate(pieces)
        ).replace("\0", "%%")
        parameters = {**parameters, **dict(zip(names, own, strict=True))}
    else:
        parameters = [*own, *parameters]
    if not statement.own_relations:
        return f"WITH {heads} {sql}", parameters
    start = _WITH.match(sql)
    assert start is not None  # noqa: S101 - the statement was read as one that begins so
    return f"{start[0]} {heads}, {sql[start.end() :]}", parameters
