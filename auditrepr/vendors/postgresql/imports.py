"""PostgreSQL's part of imports: JSON, and the settings of the session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction

from ..base import ImportFacet
from .column_types import PINNED
from .quoting import literal


class Importing(ImportFacet):
    """Reads the SELECTs of sources."""

    document_sql = "CAST({} AS jsonb)"
    named_sql = (
        "coalesce(nullif(CAST({} AS jsonb), 'null'), '{{}}')"
        " || jsonb_build_object('imported_from', CAST(%(source)s AS text))"
    )
    is_object_sql = "jsonb_typeof(CAST({} AS jsonb)) = 'object'"
    is_time_sql = "true"
    among_sql = "table_name IN (SELECT jsonb_array_elements_text(CAST(%(tables)s AS jsonb)))"
    known_sql = (
        " LEFT JOIN jsonb_each(CAST(%(known)s AS jsonb)) AS known (name, about)"
        " ON known.name = table_name"
    )
    since_sql = "CAST(known.about ->> 1 AS timestamptz)"
    whole_sql = (
        "known.about IS NOT NULL AND CAST(row_data AS jsonb)"
        " ?& ARRAY(SELECT jsonb_array_elements_text(known.about -> 0))"
    )

    @contextmanager
    def pinned(self) -> Iterator[None]:
        with transaction.atomic(self.using):
            self.execute(f"SET LOCAL {name} = '{value}'" for name, value in PINNED.items())
            yield

    def without(self, document: str, columns: Sequence[str]) -> str:
        return f"{document} - ARRAY[{', '.join(map(self.text, columns))}]"

    def text(self, value: str) -> str:
        return literal(value).replace("%", "%%")

    def time(self, value: Any) -> datetime | None:
        return value if isinstance(value, datetime) else None
