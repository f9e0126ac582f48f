"""2ndQuadrant's audit trigger, with hstore, and its forks with JSON: one table of all events."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...vendors import get_vendor
from ...vendors.attach_types import KEY, TABLE, LogView
from ..base import Facts, Order, Part, Source
from .action_rows import ActionRows, Ignored, JsonRows, TextRows
from .attached_keys import every_table
from .log_tables import EveryPlace, LogTable, Placed, find_table
from .places import places

COLUMNS = (
    "schema_name", "table_name", "action_tstamp_clk", "action", "row_data", "changed_fields",
    "statement_only",
)  # fmt: skip
#: What says nothing of who and why; a statement has values in it, also of excluded columns.
OTHERS = ("relid", "action_tstamp_tx", "action_tstamp_stm", "client_query")
TABLES = "SELECT DISTINCT schema_name, table_name FROM {log}"
STATEMENTS = """
SELECT schema_name, table_name, count(*) FROM {log}
WHERE statement_only AND action <> 'T' GROUP BY 1, 2 ORDER BY 1, 2
"""
TRUNCATES = """
SELECT schema_name, table_name, count(*) FROM {log} WHERE action = 'T' GROUP BY 1, 2 ORDER BY 1, 2
"""
#: What the triggers ignore; some of them write it nevertheless, in the old row of an update.
IGNORED = r"""
SELECT nspname::text, relname::text, CASE WHEN tgnargs > 1 THEN convert_from(
    substring(rest FOR position('\x00'::bytea IN rest) - 1), getdatabaseencoding()
)::text[] ELSE '{}' END
FROM pg_trigger
JOIN pg_proc ON pg_proc.oid = tgfoid AND proname = 'if_modified_func'
JOIN pg_class AS class ON class.oid = tgrelid AND tgtype & 1 = 1
JOIN pg_namespace ON pg_namespace.oid = class.relnamespace
CROSS JOIN LATERAL substring(tgargs FROM position('\x00'::bytea IN tgargs) + 1) AS arguments (rest)
"""
#: The same where there is no longer a trigger: what the latest update has, and the latest row
#: that came or went has not.
LACKING = """
SELECT lately.schema_name, lately.table_name, ARRAY(
    SELECT {keys}(changed.row_data)
    EXCEPT SELECT {keys}(coalesce(whole.row_data, whole.changed_fields))
)
FROM (
    SELECT schema_name, table_name, max({key}) FILTER (WHERE action = 'U') AS changed,
        max({key}) FILTER (WHERE action IN ('I', 'D')) AS whole
    FROM {log} WHERE NOT statement_only GROUP BY 1, 2
) AS lately
JOIN {log} AS changed ON changed.{key} = lately.changed
JOIN {log} AS whole ON whole.{key} = lately.whole
"""
SELECT = """
SELECT event.{position} AS position, place.name AS table_name,
    CASE WHEN event.action <> 'T' THEN {key} END AS object_id,
    CASE WHEN event.action = 'U' THEN nullif({old_key}, {key}) END AS previous_object_id,
    event.action AS action, held.image AS row_data, held.changed AS changed_from,
    {context} AS context, event.action_tstamp_clk AS occurred_at
FROM {log} AS event
{places}
{rows}
WHERE CASE event.action WHEN 'T' THEN NOT place.is_partition
    ELSE event.statement_only IS NOT TRUE END
"""


PLACE = "event.schema_name, event.table_name"
TIME = "event.action_tstamp_clk"
#: What a row of the log holds: the import's own SQL, for one event. The server keeps its plan.
HELD = """
CREATE OR REPLACE FUNCTION {name}(event {log}, OUT image jsonb, OUT changed jsonb)
LANGUAGE plpgsql STABLE AS $held$
DECLARE
    place record;
BEGIN
    SELECT {number} AS n INTO place;
    SELECT held.image, held.changed INTO image, changed FROM (SELECT) AS one
    {rows};
