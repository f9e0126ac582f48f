"""PostgreSQL's part of imports: JSON, and the settings of the session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils.timezone import is_aware

from .. import import_sql
from ..base import ImportFacet
from ..import_sql import Dialect
from ..import_types import Cell, Form, Selection, Serialized, UnfitType
from . import serialized
from .column_types import PINNED
from .quoting import literal, quoted
from .source_types import EXPECTED, MOMENT, NAMES, READABLE_TIME, fits


def text(value: str) -> str:
    """Return the text as SQL of a statement with parameters."""
    return literal(value).replace("%", "%%")


def without(document: str, columns: Sequence[str]) -> str:
    """Return SQL for a document without these columns."""
    return f"{document} - ARRAY[{', '.join(map(text, columns))}]"


# A transaction that wrote after our beginning has no older time, unless that was set by hand.
_RECENT = "source.occurred_at >= CAST(%(until)s AS timestamptz) - interval '1 day'"
# Whether the transaction came after the first in our log; IDs repeat after 2 ** 32.
_LATER = (
    "(source.transaction - (SELECT min(transaction_id) FROM auditrepr_auditlog) %% 4294967296"
    " + 4294967296) %% 4294967296 < 2147483648"
)
# Both triggers have written in one transaction, or in one of its subtransactions. In a restored
# database, they have not: there, xmin is the restore's, and not near the transaction's ID. As it
# may be near by chance, older events must be of the transaction itself. One search of the index of
# objects: with an OR for what has no object ID, each event would take the whole log.
DOUBLE = (
    "EXISTS (SELECT 1 FROM auditrepr_auditlog AS own WHERE own.table_name = source.table_name"
    " AND own.object_id {} AND own.action = source.action"
    " AND CAST(CAST(own.xmin AS text) AS bigint) = source.transaction"
    " AND source.transaction - own.transaction_id %% 4294967296"
    f" BETWEEN 0 AND CASE WHEN {_RECENT} THEN 1000000 ELSE 0 END)"
)

_SETTING = "current_setting('{}')"

DIALECT = Dialect(
    text=text,
    document="CAST({} AS jsonb)",
    named=(
        "coalesce(CAST({context} AS jsonb), '{{}}') || jsonb_strip_nulls(jsonb_build_object("
        "'imported_from', CAST(%(source)s AS text), 'imported_text', CAST({text} AS text)))"
    ),
    is_object="jsonb_typeof(CAST({} AS jsonb)) = 'object'",
    is_time=READABLE_TIME.format("occurred_at"),
    is_whole="true",  # by its type, as those of the other columns
    is_name="true",
    without=without,
    # As in the triggers, 1 and 1.0 differ. Without OFFSET, the row would be made into JSON again
    # for each of its columns.
    difference=(
        "(SELECT jsonb_object_agg(was.key, was.value)"
        " FROM (SELECT {row} AS row, {earlier} AS earlier OFFSET 0) AS both_rows,"
        " jsonb_each(both_rows.earlier) AS was"
        " WHERE CAST(was.value AS text) IS DISTINCT FROM CAST(both_rows.row -> was.key AS text)"
        " AND both_rows.row ? was.key)"
    ),
    once="OFFSET 0",
    among="table_name IN (SELECT jsonb_array_elements_text(CAST(%({})s AS jsonb)))",
    known=(
        " LEFT JOIN jsonb_each(CAST(%(known)s AS jsonb)) AS known (name, about)"
        " ON known.name = table_name"
    ),
    since="CAST(known.about ->> 1 AS timestamptz)",
    whole=(
        "known.about IS NOT NULL AND CAST(row_data AS jsonb)"
        " ?& ARRAY(SELECT jsonb_array_elements_text(known.about -> 0))"
    ),
    doubled=(
        f"(({_RECENT} OR {_LATER}) AND ({DOUBLE.format('= CAST(source.object_id AS text)')}"
        f" OR source.action = 'T' AND {DOUBLE.format('IS NULL')}))"
    ),
)


class Importing(ImportFacet):
    """Reads the SELECTs of sources."""

    def import_dialect(self) -> Dialect:
        return DIALECT

    def unfit_types(self, select: str) -> list[UnfitType]:
        with self.connection.cursor() as cursor:
            cursor.execute(import_sql.columns(select), {})
            oids = {column[0]: column[1] for column in cursor.description or ()}
        types = {oid: about for oid, *about in self.rows(NAMES, [list(oids.values())])}
        return [
            UnfitType(name, types[oid][0], EXPECTED[name].words)
            for name, oid in oids.items()
            if not fits(name, *types[oid]) and not self._is_empty(select, name)
        ]

    def _is_empty(self, select: str, column: str) -> bool:
        """Return whether the column may be of any type, because it has no value."""
        if not EXPECTED[column].may_be_empty:
            return False
        return not self.rows(import_sql.some_value(select, column), {})[0][0]

    def plan_import(
        self, selections: Sequence[Selection], last_id: int, most: int | None = None
    ) -> int:
        events = super().plan_import(selections, last_id, most)
        # Otherwise, the planner knows nothing of the table, and might read the source as a whole
        # for each batch.
        self.execute(["ANALYZE auditrepr_plannedevent"])
        return events

    def document(self, cells: Sequence[Cell]) -> str:
        columns = ", ".join(f"{cell.sql} AS {quoted(cell.name)}" for cell in cells)
        unknown = ", ".join(
            f"CASE WHEN {cell.known} THEN NULL ELSE {literal(cell.name)} END"
            for cell in cells
            if cell.known
        )
        without = f" - ARRAY[{unknown}]::text[]" if unknown else ""
        return f"(SELECT to_jsonb(held.*){without} FROM (SELECT {columns}) AS held)"

    def key_text(self, values: Sequence[str]) -> str:
        if len(values) == 1:
            return f"(to_jsonb({values[0]}) #>> '{{}}')"
        return f"jsonb_build_array({', '.join(values)})::text"

    def deserialized(self, document: str, values: Sequence[Serialized]) -> str:
        return serialized.row(document, values)

    def json_text(self, text: str) -> str:
        return f"CASE WHEN {text}::text ~ '^\\s*\\{{' THEN {text}::jsonb END"

    def json_value(self, column: str) -> str:
        return f"nullif({column}::jsonb, 'null')"

    def json_element(self, document: str, name: str, index: str) -> str:
        return f"({document} -> {literal(name)} ->> ({index}))"

    def holds_object(self, document: str) -> str:
        return (
            f"EXISTS (SELECT 1 FROM jsonb_each({document}) AS held"
            " WHERE jsonb_typeof(held.value) = 'object')"
        )

    def json_moment(self, text: str) -> str:
        return MOMENT.format(f"({text})")

    def serialized_key(self, text: str, form: Form | None) -> str:
        return serialized.key(text, form)

    def row_number(self, row: str, key: str) -> str:
        return f"hashtextextended(CAST({key} AS text), 0)"

    def transaction_of(self, row: str) -> str:
        return f"{row}.xmin::text::bigint"

    def written(self, moment: datetime) -> datetime:
        # Without USE_TZ, times have no zone, and a session may have another one than the project.
        if is_aware(moment):
            return moment
        return moment.replace(tzinfo=ZoneInfo(self.connection.timezone_name))

    @contextmanager
    def pinned(self) -> Iterator[None]:
        # Compiling a statement over many tables takes longer than a batch.
        settings = {**PINNED, "jit": "off"}
        with transaction.atomic(self.using):
            before = self.row(f"SELECT {', '.join(map(_SETTING.format, settings))}") or ()
            self._set(settings)
            yield
            # The transaction may continue: without USE_TZ, times are those of the session's zone.
            self._set(dict(zip(settings, before, strict=True)))

    def _set(self, settings: Mapping[str, str]) -> None:
        self.execute(f"SET LOCAL {name} = {literal(value)}" for name, value in settings.items())

    @contextmanager
    def leaving_nothing(self) -> Iterator[None]:
        with transaction.atomic(self.using):
            yield
            transaction.set_rollback(True, self.using)

    def source_time(self, value: Any) -> datetime | None:
        return value if isinstance(value, datetime) else None
