"""Several workers on one backlog: each event once, the watermark never ahead, nothing stuck."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, replace

import pytest
from django.db import connection, transaction
from django.utils import timezone

from auditrepr.exceptions import LeaseLost
from auditrepr.job import backfill
from auditrepr.job.locks.file import FileLock
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.locks.process import Process
from auditrepr.job.pending import Backlog
from auditrepr.job.rebuilding import rebuild
from auditrepr.job.rebuilding.selection import Selection
from auditrepr.job.retention import prune
from auditrepr.job.rounds import shares, sharing
from auditrepr.job.rounds.lock import ShareLock
from auditrepr.models import (
    AuditLog,
    BackfillRun,
    Checkpoint,
    InstanceRepr,
    Lease,
    ReprFailure,
    Share,
    StopReason,
)
from auditrepr.vendors.types import BEGINNING
from tests.app.models import Author
from tests.rounds import (
    COMMAND,
    by_process_that_ended,
    expire,
    parts,
    plan,
    settled,
    share_lock,
    write,
)
from tests.running import run, texts

pytestmark = pytest.mark.django_db(transaction=True)


def store_share(lock: ShareLock) -> None:
    """Store all of a share as a worker does, in one transaction."""
    assert lock.share
    worker = backfill.Backfill("default", lock=lock, limits=backfill.Limits())
    batch = backfill.pending.take("default", lock.share.after_id, lock.share.upto_id, 1000)
    worker.store(batch.events, lambda outcomes: worker._write(lock, batch, outcomes))


# Planning


def test_shares_are_cut_over_what_is_stored_already():
    write(10)
    run()
    Checkpoint.objects.update(settled_id=BEGINNING)
    more = write(25)
    assert plan() == 3
    assert parts() == [
        (more[0] - 1, more[0] + 9), (more[0] + 9, more[0] + 19), (more[0] + 19, more[-1])
    ]  # fmt: skip
    assert set(Share.objects.values_list("provable_id", "command")) == {(more[-1], COMMAND)}


def test_while_there_are_shares_none_are_cut():
    write(20)
    assert plan() == 2
    before = parts()
    write(20)
    assert plan() == 0
    assert parts() == before


def test_a_backlog_that_is_not_worth_it_is_not_cut():
    write(19)
    assert plan(least=20) == 0
    write(1)
    assert plan(least=20) == 2


def test_a_round_has_a_bounded_number_of_shares_and_the_watermark_stays_in_it():
    ids = write(50)
    assert plan(most=2) == 2
    assert set(Share.objects.values_list("provable_id", flat=True)) == {ids[19]}
    backfill.assist("default")
    assert settled() == ids[19]
    assert len(texts()) == 20


def test_a_planner_that_lost_its_lock_leaves_no_share():
    write(20)
    with DatabaseLock("default") as lock:
        Lease.objects.update(token="00000000-0000-0000-0000-000000000001")
        with pytest.raises(LeaseLost):
            shares.plan("default", COMMAND, lock, width=10, least=0)
    assert parts() == []


# Working


def test_workers_store_every_event_once_and_the_watermark_follows():
    ids = write(35)
    plan()
    result = backfill.assist("default", batch_size=4)
    assert (result.stop_reason, result.rows, result.error) == (StopReason.CAUGHT_UP, 35, "")
    assert texts() == [f"author {n}" for n in range(35)]
    assert parts() == []
    assert settled() == ids[-1]
    assert not Lease.objects.exclude(token=None).exists()


def test_whoever_finishes_the_last_share_plans_the_next_round(monkeypatch):
    monkeypatch.setattr(shares, "WIDTH", 5)
    monkeypatch.setattr(shares, "MOST", 2)
    monkeypatch.setattr(shares, "LEAST", 1)
    ids = write(37)
    plan(width=5, most=2)
    assert backfill.assist("default").rows == 37
    assert settled() == ids[-1]


def test_the_watermark_stays_at_the_first_share_that_is_left():
    ids = write(40)
    plan()
    with share_lock() as first, share_lock() as second:
        assert second.share.after_id == ids[9]
        store_share(second)
        assert settled() == first.share.after_id
        with share_lock() as third:
            store_share(third)
        assert settled() == first.share.after_id
        store_share(first)
        assert settled() == ids[29]
    assert parts() == [(ids[29], ids[39])]


@pytest.mark.postgresql
def test_two_who_finish_in_the_same_moment_leave_the_watermark_behind_never_ahead():
    ids = write(20)
    plan()
    both = threading.Barrier(2)

    def finish() -> None:
        try:
            with share_lock() as lock:
                both.wait(60)
                with transaction.atomic():
                    lock.reached = lock.share.upto_id
                    assert Share.objects.filter(token=lock.token).update(takeovers=0) == 1
                    deleted = lock._leases().filter(token=lock.token)._raw_delete("default")
                    assert deleted == 1
                    both.wait(60)  # neither sees that the other has deleted its share
                    shares.follow("default", lock.share.provable_id)
                    both.wait(60)
        finally:
            connection.close()

    threads = [threading.Thread(target=finish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parts() == []
    assert settled() == ids[9]
    run()
    assert (len(texts()), settled()) == (20, ids[-1])


@pytest.mark.postgresql
def test_the_watermark_waits_for_a_writer_below_the_shares_and_its_event_is_stored_later():
    first = write(1)[0]
    run()
    writing, written = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Author.objects.create(name="late")
            written.set()
            writing.wait(60)
        connection.close()

    writer = threading.Thread(target=hold)
    writer.start()
    assert written.wait(60)
    write(20)
    plan()
    backfill.assist("default")
    assert settled() == first
    writing.set()
    writer.join()
    assert len(texts()) == 21
    run()
    assert "late" in texts()
    assert settled() == AuditLog.objects.latest("pk").pk


def test_a_failed_event_of_a_share_is_a_failure_like_any_other(monkeypatch):
    ids = write(20)
    plan()
    monkeypatch.setattr(Author, "__str__", lambda author: author.name[99])
    result = backfill.assist("default")
    assert (result.rows, result.failures) == (0, 20)
    assert ReprFailure.objects.count() == 20
    assert settled() == ids[-1]


def test_a_limit_ends_the_work_and_frees_the_share():
    write(20)
    plan()
    calls = iter(range(100))
    result = backfill.assist("default", batch_size=3, stop=lambda: next(calls) > 3)
    assert result.stop_reason is StopReason.SIGNAL
    assert 0 < result.rows < 20
    assert not Share.objects.exclude(token=None).exists()
    assert backfill.assist("default").rows == 20 - result.rows


# Claiming


def test_each_worker_claims_the_lowest_free_share():
    write(30)
    plan()
    with share_lock() as first, share_lock() as second, share_lock() as third:
        claimed = [lock.share.after_id for lock in (first, second, third)]
        assert claimed == [after for after, _ in parts()]
        assert not share_lock().acquire()
    assert not Share.objects.exclude(token=None).exists()


@pytest.mark.proof
def test_the_share_of_a_process_that_ended_is_free_at_once_and_notes_the_takeover():
    write(10)
    plan()
    with share_lock() as lock:
        Share.objects.update(holder=by_process_that_ended())
        with share_lock() as other:
            assert other.share.takeovers == 1
            with pytest.raises(LeaseLost), transaction.atomic():
                lock.renew()
            with transaction.atomic():
                other.renew()
            assert Share.objects.get().takeovers == 0


def test_a_share_that_was_released_was_not_taken_over():
    write(10)
    plan()
    with share_lock():
        pass
    with share_lock() as again:
        assert again.share.takeovers == 0


def test_a_worker_whose_share_was_taken_over_stores_nothing_of_it_and_goes_on():
    ids = write(20)
    plan()

    def lose(progress: object) -> None:
        if len(texts()) == 4 and Share.objects.count() == 2:
            expire(ids[0] - 1)
            usurper.acquire()

    usurper = share_lock()
    result = backfill.assist("default", batch_size=4, on_progress=lose, stop=only_the_lost_is_left)
    assert usurper.share.after_id == ids[0] - 1
    assert result.rows == 14
    store_share(usurper)
    assert texts() == [f"author {n}" for n in range(20)]
    assert settled() == ids[-1]


def only_the_lost_is_left() -> bool:
    """Stop when all but the lost share is stored: its new holder does not end in this test."""
    return InstanceRepr.objects.count() == 14 and Share.objects.count() == 1


@pytest.mark.parametrize(("takeovers", "rows"), [(1, 4), (2, 2), (3, 1), (4, 1)])
def test_what_ended_its_worker_is_built_in_smaller_batches(takeovers, rows):
    write(20)
    plan(width=20)
    Share.objects.update(takeovers=takeovers)
    seen: list[int] = []
    backfill.assist("default", batch_size=8, on_progress=lambda one: seen.append(one.rows))
    assert seen[0] == rows
    assert len(texts()) == 20


def test_an_event_that_ends_each_worker_even_alone_is_a_failure():
    ids = write(20)
    plan(width=20)
    Share.objects.update(takeovers=5)
    backfill.assist("default", batch_size=8)
    assert ReprFailure.objects.get().pk == ids[0]
    assert ReprFailure.objects.get().error_class == "ProcessKilled"
    assert len(texts()) == 19


# Voiding


def test_a_worker_whose_round_was_voided_commits_nothing_and_ends():
    write(20)
    plan()

    def cancel(progress: object) -> None:
        if len(texts()) == 3:
            assert shares.void("default") == 2

    result = backfill.assist("default", batch_size=3, on_progress=cancel)
    assert (result.stop_reason, result.rows) == (StopReason.LEASE_LOST, 3)
    assert "The next run does the rest" in result.error
    assert (len(texts()), parts()) == (3, [])
    assert run().rows == 17


def test_a_worker_that_waits_for_the_last_share_does_not_undo_that_the_round_was_voided(
    monkeypatch,
):
    monkeypatch.setattr(shares, "LEAST", 1)
    write(20)
    plan()
    with share_lock():

        def cancel(progress: object) -> None:
            if Share.objects.count() == 1:
                shares.void("default")

        result = backfill.assist("default", on_progress=cancel)
    assert (result.stop_reason, result.rows) == (StopReason.LEASE_LOST, 10)
    assert parts() == []


def test_to_void_where_there_is_no_round_does_nothing():
    run()
    assert shares.void("default") == 0
    assert Checkpoint.objects.get().voided_at is None


def test_pruning_voids_the_round_and_nothing_is_stored_for_what_it_deleted():
    write(20)
    plan()
    with share_lock() as lock:
        prune.prune("default", timezone.now(), lock=DatabaseLock("default"))
        with pytest.raises(LeaseLost):
            store_share(lock)
    assert parts() == []
    assert not InstanceRepr.objects.exists()


def test_a_rebuild_voids_the_round():
    write(20)
    plan()
    result = rebuild.run("default", Selection(), lock=DatabaseLock("default"))
    assert result.stop_reason is StopReason.CAUGHT_UP
    assert parts() == []


def test_a_rescan_voids_the_round_and_does_all_itself():
    ids = write(20)
    plan()
    InstanceRepr.objects.all().delete()
    result = run(rescan=True)
    assert (result.rows, parts(), settled()) == (20, [], ids[-1])


# Runs


def test_a_run_that_finds_shares_helps_and_then_does_the_rest():
    write(20)
    plan()
    more = write(5)
    result = run()
    assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 25)
    assert (settled(), parts()) == (more[-1], [])
    assert BackfillRun.objects.get().rows == 25


def test_a_run_that_only_found_a_round_leaves_the_rest_to_the_run_that_holds_the_lock():
    write(20)
    plan()
    other = DatabaseLock("default")

    def take_lock(progress: object) -> None:
        assert other or other.acquire()

    result = run(on_progress=take_lock)
    assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 20)
    other.release()


def test_a_run_on_a_host_that_has_a_worker_already_is_skipped():
    write(20)
    plan()
    with share_lock():
        result = run()
    assert (result.stop_reason, result.rows) == (StopReason.LOCKED, 0)
    assert result.holder.pid == Process.current().pid
    assert BackfillRun.objects.get().skipped_runs == 1
    assert not Lease.objects.exclude(token=None).exists()


def test_a_run_helps_workers_of_another_host():
    write(20)
    plan()
    with share_lock() as lock:
        elsewhere = replace(Process.current(), host="elsewhere", boot="another")
        Share.objects.filter(token=lock.token).update(holder=asdict(elsewhere))
        result = run()
    assert (result.rows, result.stop_reason) == (10, StopReason.LOCKED)  # and does not wait
    assert result.holder.host == "elsewhere"


def test_a_run_without_workers_never_cuts_shares(monkeypatch):
    monkeypatch.setattr(shares, "LEAST", 1)
    monkeypatch.setattr(shares, "plan", None)
    write(20)
    assert run().rows == 20


def test_a_run_with_workers_plans_one_round_after_the_other(monkeypatch):
    monkeypatch.setattr(shares, "WIDTH", 5)
    monkeypatch.setattr(shares, "MOST", 2)
    monkeypatch.setattr(shares, "LEAST", 6)
    planned: list[int] = []
    original = shares.plan
    monkeypatch.setattr(
        shares, "plan", lambda *a, **k: planned.append(original(*a, **k)) or planned[-1]
    )
    ids = write(33)
    seen: list[tuple[int, int]] = []
    result = run(workers=2, on_progress=lambda p: seen.append((p.done, p.total)))
    assert planned == [2, 2, 2, 0]
    assert (result.rows, settled()) == (33, ids[-1])
    assert all(done <= total for done, total in seen)
    assert seen == sorted(seen)


def test_a_rescan_with_workers_finds_what_was_deleted_below_the_watermark(monkeypatch):
    monkeypatch.setattr(shares, "WIDTH", 5)
    monkeypatch.setattr(shares, "LEAST", 1)
    ids = write(33)
    run()
    InstanceRepr.objects.filter(pk__lte=ids[20]).delete()
    assert run(workers=2, rescan=True).rows == 21
    assert settled() == ids[-1]


def test_with_the_file_lock_no_round_is_planned(monkeypatch, tmp_path):
    monkeypatch.setattr(shares, "LEAST", 1)
    monkeypatch.setattr(shares, "plan", None)
    write(20)
    lock = FileLock("default", path=tmp_path / "lock")
    assert backfill.run("default", lock=lock, workers=2).rows == 20


def test_two_writers_of_the_checkpoint_do_not_overwrite_each_other():
    ids = write(20)
    backlog = Backlog("default")
    Checkpoint.objects.update(settled_id=ids[9], values_upto=7, swept_id=3)
    backlog.settle(ids[4])
    mark = Checkpoint.objects.get()
    assert (mark.settled_id, mark.values_upto, mark.swept_id) == (ids[9], 7, 3)
    backlog.settle(ids[14])
    assert settled() == ids[14]


def test_who_waits_for_the_lock_in_vain_leaves_the_rest_to_its_holder(monkeypatch):
    monkeypatch.setattr(sharing, "PATIENCE", 0.0)
    write(20)
    plan()
    with DatabaseLock("default"):
        began = time.monotonic()
        result = backfill.assist("default")
    assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 20)
    assert time.monotonic() - began < 60
    assert parts() == []
