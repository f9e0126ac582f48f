"""PostgreSQL's part of attaching: a view of another log's table has the name of ours."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.db import Error, transaction

from ..attach_types import Attachment, Keys, LogView, Span, ViewFacts
from ..base import AttachFacet
from . import attached_plans, catalog
from .attached_sql import (
    ATTACHMENT,
    GUARD,
    MARK,
    OWN,
    aside_sql,
    away_sql,
    keys_sql,
    view_sql,
)
from .log_facts import FACTS
from .quoting import LOG, hashed, quoted

COLUMNS = """
SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
READS = f"""
FROM pg_rewrite AS rule JOIN pg_depend AS needs
    ON needs.classid = 'pg_rewrite'::regclass AND needs.objid = rule.oid
JOIN pg_class ON pg_class.oid = refobjid AND refclassid = 'pg_class'::regclass
WHERE ev_class = '{LOG}'::regclass AND refobjid <> ev_class
"""
READ = f"SELECT DISTINCT pg_class.oid::regclass::text {READS} ORDER BY 1"
ABOUT = f"""
WITH {FACTS}
SELECT relkind::text, quote_ident(nspname) || '.' || quote_ident(relname), (
    SELECT quote_ident(attname) FROM pg_index
    JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    WHERE indrelid = relation AND indisprimary AND indnkeyatts = 1
), sequence::regclass::text, coalesce(cache, 1),
    coalesce((
        SELECT seqincrement > 0 AND NOT seqcycle FROM pg_sequence WHERE seqrelid = sequence
    ), true), hidden
FROM facts JOIN pg_class ON pg_class.oid = relation
JOIN pg_namespace ON pg_namespace.oid = relnamespace
"""
REFUSED_READER = f"""
SELECT pg_get_userbyid(log.relowner)::text FROM pg_class AS log
WHERE log.oid = '{LOG}'::regclass AND EXISTS (
    SELECT {READS} AND NOT has_any_column_privilege(log.relowner, refobjid, 'SELECT')
)
"""
LAST_ID = f"""
WITH {FACTS}
SELECT CASE WHEN readable THEN coalesce(pg_sequence_last_value(sequence), before_first) END
FROM facts
"""
FUNCTIONS = """
SELECT pg_proc.oid::regprocedure::text FROM pg_proc
WHERE proname LIKE 'auditrepr\\_attached\\_%%' AND pronamespace = to_regnamespace(%s) ORDER BY 1
"""


def _span(*parts: Any) -> Span:
    """Return what is stored; what it lacks, an earlier version did not know."""
    return Span(*parts, *[[]] * (len(Span._fields) - len(parts)))


class Attaching(AttachFacet):
    """Attaches the log to the table of another one."""

    attachable = True

    def attachment(self) -> Attachment | None:
        comment, away = self.row(ATTACHMENT) or (None, False)
        if not str(comment).startswith(MARK):
            return None
        said = json.loads(comment.removeprefix(MARK))
        spans = {
            schema: {name: [_span(*span) for span in found] for name, found in tables.items()}
            for schema, tables in said["keys"]["spans"].items()
        }
        keys = Keys(said["keys"]["bare"], said["keys"]["names"], spans)
        known = said["known"]
        return Attachment(said["source"], said["version"], keys, said["digest"], known, away)

    def schemas(self) -> list[str]:
        return list(self.value("SELECT current_schemas(false)::text[]"))

    def attach(self, source: str, view: LogView, keys: Keys, version: int = 1) -> None:
        schema = catalog.log_schema(self.connection)
        there = self.attachment()
        if there is not None and there.in_place:
            self.set_view_aside()
        said = {"source": source, "version": version, "keys": asdict(keys), "known": view.known}
        said["digest"] = self.view_digest(view, keys, version)
        self.execute(away_sql(schema, said))
        self.execute(view.functions)
        self.create_keys(keys, version)
        self.execute(view_sql(schema, view, self._columns(OWN), version))

    def view_digest(self, view: LogView, keys: Keys, version: int) -> str:
        schema = catalog.log_schema(self.connection)
        columns = self._columns(OWN) or self._columns(LOG)
        made = view_sql(schema, view, columns, version) + keys_sql(schema, keys, version)
        return hashed("\n".join([*made, *view.functions]))

    def _columns(self, table: str) -> list[tuple[str, str]]:
        return self.rows(COLUMNS, [f"{quoted(catalog.log_schema(self.connection))}.{table}"])

    def create_keys(self, keys: Keys, version: int) -> None:
        self.execute(keys_sql(catalog.log_schema(self.connection), keys, version))

    def view_facts(self, version: int) -> ViewFacts:
        schema = catalog.log_schema(self.connection)
        tables = self.column(READ)
        if len(tables) != 1:
            return ViewFacts(tables, "", None, "", None, 1, True, False)
        ((kind, table, key, *about),) = self.rows(ABOUT)
        of = attached_plans.expressions(self.connection, schema) if kind in "rp" else {}
        facts = ViewFacts([table], kind, key, of.get("id", ""), *about)
        for name in ("table_name", "object_id", "previous_object_id"):
            if of and (why := attached_plans.refused(self.connection, table, of[name])):
                return facts._replace(unindexable=f"{name}: {why}")
        missing = attached_plans.missing(self.connection, schema, table, of, version)
        return facts._replace(indexes=list(missing) if of else ())

    def refused_reader(self) -> str | None:
        role: str | None = self.value(REFUSED_READER)
        return role

    def last_id_given(self) -> int | None:
        last: int | None = self.value(LAST_ID)
        return last

    def stop_writers(self) -> None:
        self.execute(f"LOCK TABLE {table} IN SHARE MODE" for table in self.column(READ))

    def set_view_aside(self) -> None:
        self.execute(aside_sql(catalog.log_schema(self.connection)))

    def detach(self) -> list[str]:
        schema = catalog.log_schema(self.connection)
        there = self.attachment()
        if there is not None and there.in_place:
            self.set_view_aside()
        self.execute(
            [
                f"COMMENT ON TABLE {quoted(schema)}.{LOG} IS NULL",
                f"DROP FUNCTION IF EXISTS {quoted(schema)}.{GUARD}()",
            ]
        )
        return [
            name for name in self.column(FUNCTIONS, [quoted(schema)]) if not self._dropped(name)
        ]

    def _dropped(self, function: str) -> bool:
        try:
            with transaction.atomic(self.using):
                self.execute([f"DROP FUNCTION {function}"])
        except Error:  # an index calls it
            return False
        return True
