"""Builds the SQL of SQLite's triggers; nothing here is executed.

Only functions that are built into SQLite occur, so that any program can still write to the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..capture_types import Capture
from . import trigger_body
from .quoting import literal, quoted

PREFIX = "auditrepr_"
ACTIONS = ("insert", "update", "delete")

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
    columns = [column.name for column in trigger_body.columns(capture)]
    excluded = sorted(capture.excluded)
    note = json.dumps({"fingerprint": fingerprint, "excluded": excluded, "columns": columns})
    # A column's name must not end the comment early.
    note = note.replace("*", "\\u002a")
    events = {
        "insert": trigger_body.insert(capture),
        "update": trigger_body.update(capture),
        "delete": trigger_body.delete(capture),
    }
    return [
        f"CREATE TRIGGER {quoted(trigger_name(action, capture.name))}"
        f" AFTER {action} ON {quoted(capture.name)}"
        f"{' WHEN ' + trigger_body.changed(capture) if action == 'update' else ''} BEGIN"
        f" INSERT INTO {quoted(log)} (table_name, occurred_at,"
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
    return [f"DROP TRIGGER IF EXISTS {quoted(trigger_name(action, table))}" for action in ACTIONS]


def create_seal() -> list[str]:
    """Return the SQL that re-creates the seal."""
    on = "DELETE ON auditrepr_coverage WHEN 0"
    return [DROP_SEAL, f"CREATE TRIGGER {SEAL} AFTER {on} BEGIN SELECT 1; END"]


def create_append_only(log: str, events: Mapping[str, str] = APPEND_ONLY) -> list[str]:
    """Return the SQL that creates the append-only triggers of the log, or of another table."""
    return [
        f"CREATE TRIGGER {name} BEFORE {event.format(log=quoted(log))}"
        f" BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for name, event in events.items()
    ]


def drop_append_only() -> list[str]:
    """Return the SQL that drops the append-only triggers, if they exist."""
    return [f"DROP TRIGGER IF EXISTS {name}" for name in (*APPEND_ONLY, *APPEND_ONLY_SEALS)]
