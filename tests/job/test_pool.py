"""Tests connections that outlive their user: Django's pool, and persistent connections."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import close_old_connections, connection, connections

import auditrepr
from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, Lease, StopReason
from tests.app.models import Author
from tests.running import texts

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def pool(monkeypatch):
    """Two connections for all threads; who closes one puts it back."""
    AuditLog.objects.all().delete()
    connection.close()
    monkeypatch.setitem(
        connection.settings_dict,
        "OPTIONS",
        connection.settings_dict["OPTIONS"] | {"pool": {"min_size": 2, "max_size": 2}},
    )
    yield connection.pool
    connection.close()
    connection.close_pool()


def session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def end(pid: int) -> None:
    other = ThreadPoolExecutor(1)

    def terminate() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.close()

    other.submit(terminate).result()
    other.shutdown()


@pytest.mark.proof
def test_the_job_works_with_djangos_pool(pool):
    for name in "abc":
        Author.objects.create(name=name)
        connection.close()
        call_command("backfill_reprs", batch_size=1, verbosity=0)
    assert texts() == ["a", "b", "c"]
    assert Lease.objects.get().token is None
    assert pool.get_stats()["pool_size"] == 2
    with connection.cursor() as cursor:
        for name in ("transaction_read_only", "statement_timeout", "auditrepr.context",
                     "idle_in_transaction_session_timeout"):  # fmt: skip
            cursor.execute("SELECT current_setting(%s, true)", [name])
            (left,) = cursor.fetchone()
            assert left in (None, "", "0", "off"), f"{name} is left to the next user"


@pytest.mark.proof
def test_a_run_whose_pooled_connection_is_ended_goes_on_with_another(pool):
    Author.objects.bulk_create(Author(name=name) for name in "abcd")
    ended: list[int] = []

    def once(progress) -> None:
        if not ended:
            ended.append(session())
            end(ended[0])

    lock = DatabaseLock("default")
    result = backfill.run("default", lock=lock, batch_size=2, on_progress=once)
    assert (result.stop_reason, result.error) == (StopReason.CAUGHT_UP, "")
    assert texts() == ["a", "b", "c", "d"]


def test_who_writes_stays_apart_in_the_pools_connections(pool):
    """More threads than connections, each with a context of its own, and one without."""
    together = threading.Barrier(6)

    def write(number: int) -> None:
        together.wait()
        for _ in range(5):
            if number:
                with auditrepr.context(reason=str(number)):
                    Author.objects.create(name=str(number))
            else:
                Author.objects.create(name="0")
            connections.close_all()

    connection.close()
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    found = AuditLog.objects.values_list("row_data", "context")
    assert len(found) == 30
    for row, context in found:
        assert context == ({"reason": row["name"]} if row["name"] != "0" else None)


@pytest.mark.proof
def test_a_connection_that_was_kept_and_lost_is_replaced(monkeypatch):
    """As in a worker that lives for long and runs the job now and then, with CONN_MAX_AGE."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    connection.close()
    AuditLog.objects.all().delete()
    with auditrepr.context(reason="kept"):
        Author.objects.create(name="a")
    kept = session()
    close_old_connections()
    assert session() == kept, "it is kept"
    end(kept)
    call_command("backfill_reprs", verbosity=0)
    assert session() != kept
    Author.objects.create(name="b")
    call_command("backfill_reprs", verbosity=0)
    assert texts() == ["a", "b"]
    assert [row.context for row in AuditLog.objects.order_by("pk")] == [{"reason": "kept"}, None]
    connection.close()
