"""Tests the command that partitions the log."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.partitions import patience
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.processes import run_here
from tests.sizes import PARTITIONED

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(PARTITIONED, reason="the log is partitioned already"),
]


@pytest.mark.sqlite
def test_a_database_without_partitions_is_refused():
    found = run_here("partition_audit_log")
    assert (found.stdout, found.returncode) == ("", 1)
    assert found.stderr == (
        'CommandError: Database "default" (SQLite) cannot partition the audit log: only PostgreSQL'
        " can.\n"
    )
    assert run_here("partition_audit_log", "--dry-run").returncode == 1


@pytest.mark.proof
@pytest.mark.postgresql
def test_it_says_what_it_would_do_and_what_it_did():
    Author.objects.create(name="Ann")
    found = run_here("partition_audit_log", "--dry-run", "--size", "20000")
    assert "Would make the log the first partition, which ends before event" in found.stdout
    assert get_vendor("default").log_partitions() == []
    found = run_here("partition_audit_log", "--size", "20000")
    assert found.returncode == 0, found.stderr
    assert "The log is partitioned now; the first one ends before event" in found.stdout
    assert "Made 12 tables; the log was locked for 0." in found.stdout
    assert "auditrepr_auditlog_rest: from event" in found.stdout
    again = run_here("partition_audit_log")
    assert "Nothing to do: enough partitions are ahead." in again.stdout
    assert get_vendor("default").partition_size() == 20000
    assert "The log has 5 partitions" in run_here("partition_audit_log", "--dry-run").stdout


@pytest.mark.postgresql
def test_it_needs_the_lock_of_the_job():
    with DatabaseLock("default") as lock:
        assert lock
        found = run_here("partition_audit_log", "--wait", "0")
    assert found.returncode == 1
    assert "holds the lock" in found.stderr or "lock is held" in found.stderr


@pytest.mark.parametrize("size", ["0", "9999", "x", "1" + 16 * "0"])
def test_a_size_that_makes_no_sense_is_wrong_usage(size: str):
    with pytest.raises(CommandError, match="argument --size") as refused:
        call_command("partition_audit_log", size=size)
    assert refused.value.returncode == 2


@pytest.mark.proof
@pytest.mark.postgresql
def test_the_status_says_how_many_are_ahead():
    assert "partitions" not in run_here("backfill_status").stdout.split("triggers")[0]
    run_here("partition_audit_log")
    assert "partitions  5, 3 of them ahead of the events" in run_here("backfill_status").stdout
    assert '"partitions": {' in run_here("backfill_status", "--format", "json").stdout
    metrics = run_here("backfill_status", "--format", "prometheus").stdout
    assert 'auditrepr_partitions_ahead{database="default"} 3' in metrics


@pytest.fixture
def writer() -> Iterator[None]:
    """A long transaction that uses the log."""
    other = connection.copy()
    other.set_autocommit(False)
    with closing(other), other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auditrepr_auditlog")
        yield
        other.rollback()


@pytest.mark.proof
@pytest.mark.postgresql
def test_it_says_how_to_wait_longer(writer: None):
    with pytest.raises(CommandError, match=r"long transactions use it.*longer with --wait"):
        call_command("partition_audit_log", wait=0)


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_signal_ends_the_wait(writer: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patience.time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        call_command("partition_audit_log")
    assert ended.value.code == 128 + signal.SIGTERM
    assert get_vendor("default").log_partitions() == []
