"""A log of a project's own, in one table, and what selects it for an import."""

from __future__ import annotations

from django.db import connection

from auditrepr.capture import coverage
from auditrepr.models import AuditLog, Coverage
from tests.capturing import next_moment, sql

SOURCES = {"SOURCES": {"ours": "tests.old_log.select"}}
COLUMNS = (
    "table_name, object_id, previous_object_id, action, row_data, changed_from, context,"
    " occurred_at"
)


def select(using: str) -> str:
    """As a project writes it: `what` holds a comment that has the wildcard of LIKE in it."""
    return f"SELECT number AS position, {COLUMNS} FROM old_log WHERE note NOT LIKE '%skip%' -- ours"


def create(name: str = "old_log") -> None:
    json, time = ("jsonb", "timestamptz") if connection.vendor == "postgresql" else ("text",) * 2
    sql(
        f"DROP TABLE IF EXISTS {name}",
        f"CREATE TABLE {name} (number bigint PRIMARY KEY, table_name text, object_id text,"
        f" previous_object_id text, action text, row_data {json}, changed_from {json},"
        f" context {json}, occurred_at {time}, note text NOT NULL DEFAULT '')",
    )


def drop(name: str = "old_log") -> None:
    sql(f"DROP TABLE IF EXISTS {name}")


def switch(name: str = "old_log", where: str = "true") -> None:
    """Let what was recorded so far be in the old log alone, and auditrepr's begin now."""
    sql(
        f"INSERT INTO {name} (number, {COLUMNS}) SELECT id, {COLUMNS} FROM auditrepr_auditlog"
        f" WHERE {where}"
    )
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    next_moment()


def begin() -> None:
    """Let the coverage of all tables begin now."""
    names = Coverage.objects.values_list("table_name", flat=True)
    coverage.start("default", dict.fromkeys(names, Coverage.Reason.INSTALLED))
