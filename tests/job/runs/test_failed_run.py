"""Tests that a failure is reported until its command has ended well since, and no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.job.monitoring import status, summary
from auditrepr.job.runs import failed_run
from auditrepr.job.runs.record import Record
from auditrepr.job.runs.result import Result
from auditrepr.models import BackfillRun, StopReason
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.pages import RUNS, page, reader, words
from tests.running import _empty_log, run

__all__ = ["_empty_log", "reader"]
pytestmark = pytest.mark.django_db(transaction=True)

BACKFILL, REBUILD = "backfill_reprs", "rebuild_reprs"
BOOM = Result(StopReason.ERROR, error="boom", batches=1)
WELL = Result(batches=1)


def begun(command: str) -> Record:
    record = Record("default", command)
    record.begin()
    return record


def ended(command: str, result: Result) -> None:
    begun(command).end(result)


def kill(record: Record) -> None:
    """Let the run be that of a process of another host that has long been silent."""
    holder = {"host": "elsewhere", "pid": 7, "since": "", "boot": "b", "started": "1"}
    ago = get_vendor("default").clock(-3600)
    runs = BackfillRun.objects.filter(pk=record.pk)
    runs.update(host="elsewhere", pid=7, holder=holder, seen_at=ago)
    # All that others did before it was killed was before that.
    others = BackfillRun.objects.filter(pk__lt=record.pk or 0)
    others.update(ended_at=F("ended_at") - timedelta(hours=2))


def failing() -> str:
    """The command whose failure is reported; empty if all is well."""
    found = failed_run.last("default", summary.holders("default"))
    assert status.of("default").failed is bool(found)
    return found.command if found else ""


def told(reader: Client) -> str:
    return words(page(reader, RUNS))


@pytest.mark.proof
def test_a_run_with_nothing_to_do_during_a_rebuild_hides_no_failure_of_it(reader: Client) -> None:
    Author.objects.create(name="Ann")
    run()
    rebuild = begun(REBUILD)
    run()
    rebuild.end(BOOM)
    assert failing() == REBUILD
    assert "The last run of rebuild_reprs ended with an error: boom" in told(reader)
    run()
    assert failing() == REBUILD
    ended(REBUILD, WELL)
    assert failing() == ""
    assert "All is well." in told(reader)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "result", [Result(StopReason.SIGNAL), Result(StopReason.SIGNAL, batches=1)]
)
def test_a_worker_hides_no_failure_of_the_run_that_started_it(result: Result, first: bool) -> None:
    """One ends before that run, one is stopped because of the failure; with or without a share."""
    if not first:
        ended(BACKFILL, WELL)
    parent, early, late = begun(BACKFILL), *(Record("default", BACKFILL) for _ in range(2))
    for worker in (early, late):
        if result.batches:
            worker.begin()
    early.end(Result(batches=result.batches))
    parent.end(BOOM)
    late.end(result)
    assert failing() == BACKFILL
    run()
    assert failing() == ""


@pytest.mark.proof
def test_after_a_run_with_nothing_to_do_none_has_failed_whatever_was_between(
    reader: Client,
) -> None:
    ended(BACKFILL, BOOM)
    ended(REBUILD, WELL)
    assert failing() == BACKFILL
    for _ in range(3):
        run()
        assert failing() == ""
    assert "All is well." in told(reader)
    assert [one.idle_runs for one in BackfillRun.objects.order_by("pk")] == [0, 0, 3]


@pytest.mark.proof
def test_after_a_killed_run_one_with_nothing_to_do_says_that_all_is_well() -> None:
    ended(BACKFILL, WELL)
    kill(begun(BACKFILL))
    assert failing() == BACKFILL
    for _ in range(3):
        run()
        assert failing() == ""
    assert [one.idle_runs for one in BackfillRun.objects.order_by("pk")] == [0, 0, 3]


@pytest.mark.proof
def test_the_last_run_is_the_one_that_ended_last() -> None:
    for command in (REBUILD, BACKFILL):
        long = begun(command)
        ended(command, WELL)
        ended(BACKFILL, WELL)
        long.end(BOOM)
        assert failing() == command
        ended(command, WELL)
        assert failing() == ""
    long = begun(BACKFILL)
    ended(BACKFILL, BOOM)
    long.end(WELL)
    assert failing() == ""


@pytest.mark.proof
def test_a_failure_is_reported_however_many_runs_of_the_other_command_came_later(
    reader: Client,
) -> None:
    kill(begun(REBUILD))
    for _ in range(status.LAST_RUNS + 1):
        ended(BACKFILL, WELL)
    assert failing() == REBUILD
    killed = "The last run of rebuild_reprs did not record its end: it was killed, or its host"
    assert killed in told(reader)
    ended(BACKFILL, BOOM)
    assert "The last run of backfill_reprs ended with an error: boom" in told(reader), "the later"
    ended(REBUILD, WELL)
    ended(BACKFILL, WELL)
    assert failing() == ""


def test_it_takes_the_same_number_of_queries_however_many_runs_there_are() -> None:
    numbers = []
    for count in (1, 30):
        for command in (BACKFILL, REBUILD):
            for _ in range(count):
                ended(command, BOOM)
                BackfillRun.objects.create(
                    command=command, started_at=timezone.now(), host=f"h{count}", pid=1
                )
        with CaptureQueriesContext(connection) as queries:
            assert failed_run.last("default", [])
        numbers.append(len(queries))
    assert numbers[0] == numbers[1] <= 2