END
$held$
"""
#: The types of keys whose texts are those of JSON.
KEY_TYPES = frozenset(
    ("smallint", "integer", "bigint", "numeric", "uuid", "text", "character varying", "character")
)


class LoggedActions(Source):
    """The table of 2ndQuadrant's trigger, or of a fork, on PostgreSQL."""

    name = "logged_actions"
    # Which columns the triggers ignore, the dry run shows by the events.
    facts = Facts(Order.WHOLE, deletes=True, before_images=True, whole_rows=True)

    def parts(self, using: str, tables: Collection[str] | None = None) -> list[Part]:
        log = self._log(using)
        placed = Placed.of(log, TABLES)
        rows = (TextRows if _has_texts(log) else JsonRows)(log, placed, trial=self.trial)
        held = "held.image"
        select = SELECT.format(
            position=log.quoted(log.key),
            key=placed.key(held),
            old_key=placed.key(f"({held} || held.changed)"),
            context=_context(log),
            log=log.sql,
            places=placed.join("event.schema_name", "event.table_name", "event.action_tstamp_clk"),
            rows=rows.join(_ignored(log, rows)),
        )
        return [Part("", select)]

    def tables(self, using: str) -> list[tuple[str, str]]:
        return [(schema, table) for schema, table in self._log(using).rows(TABLES)]

    def view(self, using: str, known: Any = None) -> LogView:
        log = self._log(using)
        placed = EveryPlace(using, places(using, every_table(using, ())))
        rows = (TextRows if _has_texts(log) else JsonRows)(log, placed)
        if known is None:
            found = _ignored(log, rows)
        else:  # of a table that it no longer records, only the events would say it
            found = {
                (schema, table): columns for schema, table, columns in known
            } | _named_by_triggers(log)
        held = f"{log.quoted(get_vendor(using).log_schema())}.auditrepr_attached_held"
        made = HELD.format(
            name=held,
            log=log.sql,
            number=placed.number("event.schema_name", "event.table_name", TIME),
            rows=rows.join(found),
        )
        return LogView(
            f"{log.sql} AS event",
            _columns(log, rows, held),
            [*rows.functions(), made],
            condition="event.action = 'T' OR event.statement_only IS NOT TRUE",
            key_types=KEY_TYPES if _has_texts(log) else None,
            known=sorted([*place, sorted(columns)] for place, columns in found.items()),
        )

    def left_out(self, using: str, tables: Collection[str] | None = None) -> dict[str, int]:
        log = self._log(using)
        placed = Placed.of(log, TABLES)
        names = {(one.schema, one.table): one.name for one in placed.places}
        found = placed.emptied(log, TRUNCATES, tables)
        for schema, table, number in log.rows(STATEMENTS):
            if tables is None or names[schema, table] in tables:
                found[f"{names[schema, table]}, of whole statements"] += number
        return dict(found)

    def _log(self, using: str) -> LogTable:
        return find_table(self.name, using, "logged_actions", COLUMNS)


def _columns(log: LogTable, rows: TextRows | JsonRows, held: str) -> dict[str, str]:
    """Return the columns of the view, by ours."""
    before, after = rows.merged.format(row="event.row_data"), rows.merged.format(row=rows.both)
    given = rows.merged.format(row="coalesce(event.row_data, event.changed_fields)")
    image = f"CASE WHEN event.action = 'U' THEN {after} ELSE {given} END"
    old, new = (f"{KEY}({PLACE}, {TIME}, {row})" for row in (before, after))
    return {
        "id": f"event.{log.quoted(log.key)}",
        "table_name": f"{TABLE}({PLACE})",
        "object_id": f"CASE WHEN event.action <> 'T' THEN {KEY}({PLACE}, {TIME}, {image}) END",
        "previous_object_id": f"CASE WHEN event.action = 'U' THEN nullif({old}, {new}) END",
        "action": "event.action::varchar(1)",
        "row_data": f"({held}(event)).image"
        if isinstance(rows, TextRows)
        else f"CASE WHEN event.action = 'U' THEN ({held}(event)).image ELSE {given} END",
        "changed_from": f"CASE WHEN event.action = 'U' THEN ({held}(event)).changed END",
        "context": _context(log),
        "actor": log.user("application_user_name"),
        "occurred_at": TIME,
        "xmin": "event.xmin",
    }


def _context(log: LogTable) -> str:
    return log.context({*COLUMNS, *OTHERS}, user="application_user_name")


def _has_texts(log: LogTable) -> bool:
    return log.columns["row_data"] not in ("json", "jsonb")


def _ignored(log: LogTable, rows: ActionRows) -> Ignored:
    """Return the columns that are not recorded of updates."""
    named = _named_by_triggers(log)
    if all((one.schema, one.table) in named for one in rows.placed.places):
        return named
    query = LACKING.replace("{keys}", rows.keys).replace("{key}", log.quoted(log.key))
    return {(schema, table): columns for schema, table, columns in log.rows(query)} | named


def _named_by_triggers(log: LogTable) -> dict[tuple[str, str], Collection[str]]:
    """Return the columns that the triggers say that they ignore, by table."""
    return {(schema, table): columns for schema, table, columns in log.rows(IGNORED)}
