"""Builds the SQL of SQLite's triggers; nothing here is executed.

Only functions that are built into SQLite occur, so that any program can still write to the file.

A statement that fires a trigger compiles it first, and that takes longer than running it. So the
columns are the rows of a common table expression, and one expression serves all of them: with 15
columns the statement is ready in a quarter of the time that one expression for each column takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..capture_types import Capture, Column
from ..import_types import Cell

PREFIX = "auditrepr_"
ACTIONS = ("insert", "update", "delete")

#: Bytes that the values of one row may have together before the longest become digests. SQLite
#: allows a row of the log 10**9; it may hold two images, with six bytes for a control character.
LARGEST_ROW = 30_000_000

_NOTE = "/* auditrepr "

# A connection adds the context to an event (see ADD_CONTEXT): the only change that is allowed.
_KEPT = (
    "id", "table_name", "object_id", "previous_object_id", "action", "row_data", "changed_from",
    "writer", "transaction_id", "snapshot", "statement_at", "occurred_at",
)  # fmt: skip
_CHANGED = " OR ".join(
    ["old.context IS NOT NULL", "new.context IS NULL"]
    + [f"old.{name} IS NOT new.{name}" for name in _KEPT]
)
#: The append-only triggers: the statement that each rejects, and its condition. REPLACE deletes
#: without firing delete triggers, unless a connection enables them: so its insert is rejected.
APPEND_ONLY = {
    "append_only_auditrepr_update": f"UPDATE ON {{log}} WHEN {_CHANGED}",
    "append_only_auditrepr_delete": "DELETE ON {log}",
    "append_only_auditrepr_replace": (
        "INSERT ON {log} WHEN EXISTS (SELECT 1 FROM {log} AS held WHERE held.id = new.id)"
    ),
}

#: Likewise those of the chain of seals.
APPEND_ONLY_SEALS = {
    "append_only_auditrepr_seals_update": "UPDATE ON {log}",
    "append_only_auditrepr_seals_delete": "DELETE ON {log}",
    "append_only_auditrepr_seals_replace": (
        "INSERT ON {log} WHEN EXISTS (SELECT 1 FROM {log} AS held WHERE held.number = new.number)"
    ),
}

#: Never fires: it comes after the triggers of all tables, and so before later replacements.
SEAL = "auditrepr_seal"
DROP_SEAL = f"DROP TRIGGER IF EXISTS {SEAL}"

# A trigger of one connection: only such a trigger may call a Python function. Events that are
# imported keep their own context.
ADD_CONTEXT = """CREATE TEMP TRIGGER IF NOT EXISTS auditrepr_context
 AFTER INSERT ON main.auditrepr_auditlog
 WHEN new.context IS NULL AND auditrepr_context() IS NOT NULL
 BEGIN UPDATE auditrepr_auditlog SET context = auditrepr_context() WHERE id = new.id; END"""

# SQLite's own reading and printing of decimals (quote() uses both) is not always exact; 20 digits
# are. 19.99 is written as such only because it is 19990000 / 10**6 in plain arithmetic. JSON has no
# infinity, but every parser reads 9e999 as infinity.
REAL = (
    "iif(abs({value}) < 1e9 AND {value} = round({value} * 1e6) / 1e6, printf('%!.15g', {value}),"
    " replace(printf('%!.20g', {value}), 'Inf', '9e999'))"
)

# Only text and blobs are not less than '', and only blobs are not less than x''. The plus removes
# the type of the first column of the image. Text with '' added to it is a string even if it came
# from a JSON function. SQLite has no hash function: the length and the first 1000 bytes stand in.
_VALUE = f"""CASE
 WHEN +{{value}} >= '' THEN CASE
  WHEN length(CAST({{value}} AS BLOB)) > {{share}}
   AND (SELECT sum(length(CAST({{value}} AS BLOB))) FROM image) > {LARGEST_ROW}
   THEN json('{{{{"$digest":{{{{"bytes":' || length(CAST({{value}} AS BLOB))
    || ',"head":"' || hex(substr(CAST({{value}} AS BLOB), 1, 1000)) || '"}}}}}}}}')
  WHEN +{{value}} >= x'' THEN json('{{{{"$blob":"' || hex({{value}}) || '"}}}}')
  ELSE {{value}} || '' END
 WHEN typeof({{value}}) = 'real' THEN json({REAL})
 ELSE {{value}} END"""


def quote(name: str) -> str:
    """Return the name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return the text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def trigger_name(action: str, table: str) -> str:
    """Return the name of the table's trigger for ``insert``, ``update`` or ``delete``."""
    return f"{PREFIX}{action}_{table}"


