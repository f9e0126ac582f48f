"""SQLite's part of imports: JSON, and times, which are text."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.dateparse import parse_datetime
from django.utils.timezone import make_aware

from ..base import ImportFacet
from .triggers import literal


class Importing(ImportFacet):
    """Reads the SELECTs of sources."""

    document_sql = "{}"
    named_sql = "json_patch(coalesce({}, '{{}}'), json_object('imported_from', %(source)s))"
    is_object_sql = "(json_valid({0}) AND json_type({0}) = 'object')"
    # As Django stores it: times are compared as text.
    is_time_sql = "(occurred_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:*')"
    among_sql = "table_name IN (SELECT value FROM json_each(%(tables)s))"
    known_sql = " LEFT JOIN json_each(%(known)s) AS known ON known.key = table_name"
    since_sql = "json_extract(known.value, '$[1]')"
    whole_sql = (
        "known.value IS NOT NULL AND json_valid(row_data) AND NOT EXISTS ("
        "SELECT 1 FROM json_each(known.value, '$[0]') AS wanted WHERE wanted.value NOT IN ("
        "SELECT held.key FROM json_each(row_data) AS held))"
    )

    def pinned(self) -> AbstractContextManager[None]:
        return transaction.atomic(self.using)

    def without(self, document: str, columns: Sequence[str]) -> str:
        return f"json_remove({document}, {', '.join(map(self._path, columns))})"

    def text(self, value: str) -> str:
        return literal(value).replace("%", "%%")

    def _path(self, column: str) -> str:
        return self.text(f'$."{column}"')

    def time(self, value: Any) -> datetime | None:
        found = parse_datetime(value) if isinstance(value, str) else None
        if found is None:
            return None
        return make_aware(found, self.connection.timezone) if settings.USE_TZ else found
