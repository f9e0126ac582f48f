"""PostgreSQL's indexes for searching representations: pg_trgm if installed, or else prefixes."""

from __future__ import annotations

import re

from django.db import OperationalError, transaction

from ..base import SearchFacet
from ..base.search import scanned
from ..types import SearchIndex, Window
from .catalog import log_schema
from .quoting import quoted

TRIGRAMS = SearchIndex(anywhere=True, in_order=False)
BEGINNINGS = SearchIndex(anywhere=False, in_order=False)
NAMES = {"auditrepr_repr_trigrams": TRIGRAMS, "auditrepr_repr_beginnings": BEGINNINGS}

#: An entry of a B-tree must fit on a third of a page.
INDEXED_LENGTH = 100
#: Words in most representations are faster to search for without an index.
PATIENCE = "2s"

INSTALLED = """
SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
WHERE indrelid = to_regclass('auditrepr_instancerepr') AND indisvalid AND relname = ANY(%s)
"""
VALUES_INSTALLED = """
SELECT 1 FROM pg_index JOIN pg_class ON oid = indexrelid
WHERE indrelid = to_regclass('auditrepr_changedvalues') AND indisvalid AND relname = %s
"""
TRIGRAM_CLASS = """
SELECT quote_ident(nspname) || '.' || quote_ident(opcname) FROM pg_opclass
JOIN pg_am ON pg_am.oid = opcmethod JOIN pg_namespace ON pg_namespace.oid = opcnamespace
WHERE opcname = 'gin_trgm_ops' AND amname = 'gin'
"""
_BEGINNING = f"upper(left(instance_repr, {INDEXED_LENGTH}))"
VALUES_SAID = "text ILIKE %(pattern)s"
_SAID = {
    TRIGRAMS: "instance_repr ILIKE %(pattern)s",
    BEGINNINGS: f"{_BEGINNING} LIKE upper(%(beginning)s)"
    " AND upper(instance_repr) LIKE upper(%(pattern)s)",
}
#: Characters of an update's values that are indexed.
VALUES_LENGTH = 10_000
VALUES = "auditrepr_values_trigrams"
#: Bytes on disk of a row, or of what changed of it, that a search without an index unpacks.
SCANNED_SIZE = 50_000
_PAIRS = """
    SELECT value FROM jsonb_each_text(log.changed_from) AS old (key, value) WHERE {old}
    UNION ALL
    SELECT log.row_data ->> key FROM jsonb_object_keys(log.changed_from) AS new (key) WHERE {new}
"""
_SMALL = _PAIRS.format(
    old=f"pg_column_size(log.changed_from) < {SCANNED_SIZE}",
    new=f"pg_column_size(log.changed_from) + pg_column_size(log.row_data) < {SCANNED_SIZE}",
)
FILL_VALUES = f"""
INSERT INTO auditrepr_changedvalues (audit_log_id, text)
SELECT log.id, left(string_agg(pair.value, E'\\n'), {VALUES_LENGTH})
FROM auditrepr_auditlog log
    CROSS JOIN LATERAL ({_PAIRS.format(old="true", new="true")}) AS pair (value)
WHERE log.id > %s AND log.id <= %s AND log.changed_from IS NOT NULL AND pair.value <> ''
GROUP BY log.id ON CONFLICT DO NOTHING
"""
SCAN_VALUES = f"""
WITH near AS MATERIALIZED (
    SELECT id, row_data, changed_from FROM auditrepr_auditlog
    WHERE id > %(after)s AND id < %(before)s ORDER BY id {{direction}} LIMIT %(most)s
)
SELECT id, true FROM near log
WHERE changed_from IS NOT NULL
    AND EXISTS (SELECT FROM ({_SMALL}) AS pair (value) WHERE pair.value ILIKE %(pattern)s)
UNION ALL
    SELECT (SELECT id FROM near ORDER BY id {{direction}} LIMIT 1 OFFSET %(skipped)s), false
"""
# "+ 0" keeps the planner from the primary key's index, whatever its estimates.
SETTINGS = f"""
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true),
    set_config('enable_indexonlyscan', 'off', true), set_config('enable_bitmapscan', 'on', true),
    set_config('statement_timeout', '{PATIENCE}', true)
"""
SEARCH = """
SELECT audit_log_id FROM {table}
WHERE {said}
    AND (%(after)s::bigint IS NULL OR audit_log_id + 0 > %(after)s)
    AND (%(before)s::bigint IS NULL OR audit_log_id + 0 < %(before)s)
LIMIT %(limit)s
"""


