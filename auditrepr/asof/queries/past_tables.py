"""Rewrites the queries that the code of a row sends, to read whole tables as of a moment."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from types import FrameType
from typing import Any, NamedTuple

from django.db.models import Model, QuerySet

from ...utils.model_meta import own_fields
from ...vendors.types import NOT_RECORDED, Moment
from ..history import TIMELESS, History
from ..phases import TODAY
from ..placeholders import unknown
from ..states.shared_keys import SHARED
from ..states.states import UNCLEAR
from ..states.truncations import EMPTIED
from ..substitution import NotAsOf
from .changed_tables import ChangedTable, ChangedTables
from .excluded_columns import Excluded
from .expressions import Expression, with_expressions
from .functions import TableReaders
from .statement_order import LOOKS_FOR_ONE, Order
from .statements import Statement, read, uncommented
from .taken_rows import taken


class Rewritten(NamedTuple):
    """A statement on the tables as of a moment."""

    sql: str
    parameters: Any
    doubts: tuple[str, ...]
    excluded: Excluded


#: A statement with a limit at its end, and what it takes rows from.
_LIMIT = re.compile(r"(.*) LIMIT (?:-1|\d+)(?: OFFSET \d+)?", re.DOTALL)
ORDER = "a query without an order took some of its rows"


class PastTables:
    """The tables as of the moments of one batch, from one view of the database.

    :param moments: all moments of the batch.
    """

    def __init__(self, history: History, moments: Sequence[Moment]) -> None:
        self.history = history
        self.vendor = history.vendor
        history.states.visibility.expect(moment.upto for moment in moments)
        self.changed = ChangedTables(history, moments)
        self.readers = TableReaders(history.vendor)

    def rewritten(self, sql: str, parameters: Any, moment: Moment) -> Rewritten:
        """Return the statement on the tables as of the moment.

        :raises NotAsOf: if the statement cannot be parsed with certainty, or reads a table that is
            not audited or has changed too much.
        """
        sql = uncommented(sql).rstrip("; \t\r\n")
        statement = read(sql, self.vendor.names_have_case)
        if statement is None:
            raise NotAsOf
        doubts = dict.fromkeys([TODAY] if self.readers.are_called_by(sql) else [])
        heads = []
        excluded: dict[type[Model], Collection[str]] = {}
        for name in sorted(statement.tables):
            expression, why = self._as_of(name, statement, moment)
            doubts |= dict.fromkeys(why)
            excluded |= self._excluded(name, statement)
            if expression.head:
                heads.append(expression)
        if statement.cut or (heads and self._may_take_others(heads, statement, sql, parameters)):
            doubts[ORDER] = None
        if heads:
            sql = _in_order(heads, statement, sql)
            sql, parameters = with_expressions(heads, statement, sql, parameters)
        if statement.looks_for_one and not _sent_by_get() and self._fills(sql, parameters):
            doubts[ORDER] = None
        return Rewritten(sql, parameters, tuple(doubts), excluded)

    def _may_take_others(
        self, heads: Sequence[Expression], statement: Statement, sql: str, parameters: Any
    ) -> bool:
        """Return whether the result depends on an order that does not tell all rows apart.

        A table that has not changed since is read as it was.
        """
        unclear = [order for order in statement.orders if not self._tells_apart(order, statement)]
        if not unclear or not isinstance(parameters, list | tuple | None):
            return bool(unclear)
        parts = taken(sql) if len(unclear) == 1 else None
        if parts is not None:
            given = parts.parameters(parameters or ())
            places = self.vendor.rows(*with_expressions(heads, statement, parts.places(), given))
            return len(set(places)) < len(places)
        if not statement.within.isdisjoint(unclear):
            return True
        whole = _LIMIT.fullmatch(sql)
        return whole is None or self._has_several(heads, statement, whole[1], parameters)

    def _has_several(
        self, heads: Sequence[Expression], statement: Statement, sql: str, parameters: Any
    ) -> bool:
        """Return whether the statement has more than one row to take from."""
        two, given = with_expressions(heads, statement, f"{sql} LIMIT 2", parameters)
        count = f"SELECT count(*) FROM ({two}) AS auditrepr_rows"  # noqa: S608 - as it is sent
        return bool(self.vendor.value(count, given) > 1)

    def _tells_apart(self, order: Order, statement: Statement) -> bool:
        """Return whether no two rows of the SELECT have the same place in its order."""
        if order.complete:
            return True
        tables = statement.tables & self.changed.known.keys()
        unique = {name: _unique_columns(self.changed.known[name]) for name in tables}
        once = _joined_once(order, unique)
        rows = {join.name for join in order.joined} if order.grouped is None else order.grouped
        return once >= rows and not order.columns.isdisjoint(unique.get(order.table, ()))

    def _fills(self, sql: str, parameters: Any) -> bool:
        """Return whether as many rows come as the limit of get() allows."""
        count = f"SELECT count(*) FROM ({sql}) AS auditrepr_rows"  # noqa: S608 - as it is sent
        return bool(self.vendor.value(count, parameters) >= int(LOOKS_FOR_ONE))

    def _as_of(
        self, name: str, statement: Statement, moment: Moment
    ) -> tuple[Expression, list[str]]:
        """Return the SQL that replaces the table, and why it may not be what the moment saw."""
        table = self._table(name)
        if table is None:
            raise NotAsOf
        if table in TIMELESS:
            return Expression(), []
        source = self.changed.of(table)
        if source is None or _reads_others(statement, source):
            raise NotAsOf
        expression = self.changed.expression(source, moment)
        late = self.history.columns.not_yet(source.model, moment)
        lacking = {*expression.unknown, *((column, NOT_RECORDED) for column in late)}
        lacking -= {(column, NOT_RECORDED) for column in self.history.excluded.get(table, ())}
        doubts = [unknown(*one) for one in sorted(lacking) if _reads(statement, one[0])]
        states = self.history.states
        lost = source.emptied and states.truncations.lost(table, moment)
        why = states.completeness.gap(table, moment, moment.upto), EMPTIED if lost else ""
        shared = [SHARED.format(table)] if expression.shared else []
        unclear = [UNCLEAR] if expression.unfit else []
        near = source.changes.doubts(moment)
        return expression, [*filter(None, why), *near, *doubts, *shared, *unclear]

    def _excluded(self, name: str, statement: Statement) -> Excluded:
        """Return the table's columns that are never recorded, if the statement names any."""
        table = self._table(name) or ""
        named = [one for one in self.history.excluded.get(table, ()) if _reads(statement, one)]
        source = self.changed.of(table) if named else None
        return {source.model: named} if source else {}

    def _table(self, name: str) -> str | None:
        """Return the audited table that a statement calls by this name."""
        return self._audited.get(name if self.vendor.names_have_case else name.lower())

    @cached_property
    def _audited(self) -> dict[str, str]:
        """The names of the audited tables, by how statements name them."""
        lower = not self.vendor.names_have_case
        names = {*self.history.excluded, *TIMELESS}
        return {name.lower() if lower else name: name for name in names}


