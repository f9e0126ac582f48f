"""Tables that a test creates and audits, and their events."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from typing import Any

from django.db import connection, connections

from auditrepr import capture
from auditrepr.capture.state import Status
from auditrepr.models import AuditLog
from auditrepr.vendors import get_vendor
from auditrepr.vendors.capture_types import Capture
from tests.missing import could_not_try


def sql(*statements: str, using: str = "default") -> list[Any]:
    """Run the statements; gives the rows of the last one, if it has any."""
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def drop_triggers(name: str = "app_author", using: str = "default") -> None:
    """By hand, so that nothing is recorded of it."""
    sql(*get_vendor(using).remove_sql(name), using=using)


def status_of(name: str, using: str = "default") -> Status | None:
    """How the triggers of this table stand."""
    return {state.name: state.status for state in capture.inspect(using)}.get(name)


def rename_table(old: str, new: str) -> None:
    sql(f"ALTER TABLE {old} RENAME TO {new}")


def audit(
    name: str,
    *,
    excluded: Iterable[str] = (),
    db_table: str | None = None,
    key: tuple[str, ...] | None = None,
) -> Capture:
    """Install the triggers of this table, whether or not a model has it."""
    vendor = get_vendor("default")
    shape = vendor.shapes([name])[name]
    made = Capture(name, db_table or name, shape, key or shape.key_columns, frozenset(excluded))
    sql(*vendor.support_sql(), *vendor.install_sql(made))
    return made


def events(name: str, *fields: str) -> list[Any]:
    """The events of a table: action and key, or these fields, in the order that they came."""
    rows = AuditLog.objects.filter(table_name=name).order_by("pk")
    return list(rows.values_list(*(fields or ("action", "object_id"))))


def actions(name: str) -> str:
    """What happened to the table, a letter an event."""
    return "".join(action for action, _ in events(name))


def shell(script: str) -> None:
    """Have the database's own shell run this, as a program that knows nothing of Django."""
    settings = connection.settings_dict
    if connection.vendor == "postgresql":
        program, *arguments = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", settings["NAME"]]
        named = {"-U": settings["USER"], "-h": settings["HOST"], "-p": settings["PORT"]}
        arguments += [part for item in named.items() if item[1] for part in item]
    else:
        program, *arguments = ["sqlite3", "-bail", str(settings["NAME"])]
    if not shutil.which(program):
        could_not_try("a shell's writes", f"no {program} is installed")
    subprocess.run([program, *arguments], input=script, text=True, check=True)


def covered_since(using: str) -> dict[str, int]:
    """The event after which each table that is captured now has been, without a gap."""
    since = {name: row.since_event for name, row in capture.covered(using).items()}
    return {name: event for name, event in since.items() if event is not None}


def next_moment():
    """SQLite distinguishes the statements of one table by their milliseconds."""
    ask = "SELECT strftime('%f')" if connection.vendor == "sqlite" else "SELECT clock_timestamp()"
    ((now,),) = sql(ask)
    while sql(ask) == [(now,)]:
        pass


def insert(model, **values) -> None:
    """By SQL: the model itself would refuse."""
    columns = ", ".join(values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({columns})"
            f" VALUES ({', '.join(['%s'] * len(values))})",
            list(values.values()),
        )


def drop_append_only():
    from auditrepr.vendors.postgresql import trigger_templates
    from auditrepr.vendors.sqlite import triggers

    if connection.vendor == "sqlite":
        return triggers.drop_append_only()
    return [
        f"DROP TRIGGER IF EXISTS {name} ON {table}"
        for name in trigger_templates.APPEND_ONLY_TRIGGERS
        for table in ("auditrepr_auditlog", "auditrepr_sealentry")
    ]
