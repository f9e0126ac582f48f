"""Rounds whose workers lose connections, time, or what they are recorded in."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.job import backfill, windows
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.rounds import shares, sharing
from auditrepr.job.rounds.crew import Alone
from auditrepr.job.runs import record as records
from auditrepr.job.runs.result import Progress, Result
from auditrepr.models import BackfillRun, InstanceRepr, ReprFailure, Share, StopReason
from auditrepr.vendors.types import BEGINNING
from tests.app.models import Author
from tests.rounds import plan, settled, share_lock, write
from tests.running import run, texts

pytestmark = pytest.mark.django_db(transaction=True)


class Watched(Alone):
    """Notes how much is stored whenever the others are told to end."""

    def __init__(self) -> None:
        self.started = 0
        self.stored_at_end: list[int] = []

    def start(self, count: int, max_seconds: float | None) -> None:
        self.started += count

    def end(self, reason: StopReason) -> None:
        connection.close()  # one that is lost would raise, and the run try again as if untold
        self.stored_at_end.append(InstanceRepr.objects.count())

    def results(self) -> Sequence[Result]:
        return ()


def end_session() -> None:
    """End the session of this test's connection, as a server does that restarts."""
    session = connection.connection.info.backend_pid
    other = connections["default"].copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [session])
    other.close()


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("workers", [1, 2])
def test_a_connection_that_is_lost_costs_neither_a_wait_nor_the_other_workers(workers):
    write(20)
    plan()
    crew, lost = Watched(), []

    def lose(progress: Progress) -> None:
        if not lost and Share.objects.exclude(token=None).exists():
            lost.append(InstanceRepr.objects.count())
            end_session()

    began = time.monotonic()
    result = run(batch_size=4, workers=workers, crew=crew, on_progress=lose)
    assert lost == [4]
    assert (result.stop_reason, result.rows, result.error) == (StopReason.CAUGHT_UP, 20, "")
    assert time.monotonic() - began < 50  # the share's lease takes longer
    assert crew.started == workers - 1
    assert set(crew.stored_at_end) == {20}


@pytest.mark.postgresql
def test_a_lock_that_a_lost_connection_could_not_release_is_released_by_the_next_one():
    lock = DatabaseLock("default")
    assert lock.acquire()
    end_session()
    lock.release()
    connection.close()
    assert lock.acquired
    lock.release()
    assert not lock.acquired
    assert DatabaseLock("default").acquire()


@pytest.mark.proof
@pytest.mark.postgresql
def test_after_an_error_too_a_worker_waits_no_longer_for_others_than_it_may():
    write(10)
    plan()
    lost: list[bool] = []

    def lose(progress: Progress) -> None:
        if not lost:
            lost.append(True)
            end_session()

    with share_lock():
        began = time.monotonic()
        result = backfill.assist("default", max_seconds=2, on_progress=lose)
    assert lost
    assert result.stop_reason is StopReason.TIME_BUDGET
    assert time.monotonic() - began < 50


def test_a_run_goes_on_although_others_have_recorded_more_runs_than_are_kept():
    write(20)
    plan()
    more: list[int] = []

    def record(progress: Progress) -> None:
        if not more and not Share.objects.exists():
            more.extend(write(5))
            BackfillRun.objects.create(started_at=timezone.now(), host="elsewhere", pid=1)
            with override_settings(AUDITREPR={"RUNS_KEPT": 1}):
                records._prune("default")

    result = run(on_progress=record)
    assert more
    assert (result.stop_reason, result.rows, result.error) == (StopReason.CAUGHT_UP, 25, "")


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_run_is_recorded_although_its_connection_is_lost_at_the_end():
    write(4)
    lost: list[str] = []

    def lose(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not lost and sql.startswith('UPDATE "auditrepr_backfillrun" SET "ended_at"'):
            lost.append(sql)
            end_session()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(lose):
        result = run()
    assert lost
    assert (result.stop_reason, result.error) == (StopReason.CAUGHT_UP, "")
    record = BackfillRun.objects.get()
    assert (record.stop_reason, record.rows) == ("caught-up", 4)
    assert record.ended_at


def test_a_worker_that_waits_for_the_lock_and_is_told_to_end_was_not_stopped(monkeypatch):
    """The round is over, and its planner does the rest alone."""
    write(10)
    plan()
    told: list[bool] = []
    with DatabaseLock("default"):
        monkeypatch.setattr(sharing.time, "sleep", lambda seconds: told.append(True))
        result = backfill.assist("default", stop=lambda: bool(told))
    assert told
    assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 10)


