"""Helpers: another log, attached in place of ours for the time of a test."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

from django.core.management import CommandError, call_command
from django.db import connection

from auditrepr.models import AuditLog
from tests.capturing import sql


def command(*arguments: str, **options: Any) -> str:
    """Return what `audit_triggers` prints."""
    out = StringIO()
    call_command("audit_triggers", *arguments, stdout=out, **options)
    return out.getvalue()


def statements(source: str, **options: Any) -> list[str]:
    """Return the statements for the indexes that attaching asks for."""
    try:
        command("attach", source, **options)
    except CommandError as error:
        found = re.findall(r"CREATE INDEX [^;]+", str(error))
        if not found:
            raise
        return found
    return []


def attach(source: str) -> str:
    """Attach the log as its documentation says: with the indexes that are asked for first."""
    AuditLog.objects.all().delete()
    wanted = statements(source)
    sql(*(one.replace(" CONCURRENTLY", "") for one in wanted))
    return command("attach", source) if wanted else ""


def detach() -> None:
    """Put the log back, whatever the test has left."""
    if kind() == "v":
        command("detach", verbosity=0)


def kind() -> str:
    """Return what has the name of the log: a table (r), partitioned or not, or a view (v)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT replace(relkind::text, 'p', 'r') FROM pg_class"
            " WHERE oid = 'auditrepr_auditlog'::regclass"
        )
        return str(cursor.fetchone()[0])


def once(work: Callable[[], Any]) -> Callable[..., None]:
    """Return a function that does this when it is called first."""
    done: list[bool] = []

    def first(*_: Any) -> None:
        if not done:
            done.append(True)
            work()

    return first
