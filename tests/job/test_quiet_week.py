"""A week of ordinary life prints nothing: who gets mail from cron has something to do.

A restart of the server while a run works, a failover, and a server that is away when a run starts
are in ``test_retry.py`` and ``test_outages.py``.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from auditrepr.models import AuditLog, BackfillRun, Coverage, InstanceRepr
from auditrepr.vendors import get_vendor
from tests import processes
from tests.app.models import Author, Tag
from tests.knowing import earlier
from tests.unmigrated import unmigrated

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]

#: How often cron runs the job.
PERIOD = timedelta(minutes=2)


@pytest.fixture
def cron(capsys):
    """Runs the job so many times, two minutes apart; what it printed, and why the status fails."""
    AuditLog.objects.all().delete()
    Coverage.objects.update(reason=Coverage.Reason.INSTALLED)

    def runs(times: int = 1) -> str:
        for _ in range(times):
            call_command("backfill_reprs", "--verbosity=0")
            said = "".join(capsys.readouterr())
            try:
                call_command("backfill_status", "--format=json", "--max-lag=1h")
            except CommandError as error:
                said += str(error)
            capsys.readouterr()
            earlier(PERIOD)
            if said:
                return said
        return ""

    return runs


def pending() -> int:
    return AuditLog.objects.pending().count()


@contextmanager
def a_long_transaction() -> Iterator[None]:
    """Somebody has changed a row and does not commit."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            if connection.vendor == "sqlite":  # a writer would keep all others from writing
                cursor.execute("BEGIN")
                cursor.execute("SELECT count(*) FROM app_author")
            else:
                cursor.execute("BEGIN; INSERT INTO app_author (name) VALUES ('late')")
            yield
            cursor.execute("COMMIT")
    finally:
        other.close()


def test_a_week_of_ordinary_life_prints_nothing(cron):
    for day in range(7):
        Author.objects.create(name=f"day {day}")
        assert cron(1 + day % 2) == ""
        assert pending() == 0
        earlier(timedelta(days=1))

    with unmigrated():  # a deployment: new code, and migrate a while later
        Author.objects.create(name="meanwhile")
        assert cron(4) == ""
        assert pending() == 1
    assert cron() == ""
    assert pending() == 0
    earlier(timedelta(days=1))
    with unmigrated():  # the next one has its own ten minutes
        assert cron(3) == ""
    assert cron() == ""

    with a_long_transaction():
        Tag.objects.create(label="early")
        assert cron(2) == ""
    assert cron() == ""
    assert pending() == 0

    with processes.start_in_steps() as job:  # a host that is rebooted
        Author.objects.bulk_create(Author(name=f"author {n}") for n in range(5))
        job.send_signal(signal.SIGKILL)
        job.communicate()
    assert cron(2) == ""
    assert pending() == 0
    earlier(timedelta(days=1))
    assert cron() == ""
    assert InstanceRepr.objects.count() == AuditLog.objects.count()
    assert not BackfillRun.objects.exclude(error="").exists()

    get_vendor("default").execute(get_vendor("default").remove_sql("app_author"))
    assert "app_author: triggers are missing" in cron(), "it is not deaf"


@pytest.mark.postgresql
def test_a_server_that_ends_all_sessions_between_runs_and_in_one_is_no_news(cron, monkeypatch):
    def end_sessions() -> None:
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        other.close()

    ended = []

    def name(author: Author) -> str:
        if not ended:
            ended.append(author)
            end_sessions()
        return author.name

    Author.objects.create(name="Ann")
    monkeypatch.setattr(Author, "__str__", name)
    assert cron(2) == ""
    assert ended
    assert pending() == 0
    connection.close()
    assert cron() == ""