@pytest.mark.parametrize("reason", [StopReason.CAUGHT_UP, StopReason.TIME_BUDGET])
def test_a_worker_that_waits_for_others_ends_for_the_reason_that_it_is_told(monkeypatch, reason):
    """Others hold what is left; when they have done it, nothing has stopped this one."""
    ids = write(10)
    plan()
    told: list[bool] = []
    with share_lock() as others:
        assert others.share.upto_id == ids[-1]
        monkeypatch.setattr(sharing.time, "sleep", lambda seconds: told.append(True))
        result = backfill.assist("default", stop=lambda: bool(told), stop_reason=lambda: reason)
    assert (result.stop_reason, result.rows) == (reason, 0)


def test_a_worker_looks_at_the_audited_tables_once_as_a_run_does(monkeypatch):
    monkeypatch.setattr(Author, "__str__", lambda author: str(Author.objects.count()))
    write(10)
    plan()
    with CaptureQueriesContext(connection) as queries:
        assert backfill.assist("default", batch_size=2).batches == 5
    looks = [query for query in queries if 'FROM "auditrepr_coverage"' in query["sql"]]
    assert len(looks) == 1


@pytest.mark.proof
def test_a_search_for_shares_that_ends_early_is_continued_by_the_next_one(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW", 5)
    monkeypatch.setattr(windows, "TURN", 1)
    ids = write(40)
    run()
    backfill.Backlog("default", rescan=True).settle()
    assert settled() == BEGINNING
    seen: list[int] = []
    while settled() != ids[-1]:
        steps = iter([False, False, False])
        with DatabaseLock("default") as lock:
            enough = lambda left=steps: next(left, True)  # noqa: E731
            assert shares.plan("default", "backfill_reprs", lock, enough=enough, least=1) == 0
        assert settled() > (seen or [BEGINNING])[-1]
        seen.append(settled())
    assert len(seen) > 2


def test_in_the_callers_transaction_there_are_no_shares(monkeypatch):
    """No other worker would see them."""
    monkeypatch.setattr(shares, "LEAST", 1)
    monkeypatch.setattr(shares, "plan", None)
    write(20)
    with transaction.atomic():
        assert run(workers=2).rows == 20
    assert len(texts()) == 20


@pytest.mark.sqlite
@pytest.mark.parametrize("in_round", [True, False])
def test_a_batch_of_failures_is_stored_at_once_while_others_write(monkeypatch, caplog, in_round):
    """SQLite refuses to let a transaction write that has read before others wrote."""
    write(20)
    if in_round:
        plan()
    monkeypatch.setattr(Author, "__str__", lambda author: author.name[99])
    monkeypatch.setattr(connection, "transaction_mode", None)  # Django's default
    other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0)

    def disturb(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = execute(sql, params, many, context)
        if connection.in_atomic_block and 'FROM "auditrepr_reprfailure"' in sql:
            with suppress(sqlite3.OperationalError), other:
                other.execute("UPDATE auditrepr_lease SET name = name")
        return found

    with caplog.at_level(logging.INFO, "auditrepr.patience"), connection.execute_wrapper(disturb):
        result = run()
    other.close()
    assert (result.failures, result.error) == (20, "")
    assert ReprFailure.objects.count() == 20
    assert "Retrying" not in caplog.text
