"""supa_audit: all events in the table ``audit.record_version``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...vendors.attach_types import KEY, TABLE, LogView
from ..base import Facts, Order, Part, Source
from .log_tables import LogTable, Placed, find_table

COLUMNS = ("id", "op", "ts", "table_oid", "table_schema", "table_name", "record", "old_record")
# What distinguishes an object there is a hash with the number of the table.
HASHES = ("record_id", "old_record_id")
TABLES = "SELECT DISTINCT table_schema::text, table_name::text FROM {log}"
SELECT = """
SELECT event.id AS position, place.name AS table_name,
    CASE event.op::text WHEN 'DELETE' THEN {old_key} WHEN 'TRUNCATE' THEN NULL ELSE {key} END
        AS object_id,
    CASE WHEN event.op::text = 'UPDATE' THEN nullif({old_key}, {key}) END AS previous_object_id,
    CASE event.op::text WHEN 'INSERT' THEN 'I' WHEN 'UPDATE' THEN 'U' WHEN 'DELETE' THEN 'D'
        WHEN 'TRUNCATE' THEN 'T' END AS action,
    CASE event.op::text WHEN 'DELETE' THEN event.old_record ELSE event.record END AS row_data,
    CASE WHEN event.op::text = 'UPDATE' THEN coalesce((
        SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(event.old_record) AS was
        WHERE was.value::text IS DISTINCT FROM (event.record -> was.key)::text
    ), '{{}}') END AS changed_from,
    {context} AS context, event.ts AS occurred_at, event.xmin::text::bigint AS transaction
FROM {log} AS event
{places}
WHERE NOT (event.op::text = 'TRUNCATE' AND place.is_partition)
"""
TRUNCATES = """
SELECT table_schema::text, table_name::text, count(*) FROM {log} WHERE op::text = 'TRUNCATE'
GROUP BY 1, 2 ORDER BY 1, 2
"""
# As above. What indexes are made of must not depend on the text of an operation, which is not a
# constant for the server.
PLACE = "event.table_schema::text, event.table_name::text"
ROW = "CASE WHEN event.op = 'DELETE' THEN event.old_record ELSE event.record END"
CHANGED = """CASE WHEN event.op = 'UPDATE' THEN coalesce((
    SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(event.old_record) AS was
    WHERE was.value::text IS DISTINCT FROM (event.record -> was.key)::text
), '{}') END"""
VIEW = {
    "table_name": f"{TABLE}({PLACE})",
    "object_id": f"{KEY}({PLACE}, event.ts, {ROW})",
    "previous_object_id": (
        f"CASE WHEN event.op = 'UPDATE' THEN nullif({KEY}({PLACE}, event.ts, event.old_record),"
        f" {KEY}({PLACE}, event.ts, event.record)) END"
    ),
    "action": "CASE event.op::text WHEN 'INSERT' THEN 'I' WHEN 'UPDATE' THEN 'U'"
    " WHEN 'DELETE' THEN 'D' WHEN 'TRUNCATE' THEN 'T' END::varchar(1)",
    "row_data": ROW,
    "changed_from": CHANGED,
    "occurred_at": "event.ts",
    "xmin": "event.xmin",
}


class SupaAudit(Source):
    """The table of supa_audit, on PostgreSQL."""

    name = "supa_audit"
    facts = Facts(Order.WHOLE, deletes=True, before_images=True, whole_rows=True)

    def parts(self, using: str, tables: Collection[str] | None = None) -> list[Part]:
        log = self._log(using)
        placed = Placed.of(log, TABLES)
        select = SELECT.format(
            log=log.sql,
            key=placed.key("event.record"),
            old_key=placed.key("event.old_record"),
            context=_context(log),
            places=placed.join("event.table_schema", "event.table_name", "event.ts"),
        )
        return [Part("", select)]

    def tables(self, using: str) -> list[tuple[str, str]]:
        return [(schema, table) for schema, table in self._log(using).rows(TABLES)]

    def view(self, using: str, known: Any = None) -> LogView:
        log = self._log(using)
        columns = {
            "id": f"event.{log.quoted(log.key)}",
            "context": _context(log),
            "actor": log.user("auth_uid"),
        }
        return LogView(f"{log.sql} AS event", columns | VIEW)

    def left_out(self, using: str, tables: Collection[str] | None = None) -> dict[str, int]:
        log = self._log(using)
        return dict(Placed.of(log, TABLES).emptied(log, TRUNCATES, tables))

    def _log(self, using: str) -> LogTable:
        return find_table(self.name, using, "record_version", COLUMNS)


def _context(log: LogTable) -> str:
    return log.context({*COLUMNS, *HASHES}, user="auth_uid")
