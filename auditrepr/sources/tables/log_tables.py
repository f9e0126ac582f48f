"""Another log that is one table: found by its columns, wherever it is and whatever its name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.db import Error, connections, transaction

from ...exceptions import SourceUnavailable, SourceUnreadable
from ...utils.text import one_line
from ...vendors import get_vendor
from ..quoting import text
from .places import Place, places

SCHEMA = "audit"  # where such logs usually are
INTEGERS = ("integer", "bigint")
#: Schema, table, the types of the columns by name, and the column of the primary key.
TABLES = """
SELECT nspname::text, relname::text,
    (SELECT json_object_agg(attname, format_type(atttypid, NULL))::text FROM pg_attribute
        WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped),
    (SELECT attname::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid
        AND attnum = indkey[0] WHERE indrelid = class.oid AND indisprimary AND indnkeyatts = 1)
FROM pg_class AS class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'p') AND NOT relispartition AND %(columns)s::text[] <@ ARRAY(
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
)
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class LogTable:
    """The table of another log."""

    source: str
    using: str
    schema: str
    name: str
    columns: Mapping[str, str]  # types by name
    key: str  # orders its events

    @property
    def sql(self) -> str:
        """Return its name in SQL."""
        return f"{self.quoted(self.schema)}.{self.quoted(self.name)}"

    def quoted(self, name: str) -> str:
        """Return the name of a column in SQL."""
        return connections[self.using].ops.quote_name(name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, in which ``{log}`` is this table.

        :raises SourceUnreadable: if it cannot be read.
        """
        try:
            with transaction.atomic(self.using):
                return get_vendor(self.using).rows(sql.replace("{log}", self.sql))
        except Error as error:
            raise SourceUnreadable(source=self.source, reason=one_line(error)) from error

    def user(self, column: str) -> str:
        """Return SQL for the user of an event, from this column; null without it."""
        if column not in self.columns:
            return "NULL::text"
        return f"nullif(event.{self.quoted(column)}::text, '')"

    def context(self, known: Collection[str], user: str = "") -> str:
        """Return SQL for the context of an event: the columns that are not among the known ones.

        :param user: the column that says who, if it has one.
        """
        others = sorted(self.columns.keys() - {*known, self.key})
        if user in others:
            others.remove(user)
        parts = [f"{text(name)}, event.{self.quoted(name)}" for name in others]
        if user in self.columns:
            parts.insert(0, f"'user', {self.user(user)}")
        if not parts:
            return "NULL::jsonb"
        return f"nullif(jsonb_strip_nulls(jsonb_build_object({', '.join(parts)})), '{{}}')"


def find_table(source: str, using: str, name: str, columns: Collection[str]) -> LogTable:
    """Return the table with these columns.

    If there are several, it is the one in the usual schema, or the one with the usual name.

    :param name: the usual name.
    :raises SourceUnavailable: if there is none, or more than one.
    """
    vendor = get_vendor(using)
    if not vendor.log_schema():
        reason = "it is a log of PostgreSQL"
        raise SourceUnavailable(source=source, alias=using, reason=reason)
    found = [
        LogTable(source, using, schema, table, types, key)
        for schema, table, found_types, key in vendor.rows(TABLES, {"columns": list(columns)})
        for types in [json.loads(found_types)]
        if key and types[key] in INTEGERS
    ]
    ranks = [(one.name == name) + 2 * (one.schema == SCHEMA) for one in found]
    best = [one for one, rank in zip(found, ranks, strict=True) if rank == max(ranks)]
    if not best:
        listed = ", ".join(columns)
        reason = f"no table has the columns {listed} and a primary key that is a number"
    elif len(best) > 1:
        reason = f"several tables may be meant: {', '.join(one.sql for one in best)}"
    else:
        return best[0]
    raise SourceUnavailable(source=source, alias=using, reason=reason)


class Placed:
    """The places of a log's events, as SQL: a join, and expressions that depend on the place."""

    def __init__(self, places: Collection[Place]) -> None:
        self.places = list(places)

    @classmethod
    def of(cls, log: LogTable, tables: str) -> Self:
        """Return the places of a log.

        :param tables: a query for schemas and tables of its events.
        :raises SourceUnavailable: if it has no events.
        """
        found = places(log.using, log.rows(tables))
        if not found:
            reason = f"{log.sql} is empty"
            raise SourceUnavailable(source=log.source, alias=log.using, reason=reason)
        return cls(found)

    def join(self, schema: str, table: str, time: str) -> str:
        """Return SQL that joins `place` to an event, given expressions of the event."""
        rows = ", ".join(
            f"({n}, {text(one.schema)}, {text(one.table)}, {text(one.name)},"
            f" '{one.since or '-infinity'}'::timestamptz, '{one.until or 'infinity'}'::timestamptz)"
            for n, one in enumerate(self.places)
        )
        return (
            f"JOIN (VALUES {rows}) AS place (n, schema, called, name, since, until)"
            f" ON place.schema = {schema} AND place.called = {table}"
            f" AND {time} >= place.since AND {time} < place.until"
        )

    def key(self, image: str) -> str:
        """Return SQL for the primary key of a row, as our triggers write it."""
        return self.by_place([_key(one, image) for one in self.places])

    def by_place(self, expressions: Iterable[str]) -> str:
        """Return SQL for the expression of the place, of which there is one for each."""
        numbers: dict[str, list[str]] = {}
        for n, expression in enumerate(expressions):
            numbers.setdefault(expression, []).append(str(n))
        if len(numbers) == 1:
            return next(iter(numbers))
        whens = (f" WHEN place.n IN ({', '.join(ns)}) THEN {sql}" for sql, ns in numbers.items())
        return f"CASE{''.join(whens)} END"


class EveryPlace(Placed):
    """The places of a log that is attached: those of all tables, and one of what comes later."""

    def __init__(self, places: Collection[Place]) -> None:
        super().__init__([*places, Place("", "", "")])

    def number(self, schema: str, table: str, time: str) -> str:
        """Return SQL for the number of the place of an event, given expressions of the event."""
        *known, last = range(len(self.places))
        numbers: dict[str, dict[str, list[int]]] = {}
        for n in known:
            tables = numbers.setdefault(self.places[n].schema, {})
            tables.setdefault(self.places[n].table, []).append(n)
        # Of nearly all names, time does not decide what they mean.
        always = {
            name: {one: ns[0] for one, ns in tables.items() if len(ns) == 1}
            for name, tables in numbers.items()
        }
        parts = [f"({text(json.dumps(always))}::jsonb -> {schema} ->> {table})::integer"]
        several = [n for tables in numbers.values() for ns in tables.values() if ns[1:] for n in ns]
        if several:
            values, _, condition = self.join(schema, table, time).partition(" ON ")
            values = values.removeprefix("JOIN ").replace("AS place", "AS known")
            condition = condition.replace("place.", "known.")
            parts.append(f"(SELECT known.n FROM {values} WHERE {condition})")  # noqa: S608
        return f"coalesce({', '.join(parts)}, {last})"


def _key(place: Place, image: str) -> str:
    parts = [[text(name) for name in place.names[key]] for key in place.keys]
    match parts:
        case []:
            return "NULL::text"
        case [names]:
            return _first(f"{image} ->> {name}" for name in names)
    values = ", ".join(_first(f"{image} -> {name}" for name in names) for names in parts)
    return f"jsonb_build_array({values})::text"


def _first(expressions: Iterable[str]) -> str:
    found = list(expressions)
    return f"coalesce({', '.join(found)})" if len(found) > 1 else found[0]