def create_sql(index: SearchIndex, trigrams: str | None, schema: str) -> list[str]:
    """Return the SQL that creates the index.

    :param trigrams: the operator class of pg_trgm with its schema, if the extension is installed.
    :param schema: where the log is, quoted.
    """
    name = next(name for name, other in NAMES.items() if other == index)
    by = {
        TRIGRAMS: f"USING gin (instance_repr {trigrams})",
        BEGINNINGS: f"({_BEGINNING} text_pattern_ops)",
    }
    return [f"CREATE INDEX {name} ON {schema}.auditrepr_instancerepr {by[index]}"]


def drop_sql(schema: str) -> list[str]:
    """Return the SQL that drops both indexes, if they exist."""
    return [f"DROP INDEX IF EXISTS {schema}.{name}" for name in [*NAMES, VALUES]]


class Searching(SearchFacet):
    """Searches representations."""

    def search_index(self) -> SearchIndex | None:
        found = [NAMES[name] for name in self.column(INSTALLED, [list(NAMES)])]
        return TRIGRAMS if TRIGRAMS in found else next(iter(found), None)

    def best_search_index(self) -> SearchIndex:
        return TRIGRAMS if self.row(TRIGRAM_CLASS) else BEGINNINGS

    def search_sql(self, index: SearchIndex) -> list[str]:
        schema = quoted(log_schema(self.connection))
        return create_sql(index, self.value(TRIGRAM_CLASS), schema)

    def remove_search_sql(self) -> list[str]:
        return drop_sql(quoted(log_schema(self.connection)))

    def values_index(self) -> bool:
        return bool(self.row(VALUES_INSTALLED, [VALUES]))

    def values_sql(self) -> list[str]:
        schema, kind = quoted(log_schema(self.connection)), self.value(TRIGRAM_CLASS)
        return [
            f"CREATE INDEX {VALUES} ON {schema}.auditrepr_changedvalues USING gin (text {kind})"
        ]

    def fill_values(self, after: int, upto: int) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(FILL_VALUES, [after, upto])

    def scan_values(
        self, text: str, window: Window, forward: bool, most: int
    ) -> tuple[list[int], int | None]:
        return scanned(self, SCAN_VALUES, text, window, forward, most)

    def search_values(
        self, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        return self._search(VALUES_SAID, "auditrepr_changedvalues", TRIGRAMS, text, window, most)

    def search(
        self, index: SearchIndex, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        return self._search(_SAID[index], "auditrepr_instancerepr", index, text, window, most)

    def _search(
        self, said: str, table: str, index: SearchIndex, text: str, window: Window, most: int
    ) -> list[int] | None:
        # pg_trgm makes trigrams only of letters and digits, and uses no index for fewer than three.
        if index == TRIGRAMS and not re.search(r"[^\W_]{3}", text):
            return None
        prepare = self.connection.ops.prep_for_like_query
        pattern = prepare(text) + "%"
        parameters = {
            "pattern": "%" + pattern if index.anywhere else pattern,
            "beginning": prepare(text[:INDEXED_LENGTH]) + "%",
            "after": window.after,
            "before": window.before,
            "limit": most + 1,
        }
        try:
            with transaction.atomic(self.using):
                self.row(SETTINGS)
                found = self.column(SEARCH.format(said=said, table=table), parameters)
                # A rollback resets the settings, also inside the caller's transaction.
                transaction.set_rollback(True, self.using)
        except OperationalError:  # it took too long
            return None
        return None if len(found) > most else found