def action_and_table(trigger: str) -> tuple[str, str]:
    """Return the arguments of trigger_name(); two empty strings for a third-party trigger."""
    action, _, table = trigger.removeprefix(PREFIX).partition("_")
    return (action, table) if trigger == trigger_name(action, table) else ("", "")


def create(capture: Capture, log: str, now: str, fingerprint: str = "") -> list[str]:
    """Return the SQL that creates the three triggers of a table.

    :param log: the audit log's table.
    :param now: an SQL expression for the time, as Django stores it.
    :param fingerprint: what the triggers were made from, for a comment in them.
    """
    columns = [column.name for column in _columns(capture)]
    excluded = sorted(capture.excluded)
    note = json.dumps({"fingerprint": fingerprint, "excluded": excluded, "columns": columns})
    # A column's name must not end the comment early.
    note = note.replace("*", "\\u002a")
    events = {"insert": _insert(capture), "update": _update(capture), "delete": _delete(capture)}
    return [
        f"CREATE TRIGGER {quote(trigger_name(action, capture.name))}"
        f" AFTER {action} ON {quote(capture.name)}"
        f"{' WHEN ' + _changed(capture) if action == 'update' else ''} BEGIN"
        f" INSERT INTO {quote(log)} (table_name, occurred_at,"
        " object_id, previous_object_id, action, row_data, changed_from)"
        f" SELECT {literal(capture.name)}, {now}, {events[action]};"
        f" {_NOTE}{note} */ END"
        for action in ACTIONS
    ]


def read_note(sql: str) -> dict[str, Any]:
    """Return what create() wrote into the comment of this trigger; empty if there is none."""
    _, found, rest = sql.rpartition(_NOTE)
    return dict(json.loads(rest.partition(" */")[0])) if found else {}


def drop(table: str) -> list[str]:
    """Return the SQL that drops the three triggers of a table, if they exist."""
    return [f"DROP TRIGGER IF EXISTS {quote(trigger_name(action, table))}" for action in ACTIONS]


def create_seal() -> list[str]:
    """Return the SQL that re-creates the seal."""
    on = "DELETE ON auditrepr_coverage WHEN 0"
    return [DROP_SEAL, f"CREATE TRIGGER {SEAL} AFTER {on} BEGIN SELECT 1; END"]


def create_append_only(log: str, events: Mapping[str, str] = APPEND_ONLY) -> list[str]:
    """Return the SQL that creates the append-only triggers of the log, or of another table."""
    return [
        f"CREATE TRIGGER {name} BEFORE {event.format(log=quote(log))}"
        f" BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for name, event in events.items()
    ]


def drop_append_only() -> list[str]:
    """Return the SQL that drops the append-only triggers, if they exist."""
    return [f"DROP TRIGGER IF EXISTS {name}" for name in (*APPEND_ONLY, *APPEND_ONLY_SEALS)]


