"""SQLite's part of imports: JSON, and times, which are text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.dateparse import parse_datetime
from django.utils.timezone import make_aware

from ..base import ImportFacet
from ..import_sql import Dialect
from ..import_types import Cell, Form, Serialized
from . import serialized
from .quoting import literal
from .trigger_body import document, key_text


def text(value: str) -> str:
    """Return the text as SQL of a statement with parameters."""
    return literal(value).replace("%", "%%")


def without(document: str, columns: Sequence[str]) -> str:
    """Return SQL for a document without these columns."""
    removed = text(json.dumps(dict.fromkeys(columns), ensure_ascii=False))
    return f"json_patch({document}, {removed})"


DIALECT = Dialect(
    text=text,
    document="{}",
    named=(
        "json_patch(coalesce({context}, '{{}}'),"
        " json_object('imported_from', %(source)s, 'imported_text', CAST({text} AS text)))"
    ),
    is_object="(json_valid({0}) AND json_type({0}) = 'object')",
    # Times are compared as text, so all must be written in one way, and be days that there are.
    is_time=(
        "coalesce(strftime('%%Y-%%m-%%d %%H:%%M:%%S', substr(occurred_at, 1, 19), '+0 days')"
        " = substr(occurred_at, 1, 19) AND occurred_at >= '0001'"
        " AND (length(occurred_at) = 19 OR occurred_at GLOB '*.[0-9]*')"
        " AND substr(occurred_at, 21) NOT GLOB '*[^0-9]*' AND length(occurred_at) <= 26, false)"
    ),
    is_whole="typeof(position) = 'integer'",
    is_name="typeof(table_name) = 'text'",
    without=without,
    # What is the same is taken out of the document, so that the rest stays as it is written.
    difference=(
        "nullif(json_patch({earlier}, (SELECT json_group_object(was.key, NULL)"
        " FROM json_each({earlier}) AS was LEFT JOIN json_each({row}) AS now ON now.key = was.key"
        " WHERE now.key IS NULL OR (now.type = was.type AND now.value IS was.value))), '{{}}')"
    ),
    once="LIMIT -1",
    among="table_name IN (SELECT value FROM json_each(%({})s))",
    known=" LEFT JOIN json_each(%(known)s) AS known ON known.key = table_name",
    since="json_extract(known.value, '$[1]')",
    whole=(
        "known.value IS NOT NULL AND json_valid(row_data) AND NOT EXISTS ("
        "SELECT 1 FROM json_each(known.value, '$[0]') AS wanted WHERE wanted.value NOT IN ("
        "SELECT held.key FROM json_each(row_data) AS held))"
    ),
    doubled="false",  # no row says which transaction wrote it
)


class Importing(ImportFacet):
    """Reads the SELECTs of sources."""

    def import_dialect(self) -> Dialect:
        return DIALECT

    def document(self, cells: Sequence[Cell]) -> str:
        return document(cells)

    def key_text(self, values: Sequence[str]) -> str:
        return key_text(values)

    def deserialized(self, document: str, values: Sequence[Serialized]) -> str:
        if self.connection.timezone_name != "UTC":
            values = [value for value in values if value.form is not Form.DATETIME]
        return serialized.row(document, values)

    def json_text(self, text: str) -> str:
        return f"CASE WHEN json_valid({text}) AND json_type({text}) = 'object' THEN {text} END"

    def json_value(self, column: str) -> str:
        return f"CASE WHEN json_valid({column}) AND json_type({column}) <> 'null' THEN {column} END"

    def json_element(self, document: str, name: str, index: str) -> str:
        array = literal(f'$."{name}"[')
        return f"json_extract({document}, {array} || ({index}) || ']')"

    def holds_object(self, document: str) -> str:
        return f"EXISTS (SELECT 1 FROM json_each({document}) AS held WHERE held.type = 'object')"

    def serialized_key(self, text: str, form: Form | None) -> str:
        return serialized.key(text, form)

    def row_number(self, row: str, key: str) -> str:
        return f"{row}.rowid"

    def pinned(self) -> AbstractContextManager[None]:
        return transaction.atomic(self.using)

    def leaving_nothing(self) -> AbstractContextManager[None]:
        # A transaction that has read cannot write while others do; and here nothing is created.
        return nullcontext()

    def source_time(self, value: Any) -> datetime | None:
        found = parse_datetime(value) if isinstance(value, str) else None
        if found is None:
            return None
        return make_aware(found, self.connection.timezone) if settings.USE_TZ else found