def _in_order(heads: Sequence[Expression], statement: Statement, sql: str) -> str:
    """Return SQL that gives rows by their keys if nothing else gives them an order.

    Those from the log lie elsewhere than they did. A table mostly gives its rows as they were
    inserted, which is by their keys.
    """
    keys = [one.key for one in heads if one.key]
    if not statement.listed or not keys:
        return sql
    return f"{sql} ORDER BY {', '.join(f'{statement.listed}.{part}' for part in keys[0])}"


def _reads(statement: Statement, column: str) -> bool:
    return statement.all_columns or column in statement.columns


def _reads_others(statement: Statement, source: ChangedTable) -> bool:
    """Return whether the statement may read columns of the table that its model does not have."""
    return any(_reads(statement, column) for column in source.extra)


def _joined_once(order: Order, unique: Mapping[str, Collection[str]]) -> set[str]:
    """Return what the statement calls the tables of which each first row is joined to one row."""
    by_name = {join.name: join for join in order.joined}
    once = {name for name, join in by_name.items() if join.column in unique.get(join.table, ())}
    while several := {name for name in once if by_name[name].of in by_name.keys() - once}:
        once -= several
    return once


def _unique_columns(source: ChangedTable | None) -> set[str]:
    """Return the columns in which no two rows of the table have the same value."""
    fields = own_fields(source.model) if source else ()
    return {str(field.column) for field in fields if field.unique and not field.null}


def _sent_by_get() -> bool:
    """Return whether the running query is that of get(), which does not return any row of several.

    Code that takes 21 rows sends the same limit. The running methods show which one it is.
    """
    fetched = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if fetched is None and frame.f_code is QuerySet._fetch_all.__code__:
            fetched = frame.f_locals["self"]
        elif fetched is not None and frame.f_code is QuerySet.get.__code__:
            return frame.f_locals.get("clone") is fetched
        frame = frame.f_back
    return False
