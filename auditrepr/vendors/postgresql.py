"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Field, Model
from django.db.models.sql import Query

from .base import Image, Position, Vendor

# Values that a key's JSON text and Python's str() write alike.
_SAME_AS_TEXT = {int, str, UUID}

# The rows that events hold, typed by the table itself. What the log does not know (a column added
# later, left out, or replaced by a digest because it was too big) is named as missing.
IMAGE_SQL = """
SELECT wanted.id, wanted.before, unknown.names, {columns}
FROM unnest(%s::bigint[], %s::boolean[]) AS wanted (id, before)
JOIN auditrepr_auditlog log ON log.id = wanted.id
CROSS JOIN LATERAL (
    SELECT CASE WHEN wanted.before
        THEN log.row_data || coalesce(log.changed_from, '{{}}') ELSE log.row_data
    END AS document OFFSET 0
) held
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN held.document ?& needed.names
            AND NOT jsonb_path_exists(held.document, '$.*."$digest"') THEN '{{}}'
        ELSE ARRAY(
            SELECT name FROM unnest(needed.names) name
            WHERE NOT held.document ? name OR held.document -> name @> '{{"$digest": {{}}}}'
        )
    END AS names
    FROM (SELECT %s::text[] AS names) needed OFFSET 0
) unknown
CROSS JOIN LATERAL jsonb_populate_record(
    NULL::{table},
    CASE WHEN unknown.names = '{{}}' THEN held.document ELSE held.document - unknown.names END
) AS image
"""

SEQUENCE = "pg_get_serial_sequence('auditrepr_auditlog', 'id')::regclass"
POSITION = f"""
    SELECT greatest(
        pg_sequence_last_value({SEQUENCE}), (SELECT max(id) FROM auditrepr_auditlog), 0
    ), pg_current_xact_id()::text::bigint
"""


class PostgreSQL(Vendor):
    """PostgreSQL."""

    # --- capture -------------------------------------------------------------------------------

    def position(self) -> Position:
        with self.connection.cursor() as cursor:
            cursor.execute(POSITION)
            return Position(*cursor.fetchone())

    def sequence_cache(self) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT seqcache FROM pg_sequence WHERE seqrelid = {SEQUENCE}")
            row = cursor.fetchone()
            return row[0] if row else 1

    # --- rebuild -------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[None]:
        own = not self.connection.in_atomic_block
        with transaction.atomic(self.using), self.connection.cursor() as cursor:
            if own:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield
                return
            cursor.execute("SET LOCAL transaction_read_only = on")
            try:
                yield
            finally:
                # A savepoint's end restores it too, and only that can after an error.
                transaction.set_rollback(True, self.using)

    def image_rows(
        self, model: type[Model], images: Sequence[Image]
    ) -> Iterator[tuple[Image, frozenset[str], Sequence[Any]]]:
        fields = model._meta.local_concrete_fields
        compiler = Query(model).get_compiler(self.using)
        quote = self.connection.ops.quote_name
        columns = [f.select_format(compiler, f"image.{quote(f.column)}", []) for f in fields]
        sql = IMAGE_SQL.format(
            table=quote(model._meta.db_table), columns=", ".join(sql for sql, _ in columns)
        )
        with self.connection.cursor() as cursor:
            cursor.execute(
                sql,
                [
                    *(parameter for _, parameters in columns for parameter in parameters),
                    [image.event_id for image in images],
                    [image.before for image in images],
                    [field.column for field in fields],
                ],
            )
            for event_id, before, missing, *values in cursor:
                yield Image(event_id, before), frozenset(missing), values

    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        stored = [field.get_db_prep_value(value, self.connection) for value in values]
        if all(type(value) in _SAME_AS_TEXT for value in stored):
            return [str(value) for value in stored]
        with self.connection.cursor() as cursor:
            # The type's own way into JSON, as in the triggers.
            texts = f"to_jsonb(%s::{field.db_type(self.connection)}) #>> '{{}}'"
            cursor.execute(f"SELECT {', '.join([texts] * len(stored))}", stored)
            return list(cursor.fetchone())

    # --- pending -------------------------------------------------------------------------------

    # --- store and lease -----------------------------------------------------------------------
