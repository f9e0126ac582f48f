"""Erases, and shows all that auditrepr's tables hold."""

from __future__ import annotations

import re
import subprocess
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.db import connection

from auditrepr.job.erasing.run import Asked, Erased, erase
from auditrepr.job.erasing.target import ActorTarget, ObjectTarget
from auditrepr.job.locks.lease import DatabaseLock


def erased(model: Any, pk: Any, *columns: str, current: bool = False, **how: Any) -> Erased:
    """Erase an object."""
    target = ObjectTarget.of("default", model, pk, columns)
    if current:
        target.keep_current()
    batch = {name: how.pop(name) for name in ("batch_size", "stop") if name in how}
    return erase(Asked(target, **how), lock=DatabaseLock("default"), **batch)


def actor_erased(actor: str, *values: str, **how: Any) -> Erased:
    """Erase an actor."""
    target = ActorTarget("default", actor, values)
    return erase(Asked(target, **how), lock=DatabaseLock("default"))


def backfill(**options: Any) -> None:
    call_command("backfill_reprs", verbosity=0, **options)


def dump() -> str:
    """Everything in auditrepr's tables, in lower case, as a dump of the database has it."""
    if connection.vendor == "postgresql":
        return _dump_of_server().lower()
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'auditrepr%'"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{name}"')
            found += [f"{name} {row!r}" for row in cursor.fetchall()]
    return "\n".join(found).lower()


def _dump_of_server() -> str:
    tables = [model._meta.db_table for model in apps.get_app_config("auditrepr").get_models()]
    given = connection.get_connection_params()
    place = {"host": "host", "port": "port", "user": "username", "dbname": "dbname"}
    options = [f"--{place[name]}={given[name]}" for name in place if given.get(name)]
    named = [f"--table={table}*" for table in tables]  # with their partitions
    command = ["pg_dump", "--data-only", "--no-password", *options, *named]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)
