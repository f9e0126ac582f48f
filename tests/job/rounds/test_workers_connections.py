"""Workers behind PgBouncer, with Django's pool, with kept connections, and in strict isolation."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from auditrepr.models import AuditLog, BackfillRun
from tests.pgbouncer_server import PORT, bouncing
from tests.rounds import Gate, check_all_is_stored, holders, three_workers

pytestmark = [pytest.mark.proof, pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def isolated(level: str) -> str:
    options = connection.settings_dict["OPTIONS"].get("options", "")
    return json.dumps(
        {"OPTIONS": {"options": f"{options} -c default_transaction_isolation={level}"}}
    )


@contextmanager
def reached(way: str) -> Iterator[dict[str, str]]:
    """Yield what makes the processes of a test connect in this way."""
    if way == "PgBouncer":
        # While it builds, a worker has a session: it reads one moment of the database.
        with bouncing(sessions=4) as folder:
            user = connection.settings_dict["USER"]
            yield {"TEST_POSTGRES_URL": f"postgres://{user}@/auditrepr?host={folder}&port={PORT}"}
        return
    ways = {
        "pool": json.dumps({"OPTIONS": {"pool": {"min_size": 1, "max_size": 3}}}),
        "kept": json.dumps({"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}),
        "repeatable read": isolated(r"repeatable\ read"),
        "serializable": isolated("serializable"),
    }
    yield {"TEST_DATABASE_SETTINGS": ways[way]}


@pytest.mark.parametrize("way", ["PgBouncer", "pool", "kept", "repeatable read", "serializable"])
def test_workers_share_the_backlog_and_one_that_is_killed_costs_nothing(way, tmp_path):
    AuditLog.objects.all().delete()
    gate = Gate(tmp_path)
    with reached(way) as more:
        gate.env |= more
        with three_workers(gate) as process:
            victim = min(holders() - {process.pid})
            os.kill(victim, signal.SIGKILL)
            gate.open()
            output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert f"(process {victim}: SIGKILL)" in errors
    assert len(errors.splitlines()) == 1, errors
    assert "Nothing left to do." in output
    check_all_is_stored()
    records = BackfillRun.objects.exclude(pid=victim)
    assert {record.stop_reason for record in records} == {"caught-up"}, list(records.values())
