"""Tests a run: what it stores, when it stops, and what it records."""

from __future__ import annotations

import os
import signal
import time

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from auditrepr.capture import search_index
from auditrepr.exceptions import MigrationsPending
from auditrepr.job import backfill, windows
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.runs import run as job_run
from auditrepr.job.runs.limits import EARLY, Clocks, Limits
from auditrepr.job.runs.result import Progress, Result
from auditrepr.models import (
    AuditLog,
    BackfillRun,
    Checkpoint,
    InstanceRepr,
    Lease,
    ReprFailure,
    SealEntry,
    StopReason,
)
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import BEGINNING
from tests import processes
from tests.app.models import Author, Book
from tests.running import _empty_log, run, texts
from tests.unmigrated import unmigrated

__all__ = ["_empty_log"]
pytestmark = pytest.mark.django_db(transaction=True)


# Builds one representation, says so, and goes on when it is told to.
SLOW = """
from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
def slowly(author):
    print("building", flush=True)
    sys.stdin.readline()
    return author.name
Author.__str__ = slowly
result = backfill.run("default", lock=DatabaseLock("default"))
print(result.stop_reason, result.rows)
"""


def authors(count: int) -> None:
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(count))


def fail(*args, **kwargs) -> str:
    raise ValueError("no name")


def test_every_row_gets_the_text_of_its_own_event():
    author = Author.objects.create(name="Ann")
    Author.objects.filter(pk=author.pk).update(name="Anna")
    author.delete()
    result = run()
    assert (result.stop_reason, result.rows, result.batches) == (StopReason.CAUGHT_UP, 3, 1)
    assert texts() == ["Ann", "Anna", "Anna"]


def test_batches_are_taken_until_a_short_one():
    authors(25)
    assert (result := run(batch_size=10)).batches == 3
    assert result.rows == 25
    assert texts() == [f"author {n}" for n in range(25)]


def test_a_run_with_nothing_to_do_costs_at_most_15_statements_and_leaves_the_rows_alone():
    authors(3)
    run()
    with CaptureQueriesContext(connection) as captured:
        assert run().idle
    assert len(captured) <= 15, [query["sql"] for query in captured]


def test_max_batches_ends_a_run_that_has_more_to_do():
    authors(25)
    assert run(batch_size=10, max_batches=2).stop_reason is StopReason.BATCH_LIMIT
    assert len(texts()) == 20
    assert run(batch_size=10, max_batches=1).stop_reason is StopReason.CAUGHT_UP


def test_max_batches_counts_those_of_earlier_turns():
    """Several databases have turns; the limit is for each of them, in all of its turns."""
    authors(35)
    first = run(batch_size=10, max_batches=1)
    second = run(batch_size=10, max_batches=2, before=first)
    assert (first.fresh, second.fresh) == (1, 1)
    first.add(second)
    third = run(batch_size=10, max_batches=2, before=first)
    assert (third.stop_reason, third.rows, len(texts())) == (StopReason.BATCH_LIMIT, 0, 20)


def test_max_seconds_begins_no_further_batch():
    authors(3)
    result = run(batch_size=1, max_seconds=0)
    assert (result.stop_reason, result.rows) == (StopReason.TIME_BUDGET, 0)


def test_a_time_limit_that_is_far_away_stops_nothing():
    authors(3)
    assert run(batch_size=1, max_seconds=10_000).stop_reason is StopReason.CAUGHT_UP


def test_the_time_limit_counts_from_the_start_of_the_run():
    limits = Limits(max_seconds=160, started=time.monotonic() - 100)
    assert limits.seconds == pytest.approx(100, abs=30)
    assert limits.seconds_left() == pytest.approx(60, abs=30)
    assert limits.reached(0) is None


