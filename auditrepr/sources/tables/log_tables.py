"""Another log that is one table: found by its columns, wherever it is and whatever its name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db import Error, connections, transaction

from ...exceptions import SourceUnavailable, SourceUnreadable
from ...utils.text import one_line
from ...vendors import get_vendor
from ...vendors.import_types import Cell
from ..quoting import text
from .places import MOMENT, Place, places

SCHEMA = "audit"  # where such logs usually are
INTEGERS = ("integer", "bigint")
USER = "user"  # what the context calls the actor
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
        """Return SQL for the user of an event, from this column; null without it.

        A column ``user`` that was added to the log says it first.
        """
        users = [name for name in (USER, column) if name in self.columns]
        texts = (f"nullif(event.{self.quoted(name)}::text, '')" for name in users)
        return f"coalesce({', '.join(texts)})" if users else "NULL::text"

    def context(self, known: Collection[str], user: str = "") -> str:
        """Return SQL for the context of an event: the columns that are not among the known ones.

        :param user: the column that says who, if it has one.
        """
        others = {
            name: f"event.{self.quoted(name)}" for name in self.columns.keys() - {*known, self.key}
        }
        if user in others:
            if USER not in others:
                del others[user]
            others[USER] = self.user(user)
        # Not IS NOT NULL: of a composite value, that asks each column.
        cells = [Cell(name, sql, f"{sql} IS DISTINCT FROM NULL") for name, sql in others.items()]
        if not cells:
            return "NULL::jsonb"
        return f"nullif({get_vendor(self.using).document(sorted(cells))}, '{{}}')"


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

    def __init__(self, using: str, places: Collection[Place]) -> None:
        self.using = using
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
        return cls(log.using, found)

    def join(self, schema: str, table: str, time: str) -> str:
        """Return SQL that joins `place` to an event, given expressions of the event."""
        always = "'-infinity'"
        rows = ", ".join(
            f"({n}, {text(one.schema)}, {text(one.table)}, {text(one.name)},"
            f" {self._time(one.since, always)}, {self._time(one.until)}, {one.is_partition})"
            for n, one in enumerate(self.places)
        )
        # No event may be without a place, whatever its time: what is wrong with it is said later.
        at = f"coalesce({time}, '-infinity')"
        return (
            f"JOIN (VALUES {rows}) AS place (n, schema, called, name, since, until, is_partition)"
            f" ON place.schema = {schema} AND place.called = {table}"
            f" AND {at} >= place.since AND coalesce({at} < place.until, true)"
        )

    def emptied(
        self, log: LogTable, truncates: str, tables: Collection[str] | None
    ) -> Counter[str]:
        """Return how often partitions of these tables were emptied, by what the events are.

        Our log has no event for that: it would say that the whole table was.

        :param truncates: a query for schemas, tables, and how many events of TRUNCATE each has.
        """
        found: Counter[str] = Counter()
        parts = {(one.schema, one.table): one.name for one in self.places if one.is_partition}
        for schema, table, number in log.rows(truncates) if parts else ():
            name = parts.get((schema, table))
            if name and (tables is None or name in tables):
                found[f"{name}, TRUNCATE of its partition {table}"] += number
        return found

    def _time(self, moment: datetime | None, without: str = "NULL") -> str:
        return f"{get_vendor(self.using).time_sql(moment) if moment else without}::timestamptz"

    def key(self, image: str) -> str:
        """Return SQL for the primary key of a row, as our triggers write it."""
        return self.by_place([_key(self.using, one, image) for one in self.places])

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

    def __init__(self, using: str, places: Collection[Place]) -> None:
        super().__init__(using, [*places, Place("", "", "")])

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


def _key(using: str, place: Place, image: str) -> str:
    match place.keys:
        case []:
            return "NULL::text"
        case [key]:
            return _key_text(using, place, key, image)
    values = ", ".join(
        f"to_jsonb({_key_text(using, place, key, image)})"
        if place.types.get(key) == MOMENT
        else _first(f"nullif({image} -> {text(name)}, 'null')" for name in place.names[key])
        for key in place.keys
    )
    return f"CASE WHEN num_nulls({values}) = 0 THEN jsonb_build_array({values})::text END"


def _key_text(using: str, place: Place, key: str, image: str) -> str:
    """Return SQL for the text of a column of the key."""
    found = _first(f"{image} ->> {text(name)}" for name in place.names[key])
    return get_vendor(using).json_moment(found) if place.types.get(key) == MOMENT else found


def _first(expressions: Iterable[str]) -> str:
    found = list(expressions)
    return f"coalesce({', '.join(found)})" if len(found) > 1 else found[0]
