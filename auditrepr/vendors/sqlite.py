"""SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from .base import Image, Position, Vendor

UNKNOWN = object()  # what a digest stands for

POSITION = """
    SELECT max(
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'auditrepr_auditlog'), 0),
        coalesce((SELECT max(id) FROM auditrepr_auditlog), 0)
    )
"""


class SQLite(Vendor):
    """SQLite."""

    # --- capture -------------------------------------------------------------------------------

    def position(self) -> Position:
        with self.connection.cursor() as cursor:
            cursor.execute(POSITION)
            return Position(cursor.fetchone()[0], None)

    def sequence_cache(self) -> int:
        return 1

    # --- rebuild -------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[None]:
        connection = self.connection
        if connection.in_atomic_block:
            with _refusing_writes(connection):
                yield
            return
        # Django's atomic() may begin IMMEDIATE, as the project's setting says: a reader that
        # keeps every writer waiting. A deferred one takes no lock that a writer needs.
        connection.ensure_connection()
        mode, connection.transaction_mode = connection.transaction_mode, "DEFERRED"
        try:
            with transaction.atomic(self.using), _refusing_writes(connection):
                yield
        finally:
            connection.transaction_mode = mode

    def image_rows(
        self, model: type[Model], images: Sequence[Image]
    ) -> Iterator[tuple[Image, frozenset[str], Sequence[Any]]]:
        fields = model._meta.local_concrete_fields
        converters = [_driver_converter(field, self.connection) for field in fields]
        documents = self._documents({image.event_id for image in images})
        for image in images:
            if image.event_id not in documents:
                continue
            document = _document(*documents[image.event_id], before=image.before)
            known = {c: v for c, v in document.items() if v is not UNKNOWN}
            values = [
                convert(known.get(field.column))
                for convert, field in zip(converters, fields, strict=True)
            ]
            missing = frozenset(f.column for f in fields if f.column not in known)
            yield image, missing, values

    def _documents(self, ids: Collection[int]) -> dict[int, tuple[str, str | None]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, row_data, changed_from FROM auditrepr_auditlog"
                " WHERE id IN (SELECT value FROM json_each(%s))",
                [json.dumps(sorted(ids))],
            )
            return {pk: (row, changed) for pk, row, changed in cursor}

    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        return [_key_text(field.get_db_prep_value(value, self.connection)) for value in values]

    # --- pending -------------------------------------------------------------------------------

    # --- store and lease -----------------------------------------------------------------------


@contextmanager
def _refusing_writes(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            cursor.execute("PRAGMA query_only = OFF")


def _document(row_data: str, changed_from: str | None, *, before: bool) -> dict[str, Any]:
    """The raw values of a row as SQLite stored them, by column."""
    document = json.loads(row_data)
    if before and changed_from:
        document |= json.loads(changed_from)
    return {column: _stored(value) for column, value in document.items()}


def _stored(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return bytes.fromhex(value["$blob"]) if "$blob" in value else UNKNOWN


def _driver_converter(
    field: Field[Any, Any], connection: BaseDatabaseWrapper
) -> Callable[[Any], Any]:
    """What Python's sqlite3 does to a column of this declared type (PARSE_DECLTYPES)."""
    words = (field.db_type(connection) or "").replace("(", " ").split()
    convert = sqlite3.converters.get(words[0].upper()) if words else None
    if convert is None:
        return lambda value: value
    return lambda value: None if value is None else convert(_as_bytes(value))


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _key_text(value: Any) -> str:
    return value.hex().upper() if isinstance(value, bytes) else str(value)
