"""The import facet: events of another log, from the SELECTs of a source into this log."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from django.utils import timezone

from .. import import_sql
from ..import_sql import Dialect
from ..import_types import (
    Cell,
    Form,
    FoundTable,
    Known,
    Planned,
    Selection,
    Serialized,
    Unfit,
    UnfitType,
)
from .facet import Facet


class ImportFacet(Facet, ABC):
    """Reads the SELECTs of sources, whose columns ``sources/contract.py`` lists."""

    @abstractmethod
    def import_dialect(self) -> Dialect:
        """Return the SQL of this database."""

    @abstractmethod
    def pinned(self) -> AbstractContextManager[None]:
        """Run a transaction with the settings with which triggers write JSON."""

    @abstractmethod
    def leaving_nothing(self) -> AbstractContextManager[None]:
        """Roll back at the end what reading a source may create."""

    @abstractmethod
    def source_time(self, value: Any) -> datetime | None:
        """Return the time that the driver has returned for an expression without a type."""

    @abstractmethod
    def document(self, cells: Sequence[Cell]) -> str:
        """Return SQL for a row as the triggers would write it, from expressions for its values."""

    @abstractmethod
    def key_text(self, values: Sequence[str]) -> str:
        """Return SQL for a key as the triggers write it, from expressions for its columns."""

    @abstractmethod
    def deserialized(self, document: str, values: Sequence[Serialized]) -> str:
        """Return SQL for a row as the triggers would write it, of the values that are certain.

        :param document: an expression for what the serializer has written.
        """

    @abstractmethod
    def json_text(self, text: str) -> str:
        """Return SQL for the JSON object in a text; NULL if there is none."""

    def json_moment(self, text: str) -> str:
        """Return SQL for a time in a key as the triggers write it, from one in any time zone.

        :param text: an expression, of a time or of something else, which stays what it is.
        """
        return text

    @abstractmethod
    def json_value(self, column: str) -> str:
        """Return SQL for the JSON in a column, whatever it is; NULL for that of null."""

    @abstractmethod
    def json_element(self, document: str, name: str, index: str) -> str:
        """Return SQL for the text of an element of the JSON array that an object has there.

        :param index: an expression for its number.
        """

    @abstractmethod
    def holds_object(self, document: str) -> str:
        """Return SQL for whether a value of the JSON object is an object, too."""

    @abstractmethod
    def serialized_key(self, text: str, form: Form | None) -> str:
        """Return SQL for a key as the triggers write it, from what Python's ``str()`` made of it.

        :param form: of the key's field, if it is one that is known.
        """

    @abstractmethod
    def row_number(self, row: str, key: str) -> str:
        """Return SQL for a number that distinguishes a row from the others of its table.

        :param row: the table's name in the SELECT.
        :param key: an expression for the primary key.
        """

    def transaction_of(self, row: str) -> str:
        """Return SQL for the ID of the transaction that wrote the row; empty if there is none."""
        return ""

    def time_sql(self, moment: datetime) -> str:
        """Return SQL for the time, to compare with those of the database."""
        return f"'{self.written(moment)}'"

    def source_columns(self, select: str) -> list[str]:
        """Return the names of the columns of a SELECT.

        :raises django.db.Error: if it cannot be executed.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(import_sql.columns(select), {})
            return [column[0] for column in cursor.description or ()]

    def unfit_types(self, select: str) -> list[UnfitType]:
        """Return the columns of a SELECT that are of a wrong type, if columns have types.

        :param select: one that has the columns of the contract.
        """
        return []

    def source_tables(
        self, selection: Selection, known: Mapping[str, Known], *, whole: bool = True
    ) -> list[FoundTable]:
        """Return which tables the events are of, by name; `known` are the audited ones.

        :param whole: whether to find out which events have whole rows, which takes most of it.
        """
        about = {
            name: [list(one.columns), one.covered_since and str(self.written(one.covered_since))]
            for name, one in known.items()
        }
        sql = import_sql.tables(self.import_dialect(), selection, whole=whole)
        asked = {"known": json.dumps(about), "now": self.written(timezone.now())}
        rows = self.rows(sql, self.selecting(selection) | asked)
        return [
            FoundTable(name, *map(int, row[:6]), *map(self.source_time, row[6:]))  # type: ignore[arg-type]
            for name, *row in rows
        ]

    def unfit_events(self, selection: Selection, keyed: Collection[str] = ()) -> Unfit:
        """Return how many events are not as the contract wants them.

        :param keyed: tables whose events must have object IDs.
        """
        sql = import_sql.unfit(self.import_dialect(), selection)
        asked = self.selecting(selection) | {"keyed": json.dumps(list(keyed))}
        return Unfit(*self.rows(sql, asked)[0])

    def plan_import(
        self, selections: Sequence[Selection], last_id: int, most: int | None = None
    ) -> int:
        """Plan the import of these events, and return how many there are.

        The latest gets this ID. The events of several SELECTs are merged by time.

        :param most: plan only this many of the latest events of each table.
        """
        parameters: dict[str, Any] = {"last_id": last_id, "most": most}
        for selection in selections:
            parameters |= self.selecting(selection)
        sql = import_sql.plan(self.import_dialect(), selections, limited=most is not None)
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    def late_events(
        self, selection: Selection, part: int, since: datetime
    ) -> tuple[int | None, int]:
        """Return the last planned event of this part from before the time, and how many are not."""
        asked = {"part": part, "since": self.written(since)}
        ((before, late),) = self.rows(import_sql.late(selection), asked)
        return before, late

    def import_events(self, selection: Selection, source: str, planned: Planned) -> int:
        """Move planned events of one SELECT into the log, and return how many are still there.

        :param source: the name that their context gets.
        """
        sql = import_sql.import_events(self.import_dialect(), selection)
        with self.connection.cursor() as cursor:
            cursor.execute(sql, planned._asdict() | {"source": source})
            return int(cursor.rowcount)

    def selecting(self, selection: Selection) -> dict[str, Any]:
        """Return the parameters that select the events that are meant."""
        until = {"until": self.written(selection.until)}
        tables = selection.tables
        return until | ({} if tables is None else {"tables": json.dumps(list(tables))})

    def written(self, moment: datetime) -> Any:
        """Return the time as a parameter, to compare with those of a source."""
        return self.connection.ops.adapt_datetimefield_value(moment)
