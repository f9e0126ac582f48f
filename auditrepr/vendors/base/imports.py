"""The import facet: events of another log, from the SELECT of a source into the log."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from .facet import Facet


class Selection(NamedTuple):
    """A SELECT of a source, and which of its events are meant."""

    select: str
    has: Collection[str]  # the optional columns
    until: datetime
    tables: Sequence[str] | None = None  # None: all
    excluded: Mapping[str, Sequence[str]] = {}  # columns that never come into the log, by table


class Range(NamedTuple):
    """Planned events of one SELECT: their IDs, without the first, and their positions."""

    part: int
    after: int
    upto: int
    lowest: int
    highest: int


class Known(NamedTuple):
    """What is known of a table: its columns, and when its own coverage began."""

    columns: Sequence[str]
    covered_since: datetime | None


class TableFound(NamedTuple):
    """A table in a SELECT."""

    name: str
    events: int
    whole: int  # events whose rows have all columns of today's table
    missed: int  # later events, from before the table's coverage
    first: datetime | None
    last: datetime | None


class Wrong(NamedTuple):
    """How many events of a SELECT cannot be imported, and why."""

    position: int  # null
    shared: int  # another event has the same position
    table: int
    action: int
    key: int
    row: int
    time: int
    context: int


class ImportFacet(Facet, ABC):
    """Reads the SELECTs of sources. Each has the columns that ``sources/contract.py`` lists."""

    # SQL of each database, with places for a column.
    document_sql: ClassVar[str]  # as the log stores JSON
    named_sql: ClassVar[str]  # a context, with the name of its source
    is_object_sql: ClassVar[str]
    is_time_sql: ClassVar[str]
    among_sql: ClassVar[str]  # whether the table is one of those that are meant
    known_sql: ClassVar[str]  # joins `known`: what is known of the table
    since_sql: ClassVar[str]  # since when the table is covered; null: it is not
    whole_sql: ClassVar[str]  # whether the row has all columns of the table

    @abstractmethod
    def pinned(self) -> AbstractContextManager[None]:
        """Run a transaction with the settings on which JSON, as triggers write it, depends."""

    @abstractmethod
    def time(self, value: Any) -> datetime | None:
        """Return the time that the driver has returned for a column without a type."""

    def columns(self, select: str) -> list[str]:
        """Return the names of the columns of a SELECT.

        :raises django.db.Error: if it cannot be executed.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({select}\n) AS source LIMIT 0")
            return [column[0] for column in cursor.description or ()]

    def tables(self, selection: Selection, known: Mapping[str, Known]) -> list[TableFound]:
        """Return which tables the events are of, by name."""
        document = {name: [list(one.columns), self._written(one)] for name, one in known.items()}
        sql = f"""
            SELECT table_name, sum(meant), sum(whole), sum(missed),
                min(CASE WHEN meant = 1 THEN occurred_at END),
                max(CASE WHEN meant = 1 THEN occurred_at END)
            FROM (
                SELECT table_name, occurred_at,
                    CASE WHEN occurred_at < %(until)s THEN 1 ELSE 0 END AS meant,
                    CASE WHEN occurred_at < %(until)s AND {self.whole_sql} THEN 1 ELSE 0 END
                        AS whole,
                    CASE WHEN occurred_at >= %(until)s
                        AND coalesce(occurred_at < {self.since_sql}, true)
                        THEN 1 ELSE 0 END AS missed
                FROM {self._source(selection)}{self.known_sql}
                WHERE {self._among(selection)}
            ) AS events GROUP BY table_name ORDER BY table_name
        """
        rows = self.rows(sql, self._parameters(selection) | {"known": json.dumps(document)})
        return [
            TableFound(
                name, int(events), int(whole), int(missed), self.time(first), self.time(last)
            )
            for name, events, whole, missed, first, last in rows
        ]

    def wrong(self, selection: Selection) -> Wrong:
        """Return how many events are not as the contract wants them."""
        context = "context" if "context" in selection.has else "NULL"
        conditions = (
            "position IS NULL",
            "table_name IS NULL",
            "action IS NULL OR action NOT IN ('I', 'U', 'D', 'T')",
            "action = 'T' AND object_id IS NOT NULL",
            f"action <> 'T' AND (row_data IS NULL OR NOT {self.is_object_sql.format('row_data')})",
            f"occurred_at IS NULL OR NOT {self.is_time_sql}",
            f"{context} IS NOT NULL AND NOT {self.is_object_sql.format(context)}",
        )
        counts = ", ".join(f"count(CASE WHEN {one} THEN 1 END)" for one in conditions)
        sql = f"""
            SELECT count(position) - count(DISTINCT position), {counts}
            FROM {self._source(selection)} WHERE {self._meant(selection, unknown=True)}
        """
        shared, position, *others = self.rows(sql, self._parameters(selection))[0]
        return Wrong(position, shared, *others)

    def plan(self, selections: Sequence[Selection], last_id: int, most: int | None = None) -> int:
        """Plan the import of these events, and return how many there are.

        The latest one gets this ID. If there is a maximum, only the latest ones are planned.
        Within a SELECT, positions decide, also where times disagree, as those of long transactions
        do. Events of several are merged by time.
        """
        parameters: dict[str, Any] = {"last_id": last_id, "most": most}
        parts = []
        for part, selection in enumerate(selections):
            parts.append(
                f"SELECT {part} AS part, position, occurred_at FROM {self._source(selection)}"
                f" WHERE {self._meant(selection)}"
            )
            parameters |= self._parameters(selection)
        limit = "true" if most is None else "id > %(last_id)s - %(most)s"
        sql = f"""
            INSERT INTO auditrepr_plannedevent (id, part, position)
            SELECT id, part, position FROM (
                SELECT part, position, %(last_id)s + 1 - row_number() OVER (
                    ORDER BY moment DESC, part DESC, position DESC
                ) AS id
                FROM (
                    SELECT part, position,
                        max(occurred_at) OVER (PARTITION BY part ORDER BY position) AS moment
                    FROM ({" UNION ALL ".join(parts)}) AS events
                ) AS timed
            ) AS ordered WHERE {limit}
        """
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    def import_events(self, selection: Selection, source: str, planned: Range) -> int:
        """Import planned events of one SELECT, and return how many are still in it.

        :param source: the name that their context gets.
        """
        optional = ("previous_object_id", "changed_from", "context")
        previous, changed, context = (
            f"events.{name}" if name in selection.has else "NULL" for name in optional
        )
        row, changed = (
            self._document(column, selection.excluded) for column in ("events.row_data", changed)
        )
        sql = f"""
            INSERT INTO auditrepr_auditlog (
                id, table_name, object_id, previous_object_id, action, row_data, changed_from,
                context, occurred_at
            )
            SELECT planned.id, events.table_name, CAST(events.object_id AS text),
                CAST({previous} AS text), events.action, {row}, {changed},
                {self.named_sql.format(context)}, events.occurred_at
            FROM auditrepr_plannedevent AS planned
            JOIN {self._source(selection, "events")} ON events.position = planned.position
            WHERE planned.part = %(part)s AND planned.id > %(after)s AND planned.id <= %(upto)s
                AND events.position >= %(lowest)s AND events.position <= %(highest)s
        """
        with self.connection.cursor() as cursor:
            cursor.execute(sql, {**planned._asdict(), "source": source})
            return int(cursor.rowcount)

    @abstractmethod
    def without(self, document: str, columns: Sequence[str]) -> str:
        """Return SQL for a JSON object without these columns."""

    @abstractmethod
    def text(self, value: str) -> str:
        """Return the text as SQL; what is % in it is doubled."""

    def _document(self, column: str, excluded: Mapping[str, Sequence[str]]) -> str:
        """Return SQL for JSON as the log stores it, without the table's excluded columns."""
        document = self.document_sql.format(column)
        whens = "".join(
            f" WHEN {self.text(table)} THEN {self.without(document, columns)}"
            for table, columns in excluded.items()
        )
        return f"CASE events.table_name{whens} ELSE {document} END" if whens else document

    def _source(self, selection: Selection, name: str = "source") -> str:
        # What follows a comment on its last line must not become part of it.
        select = selection.select.replace("%", "%%")
        return f"({select}\n) AS {name}"

    def _meant(self, selection: Selection, *, unknown: bool = False) -> str:
        """Return the condition for the events that are meant.

        :param unknown: also those without a time.
        """
        before = "occurred_at < %(until)s"
        before = f"({before} OR occurred_at IS NULL)" if unknown else before
        return f"{before} AND {self._among(selection, unknown=unknown)}"

    def _among(self, selection: Selection, *, unknown: bool = False) -> str:
        if selection.tables is None:
            return "true"
        return f"({self.among_sql} OR table_name IS NULL)" if unknown else self.among_sql

    def _parameters(self, selection: Selection) -> dict[str, Any]:
        until = self.connection.ops.adapt_datetimefield_value(selection.until)
        tables = selection.tables
        return {"until": until} | ({} if tables is None else {"tables": json.dumps(list(tables))})

    def _written(self, known: Known) -> str | None:
        """Return when coverage began as the database writes it."""
        since = known.covered_since
        return None if since is None else str(self.connection.ops.adapt_datetimefield_value(since))