def document(cells: Sequence[Cell]) -> str:
    """Return SQL for the JSON text of a row, from expressions for its values."""
    rows = ", ".join(
        f"({literal(one.name)}, {one.sql}, {one.known or 1}, {int(one.is_json)})" for one in cells
    )
    value = _VALUE.format(value="value", share=LARGEST_ROW // len(cells))
    return (
        f"(WITH image (name, value, known, is_json) AS NOT MATERIALIZED (VALUES {rows})"
        f" SELECT json_group_object(name, CASE WHEN is_json THEN json(value) ELSE {value} END)"
        " FILTER (WHERE known) FROM image)"
    )


def key_text(parts: Sequence[str]) -> str:
    """Return SQL for the text of a key, from expressions for its columns."""
    if len(parts) == 1:
        return _key_text(parts[0])
    texts = ", ".join(f"iif(typeof({part}) = 'blob', hex({part}), {part})" for part in parts)
    return f"json_array({texts})"


def _insert(capture: Capture) -> str:
    return f"{_object_id(capture, 'new')}, NULL, 'I', {_row(capture, 'new')}, NULL"


def _delete(capture: Capture) -> str:
    return f"{_object_id(capture, 'old')}, NULL, 'D', {_row(capture, 'old')}, NULL"


def _update(capture: Capture) -> str:
    return (
        "key, nullif(previous, key), 'U', row_data, changed_from"
        f" FROM (WITH image (name, before, after) AS {_image(capture, 'old', 'new')}"
        f" SELECT {_object_id(capture, 'new')} AS key, {_object_id(capture, 'old')} AS previous,"
        f" {_object(capture, 'after')} AS row_data,"
        f" {_object(capture, 'before')} FILTER (WHERE {_differ(capture)}) AS changed_from"
        " FROM image)"
    )


def _row(capture: Capture, row: str) -> str:
    """Return SQL for the whole row as JSON text."""
    return (
        f"(WITH image (name, value) AS {_image(capture, row)}"
        f" SELECT {_object(capture, 'value')} FROM image)"
    )


def _object(capture: Capture, value: str) -> str:
    """Return SQL for the JSON object of the image's rows.

    A value is included in full if it is no larger than its share of the row's limit, or if the row
    has room for it.
    """
    share = LARGEST_ROW // len(_columns(capture))
    return f"json_group_object(name, {_VALUE.format(value=value, share=share)})"


def _image(capture: Capture, *rows: str) -> str:
    """Return SQL for one row per column: its name, and its value in each of the rows."""
    values = ", ".join(
        f"({literal(name)}, {', '.join(f'{row}.{quote(name)}' for row in rows)})"
        for name in (column.name for column in _columns(capture))
    )
    # SQLite would write an expression that is used twice to a temporary table, which is slower.
    return f"NOT MATERIALIZED (VALUES {values})"


def _changed(capture: Capture) -> str:
    """Return a condition that any column has changed."""
    pairs = [
        f"old.{quote(column.name)} IS NOT new.{quote(column.name)} COLLATE BINARY"
        for column in _columns(capture)
    ]
    pairs += [
        f"typeof(old.{quote(column.name)}) <> typeof(new.{quote(column.name)})"
        for column in _columns(capture)
        if _keeps_any_type(column)
    ]
    if not capture.key_columns:
        pairs.append(f"{_object_id(capture, 'old')} IS NOT {_object_id(capture, 'new')}")
    return _balanced(pairs)


def _differ(capture: Capture) -> str:
    differ = "+before IS NOT +after COLLATE BINARY"
    if any(map(_keeps_any_type, _columns(capture))):
        return f"{differ} OR typeof(before) <> typeof(after)"
    return differ


def _keeps_any_type(column: Column) -> bool:
    """Return whether 1 may become 1.0 in this column; other types make them the same."""
    declared = column.type.upper()
    return "BLOB" in declared or declared in ("", "ANY")


def _balanced(conditions: Sequence[str]) -> str:
    """Return the conditions joined by OR, as a tree: SQLite limits the depth to 1000."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return f"({_balanced(conditions[:half])} OR {_balanced(conditions[half:])})"


def _object_id(capture: Capture, row: str) -> str:
    if not capture.key_columns:
        return _rowid(capture, row)
    return key_text([f"{row}.{quote(name)}" for name in capture.key_columns])


def _key_text(value: str) -> str:
    return (
        f"CASE typeof({value}) WHEN 'blob' THEN hex({value})"
        f" WHEN 'real' THEN {REAL.format(value=value)} ELSE CAST({value} AS TEXT) END"
    )


def _rowid(capture: Capture, row: str) -> str:
    """Return SQLite's own number of the row, by a name that no column has."""
    taken = {column.name.lower() for column in capture.shape.columns}
    free = [name for name in ("rowid", "oid", "_rowid_") if name not in taken]
    return f"CAST({row}.{free[0]} AS TEXT)" if free else "NULL"


def _columns(capture: Capture) -> list[Column]:
    """Return the columns that may be recorded; a key is never excluded, so there is always one."""
    excluded = {name.lower() for name in capture.excluded}
    return [column for column in capture.shape.columns if column.name.lower() not in excluded]
