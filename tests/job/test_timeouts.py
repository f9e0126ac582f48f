"""Tests that no server-side timeout stops the job for good."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection

from auditrepr.job import backfill
from auditrepr.job.locks.file import FileLock
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.runs.result import Progress
from auditrepr.models import AuditLog, StopReason
from auditrepr.vendors.postgresql import reading
from tests import processes
from tests.app.models import Author
from tests.running import run, texts
from tests.waiting import expire, is_held, wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

NAMES = [f"author {n}" for n in range(5)]


@pytest.fixture(autouse=True)
def _five_authors(transactional_db):
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=name) for name in NAMES)


@contextmanager
def server_with(**settings: str) -> Iterator[None]:
    """All sessions that begin now have these settings, as of a role or a database of a team."""
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
    connection.close()
    try:
        yield
    finally:
        connection.close()
        with connection.cursor() as cursor:
            for name in settings:
                cursor.execute(f"ALTER DATABASE {database} RESET {name}")
        connection.close()


def takes(seconds: float):
    def __str__(author: Author) -> str:
        time.sleep(seconds)
        return author.name

    return __str__


@pytest.mark.proof
@pytest.mark.parametrize("name", ["statement_timeout", "lock_timeout"])
def test_a_run_outlasts_statements_that_time_out(name, caplog):
    caplog.set_level("INFO", "auditrepr")
    somebody = psycopg.connect(**connection.get_connection_params())
    with somebody, server_with(**{name: "200ms"}):

        def lock(progress: Progress) -> None:
            if progress.rows == 2:
                somebody.execute("LOCK TABLE auditrepr_instancerepr")
                threading.Timer(1, somebody.rollback).start()

        result = run(batch_size=2, on_progress=lock)
    assert f"canceling statement due to {name.replace('_', ' ')}" in caplog.text
    assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 5)
    assert texts() == NAMES


@pytest.mark.proof
def test_a_limit_that_no_query_keeps_is_one_clear_line_and_costs_nothing():
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE auditrepr_auditlog")  # however fast the server is
    with server_with(statement_timeout="100ms"):
        done = processes.run("backfill_reprs", "--max-seconds=1")
    other.close()
    (line,) = done.stderr.splitlines()
    assert (done.returncode, "due to statement timeout" in line) == (1, True)
    assert run().stop_reason == StopReason.CAUGHT_UP
    assert texts() == NAMES


@pytest.mark.proof
def test_a_row_may_take_longer_than_the_server_lets_transactions_be_idle(monkeypatch):
    monkeypatch.setattr(Author, "__str__", takes(0.5))
    with server_with(idle_in_transaction_session_timeout="200ms"):
        assert run(max_seconds=30).stop_reason == StopReason.CAUGHT_UP
    assert texts() == NAMES


def test_a_batch_may_take_longer_than_the_server_lets_transactions_last(monkeypatch):
    if connection.pg_version < 170000:
        pytest.skip("transaction_timeout needs PostgreSQL 17")
    monkeypatch.setattr(Author, "__str__", takes(0.2))
    with server_with(transaction_timeout="500ms"):
        assert run(max_seconds=30).stop_reason == StopReason.CAUGHT_UP
    assert texts() == NAMES


@pytest.mark.proof
def test_many_slow_rows_are_not_taken_for_a_process_that_has_stopped(monkeypatch, settings, caplog):
    caplog.set_level("INFO", "auditrepr")
    settings.AUDITREPR = {"ROW_SECONDS": 0.6}
    monkeypatch.setattr(reading, "SLACK", 0)
    monkeypatch.setattr(Author, "__str__", takes(0.3))
    assert run().stop_reason == StopReason.CAUGHT_UP, "1.5 s, where 1.2 s of silence are allowed"
    assert "Retrying" not in caplog.text
    assert texts() == NAMES


# Stops in the middle of a batch, so that it would hold up vacuum for as long as it lasts.
STOPS = """
import os, signal
from auditrepr.models import AuditLog
from auditrepr.vendors.postgresql import reading
from django.conf import settings
settings.AUDITREPR = {"ROW_SECONDS": 0.2}
reading.SLACK = 0
def stop(author):
    print("stops", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    return author.name
Author.__str__ = stop
call_command("backfill_reprs", "--max-seconds=1", verbosity=0)
"""


def held_up() -> bool:
    """Is there another session with a moment of its own, for which vacuum keeps old rows?"""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL"
        )
        return cursor.fetchone() != (0,)


@pytest.mark.proof
def test_a_process_that_stopped_while_it_read_holds_nothing_up():
    with processes.start_python(STOPS) as job:
        try:
            assert job.stdout.readline() == "stops\n"
            assert held_up()
            until = time.monotonic() + 20
            while held_up():
                assert time.monotonic() < until, "the server ends it"
                time.sleep(0.05)
        finally:
            job.kill()
            job.communicate()


@pytest.mark.proof
def test_a_connection_that_is_ended_while_it_waits_does_not_cost_the_lease():
    """The one that renews it says nothing for most of the time."""
    lock = DatabaseLock("default", seconds=1.5)
    with server_with(idle_session_timeout="200ms"), lock, lock.kept_alive():
        for _ in range(3):
            connection.close()  # ended, too: a run takes a new one
            expire()
            wait_until(is_held)
        connection.close()


@pytest.mark.proof
def test_a_run_that_waits_outlasts_sessions_that_time_out(tmp_path):
    """While it waits for a lock file, it says nothing to the server."""
    path = tmp_path / "lock"
    with FileLock("default", path=path) as held, server_with(idle_session_timeout="200ms"):
        assert held
        threading.Timer(1, held.__exit__, (None, None, None)).start()
        result = backfill.run("default", lock=FileLock("default", path=path, wait=20))
    assert (result.stop_reason, result.error) == (StopReason.CAUGHT_UP, "")
    assert texts() == NAMES


@pytest.mark.proof
def test_a_run_that_is_skipped_does_not_fail_for_a_number():
    run()
    somebody = psycopg.connect(**connection.get_connection_params())
    with somebody, server_with(lock_timeout="200ms"), DatabaseLock("default") as lock:
        assert lock
        somebody.execute("UPDATE auditrepr_backfillrun SET skipped_runs = skipped_runs + 1")
        assert run().stop_reason == StopReason.LOCKED
        somebody.rollback()