def fail_and_be_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event that has failed once, and is due."""
    authors(1)
    with monkeypatch.context() as broken:
        broken.setattr(Author, "__str__", fail)
        assert run().failures == 1
    ReprFailure.objects.update(next_attempt_at=Now())


def test_a_limit_of_batches_is_for_each_kind_of_work(monkeypatch):
    """Else, where new events always use it up, the rest is never done."""
    authors(1)
    run()
    fail_and_be_due(monkeypatch)
    InstanceRepr.objects.all().delete()
    authors(2)
    first = run(batch_size=1, max_batches=1)
    assert (first.rows, first.again, first.batches) == (3, 1, 3), "new, below the mark, and due"
    assert first.stop_reason is StopReason.BATCH_LIMIT
    second = run(batch_size=1, max_batches=1)
    assert (second.rows, second.stop_reason) == (1, StopReason.CAUGHT_UP)


@pytest.mark.parametrize("written", [1, 2])
def test_so_all_that_failed_are_retried_besides_new_ones(monkeypatch, written):
    fail_and_be_due(monkeypatch)
    authors(written)
    result = run(batch_size=1, max_batches=1, retry_failed=True)
    assert (result.rows, result.again) == (2, 1)
    assert (result.stop_reason is StopReason.BATCH_LIMIT) == (written > 1)


@override_settings(AUDITREPR={"SEAL": True, "SEARCH": True})
@pytest.mark.parametrize("written", [1, 2])
def test_and_what_is_no_batch_is_done_besides_them(monkeypatch, written):
    monkeypatch.setattr(search_index, "covers_values", lambda using: True)
    run()
    for _ in range(3):
        authors(written)
        run(batch_size=1, max_batches=1)
        settled = Checkpoint.objects.get().settled_id
        assert SealEntry.objects.latest("pk").upto_id == settled
        assert Checkpoint.objects.get().values_upto == settled


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_seconds": 0}, StopReason.TIME_BUDGET),
        ({"stop": lambda: True}, StopReason.SIGNAL),
    ],
)
def test_a_run_that_leaves_what_is_due_has_not_caught_up(monkeypatch, limit, reason):
    fail_and_be_due(monkeypatch)
    assert run(**limit).stop_reason is reason
    assert run().again == 1
    assert run(**limit).stop_reason is StopReason.CAUGHT_UP


def test_a_run_that_is_told_to_stop_walks_no_further_through_what_is_represented(monkeypatch):
    authors(4)
    run()
    monkeypatch.setattr(windows, "WINDOW", 1)
    monkeypatch.setattr(windows, "TURN", 1)
    Checkpoint.objects.update(settled_id=BEGINNING)
    told: list[Progress] = []
    assert run(stop=lambda: True, on_progress=told.append).stop_reason is StopReason.SIGNAL
    assert told == []


def test_a_run_at_its_limit_with_nothing_left_to_do_has_caught_up():
    authors(3)
    last = AuditLog.objects.order_by("pk").last()
    InstanceRepr.objects.create(audit_log=last, instance_repr="theirs", fidelity="E")
    assert run(batch_size=2, max_batches=1).stop_reason is StopReason.CAUGHT_UP


def test_a_run_that_is_told_to_stop_finishes_its_batch():
    authors(3)
    answers = iter([False, True])
    result = run(batch_size=1, stop=lambda: next(answers, True))
    assert (result.stop_reason, result.rows) == (StopReason.SIGNAL, 1)
    assert run().rows == 2


def test_the_setting_is_the_batch_size_unless_one_is_given():
    authors(4)
    with override_settings(AUDITREPR={"BATCH_SIZE": 2}):
        assert run().batches == 2


class Time:
    """Clocks that only the ``__str__`` of authors moves on; and what each batch took by them.

    :param cpu: how much of the seconds is CPU time; all by default.
    """

    def __init__(self, monkeypatch, seconds, cpu=None) -> None:
        self.wall = self.cpu = 0.0
        self.batches: list[float] = []

        def __str__(author: Author) -> str:
            self.wall += seconds(author)
            self.cpu += (cpu or seconds)(author)
            return author.name

        monkeypatch.setattr(Author, "__str__", __str__)

    def run(self, max_batches: int | None = None) -> Result:
        def told(_: Progress) -> None:
            self.batches.append(self.wall - sum(self.batches))

        return backfill.Backfill(
            "default",
            lock=DatabaseLock("default"),
            limits=Limits(max_batches),
            clocks=Clocks(lambda: self.wall, lambda: self.cpu),
            on_progress=told,
            rescan=False,
            retry_failed=False,
        ).run()


@pytest.fixture
def four_at_first(monkeypatch):
    """Batches of automatic size; any that takes some time takes too long."""
    monkeypatch.setattr("auditrepr.job.runs.limits.FIRST", 4)
    monkeypatch.setattr("auditrepr.job.runs.limits.LEAST", 1)
    monkeypatch.setattr("auditrepr.job.runs.limits.SECONDS", 1e-9)


def stored_after_each_batch(**options) -> list[int]:
    told: list[Progress] = []
    run(batch_size="auto", on_progress=told.append, **options)
    return [progress.rows for progress in told]


@pytest.mark.usefixtures("four_at_first")
def test_batches_of_automatic_size_become_smaller_where_rows_take_long():
    authors(6)
    assert stored_after_each_batch() == [4, 5, 6]


@pytest.mark.usefixtures("four_at_first")
def test_batches_of_automatic_size_become_smaller_where_one_is_stored_in_parts(monkeypatch):
    monkeypatch.setattr(job_run, "EARLY", 0)
    authors(6)
    assert stored_after_each_batch() == [4, 5, 6]


@pytest.mark.usefixtures("four_at_first")
def test_a_short_batch_does_not_change_the_expected_time(monkeypatch):
    authors(4)
    with monkeypatch.context() as failing:
        failing.setattr(Author, "__str__", fail)
        assert run().failures == 4
    authors(2)
    assert stored_after_each_batch(retry_failed=True) == [2, 6]


def test_batches_of_automatic_size_become_larger_where_rows_are_quick(monkeypatch):
    monkeypatch.setattr("auditrepr.job.runs.limits.FIRST", 2)
    monkeypatch.setattr("auditrepr.job.runs.limits.LEAST", 1)
    monkeypatch.setattr("auditrepr.job.runs.limits.SECONDS", 1000)
    authors(6)
    assert stored_after_each_batch() == [2, 6]


def test_a_batch_that_takes_long_is_stored_in_parts_and_the_watermark_follows_them(monkeypatch):
    time = Time(monkeypatch, lambda author: EARLY + 0.1 if author.name == "author 2" else 0)
    authors(5)
    time.run(max_batches=1)
    assert texts() == ["author 0", "author 1", "author 2"]
    assert Checkpoint.objects.get().settled_id == InstanceRepr.objects.latest("pk").pk
    assert AuditLog.objects.pending().count() == 2
    authors(5)
    assert run().rows == 7


@pytest.mark.usefixtures("four_at_first")
@pytest.mark.parametrize("load", [1, 8])
def test_batches_are_as_large_on_a_busy_machine_as_on_a_quiet_one(monkeypatch, load: int):
    monkeypatch.setattr("auditrepr.job.runs.limits.SECONDS", 6 / 16)
    time = Time(monkeypatch, lambda author: load / 16, cpu=lambda author: 1 / 16)
    authors(20)
    assert time.run().rows == 20
    assert [seconds * 16 / load for seconds in time.batches] == [4, 6, 6, 4]
    assert max(time.batches) <= EARLY


@pytest.mark.usefixtures("four_at_first")
def test_but_they_end_in_time_by_the_clock(monkeypatch):
    monkeypatch.setattr("auditrepr.job.runs.limits.SECONDS", 6 / 16)
    time = Time(monkeypatch, lambda author: 15 / 16, cpu=lambda author: 1 / 16)
    authors(20)
    assert time.run().rows == 20
    assert max(time.batches) <= EARLY + 1


def test_progress_is_told_after_each_batch():
    authors(3)
    told: list[Progress] = []
    run(batch_size=2, on_progress=told.append)
    assert [(p.rows, p.done == p.total) for p in told] == [(2, False), (3, True)]


def test_a_bad_row_fails_and_stops_no_other(monkeypatch):
    authors(1)
    Book.objects.create(title="fine")
    monkeypatch.setattr(Author, "__str__", fail)
    result = run()
    assert (result.rows, result.failures, result.stop_reason) == (1, 1, StopReason.CAUGHT_UP)
    failure = ReprFailure.objects.get()
    assert (failure.error_class, failure.message) == ("ValueError", "no name")
    assert failure.next_attempt_at > failure.last_failed_at
    assert run().idle, "it is not tried for ever"


@pytest.mark.parametrize("size", [2, 10])
def test_the_first_row_that_fails_is_told_of_and_why(monkeypatch, size):
    fine = Book.objects.create(title="fine")
    authors(3)
    monkeypatch.setattr(Author, "__str__", fail)
    first = AuditLog.objects.filter(table_name="app_author").order_by("pk").first()
    assert run(batch_size=size).first_failure == f"event {first.pk}: ValueError: no name"
    fine.delete()
    assert run(retry_failed=True).first_failure == "", "what failed before is no news"


def test_the_very_first_row_of_a_log_is_tried_again_like_any_other():
    AuditLog.objects.create(pk=1, table_name="app_author", action="I", object_id="1", row_data={})
    ReprFailure.objects.create(audit_log_id=1, error_class="ValueError", next_attempt_at=Now())
    assert run(retry_failed=True).again == 1


def test_a_failed_event_that_is_due_is_retried_and_then_stored(monkeypatch):
    authors(2)
    with monkeypatch.context() as broken:
        broken.setattr(Author, "__str__", fail)
        run()
    ReprFailure.objects.filter(pk=ReprFailure.objects.first().pk).update(next_attempt_at=Now())
    result = run()
    assert (result.rows, result.failures, result.again) == (1, 0, 1)
    assert texts() == ["author 0"]
    assert ReprFailure.objects.count() == 1, "the other one is not due"


@pytest.mark.proof
def test_what_fails_again_waits_longer_each_time_up_to_a_day(monkeypatch):
    authors(1)
    monkeypatch.setattr(Author, "__str__", fail)
    run()
    delays = []
    for attempts in range(2, 14):
        ReprFailure.objects.update(next_attempt_at=Now())
        result = run()
        assert (result.rows, result.failures, result.again) == (0, 0, 1)
        failure = ReprFailure.objects.get()
        assert failure.attempts == attempts
        assert failure.first_failed_at <= failure.last_failed_at
        delays.append(round((failure.next_attempt_at - failure.last_failed_at).total_seconds()))
    assert delays == [600, 1200, 2400, 4800, 9600, 19200, 38400, 76800, *[86400] * 4]


def test_a_run_retries_no_more_than_a_batch_of_failed_events(monkeypatch):
    authors(5)
    with monkeypatch.context() as broken:
        broken.setattr(Author, "__str__", fail)
        run()
    ReprFailure.objects.update(next_attempt_at=Now())
    assert [run(batch_size=2).again for _ in range(4)] == [2, 2, 1, 0]


def test_retry_failed_tries_each_once_whether_due_or_not(monkeypatch):
    authors(5)
    monkeypatch.setattr(Author, "__str__", fail)
    run()
    told: list[Progress] = []
    result = run(batch_size=2, retry_failed=True, on_progress=told.append)
    assert (result.again, result.batches, result.rows) == (5, 3, 0)
    assert [(p.done, p.total) for p in told] == [(2, 5), (4, 5), (5, 5)]
    assert set(ReprFailure.objects.values_list("attempts", flat=True)) == {2}
    cut = run(batch_size=2, retry_failed=True, max_batches=1)
    assert (cut.again, cut.stop_reason) == (2, StopReason.BATCH_LIMIT)


def test_a_retry_without_the_lock_changes_nothing(monkeypatch):
    authors(1)
    with monkeypatch.context() as broken:
        broken.setattr(Author, "__str__", fail)
        run()
    monkeypatch.setattr(DatabaseLock, "_extend", lambda lock: 0)
    assert run(retry_failed=True).stop_reason is StopReason.LEASE_LOST
    assert ReprFailure.objects.get().attempts == 1
    assert texts() == []


def test_a_batch_of_nothing_but_bad_rows_is_no_short_batch(monkeypatch):
    authors(5)
    Book.objects.create(title="fine")
    monkeypatch.setattr(Author, "__str__", fail)
    assert run(batch_size=2).failures == 5
    assert texts() == ["fine"]


def test_a_representation_that_is_there_already_is_left_as_it_is():
    authors(2)
    first = AuditLog.objects.order_by("pk").first()
    InstanceRepr.objects.create(audit_log=first, instance_repr="theirs", fidelity="E")
    outcomes = [(row.pk, "ours", "E", "") for row in AuditLog.objects.order_by("pk")]
    assert get_vendor("default").store(outcomes) == 1
    assert texts() == ["theirs", "ours"]


def test_what_a_run_did_is_recorded():
    authors(3)
    run(batch_size=2)
    record = BackfillRun.objects.get()
    assert (record.rows, record.failures, record.batches) == (3, 0, 2)
    assert (record.stop_reason, record.error, record.pid) == ("caught-up", "", os.getpid())
    assert record.started_at <= record.ended_at


def test_a_run_is_on_record_while_it_works():
    authors(3)
    seen: list[object] = []

    def look(progress: Progress) -> None:
        seen.extend(BackfillRun.objects.values_list("ended_at", flat=True))

    run(batch_size=2, on_progress=look)
    assert seen == [None, None]
    assert BackfillRun.objects.get().ended_at


def test_a_run_that_only_walked_through_what_is_represented_did_nothing():
    authors(3)
    run()
    Checkpoint.objects.update(settled_id=BEGINNING)
    assert run().idle
    assert BackfillRun.objects.get().idle_runs == 1


def test_runs_that_did_nothing_are_counted_and_not_piled_up():
    for _ in range(3):
        run()
    authors(1)
    run()
    run()
    with DatabaseLock("default"):
        assert run().stop_reason is StopReason.LOCKED
    assert list(BackfillRun.objects.order_by("pk").values_list("idle_runs", "skipped_runs")) == [
        (3, 0),
        (1, 1),
    ]


def test_a_run_that_finds_the_lock_held_says_who_holds_it():
    with DatabaseLock("default"):
        assert run().holder.pid == os.getpid()


@override_settings(AUDITREPR={"RUNS_KEPT": 2})
def test_old_runs_are_pruned():
    for _ in range(4):
        authors(1)
        run()
    assert BackfillRun.objects.count() == 2


def test_an_error_of_the_database_keeps_what_was_stored_and_frees_the_lock(monkeypatch):
    authors(3)
    vendor = type(get_vendor("default"))
    store, calls = vendor.store, []

    def break_second(self, rows):
        calls.append(rows)
        if len(calls) == 2:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM there_is_no_such_table")
        return store(self, rows)

    monkeypatch.setattr(vendor, "store", break_second)
    result = run(batch_size=1)
    assert (result.stop_reason, result.rows) == (StopReason.ERROR, 1)
    assert "there_is_no_such_table" in result.error
    assert "\n" not in result.error
    assert BackfillRun.objects.get().error == result.error
    assert Lease.objects.get().token is None
    assert run().rows == 2


def test_an_error_that_is_no_databases_is_recorded_and_raised(monkeypatch):
    authors(1)
    monkeypatch.setattr(job_run, "build", fail)
    with pytest.raises(ValueError, match="no name"):
        run()
    assert BackfillRun.objects.get().error == "no name"
    assert Lease.objects.get().token is None


def test_a_migration_that_is_missing_is_named_and_nothing_is_done():
    authors(1)
    with (
        unmigrated(),
        pytest.raises(MigrationsPending, match=r"migrations of auditrepr\."),
    ):
        run()
    assert not Lease.objects.exists()


def test_a_preview_shows_what_a_run_would_store_and_writes_nothing():
    authors(3)
    with CaptureQueriesContext(connection) as captured:
        preview = backfill.preview("default", limit=2)
    assert [outcome.text for outcome in preview.outcomes] == ["author 0", "author 1"]
    assert str(preview.pending) == "3"
    written = [q["sql"] for q in captured if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert written == []
    left = (InstanceRepr, ReprFailure, Lease, BackfillRun, Checkpoint)
    assert not any(model.objects.exists() for model in left)


def test_a_rescan_finds_what_lost_its_representation():
    authors(3)
    run()
    InstanceRepr.objects.all().delete()
    assert run(rescan=True).rows == 3


@pytest.mark.proof
def test_a_holder_that_was_stopped_past_its_lease_commits_nothing():
    authors(3)
    with processes.start_python(SLOW) as zombie:
        assert zombie.stdout.readline() == "building\n"
        os.kill(zombie.pid, signal.SIGSTOP)
        Lease.objects.update(expires_at=get_vendor("default").clock(-1))
        half = run(max_batches=1, batch_size=2)
        os.kill(zombie.pid, signal.SIGCONT)
        output, errors = zombie.communicate("\n" * 3)
    assert output.endswith("lease-lost 0\n"), errors
    assert half.rows == len(texts()) == 1, "half of what has not ended"
    assert run().rows == 2


@pytest.mark.proof
def test_a_run_that_was_killed_loses_nothing_and_blocks_no_other():
    authors(3)
    with processes.start_python(SLOW) as process:
        assert process.stdout.readline() == "building\n"
        process.kill()
    assert run().rows == 3


@pytest.mark.postgresql
def test_no_representation_is_built_inside_the_transaction_that_writes(monkeypatch):
    """Nobody's __str__ runs under a lock."""
    authors(1)
    seen = []

    def look(author) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock'")
            seen.append(cursor.fetchone()[0])
        return "x"

    monkeypatch.setattr(Author, "__str__", look)
    run()
    assert seen == [0]


@pytest.mark.postgresql
@override_settings(AUDITREPR={"LEASE_SECONDS": 60})
def test_the_server_ends_a_run_that_falls_silent_long_before_its_lease_runs_out():
    authors(1)
    with CaptureQueriesContext(connection) as captured:
        run()
    asked = [q["sql"] for q in captured if "set_config('idle_in_transaction" in q["sql"]]
    assert len(asked) == 2, "to take the lock, and to store a batch"
    assert all("'30000'" in sql for sql in asked), "milliseconds"


def test_memory_does_not_grow_with_the_statements_while_debug_is_on():
    authors(5)
    with override_settings(DEBUG=True):
        run(batch_size=1)
        assert len(connection.queries) < 20


def test_it_runs_inside_a_transaction_of_the_caller():
    """As in the tests of an application, where nothing is committed."""
    with transaction.atomic():
        authors(2)
        assert run().rows == 2
