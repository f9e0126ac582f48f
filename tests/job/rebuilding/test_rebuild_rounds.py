"""Several workers on one rebuild: every representation once more, and the job beside them."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
from dataclasses import asdict
from datetime import timedelta
from subprocess import Popen
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from auditrepr.exceptions import LeaseLost
from auditrepr.job import slices
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.locks.process import Process
from auditrepr.job.rebuilding import rebuild
from auditrepr.job.rebuilding.selection import Selection
from auditrepr.job.retention import prune
from auditrepr.job.rounds import shares
from auditrepr.job.rounds.lock import ShareLock
from auditrepr.job.runs.limits import Limits
from auditrepr.job.runs.result import Result
from auditrepr.models import (
    AuditLog,
    BackfillRun,
    InstanceRepr,
    RebuildCursor,
    ReprFailure,
    Share,
    StopReason,
)
from tests import chaos
from tests.app.models import Author
from tests.processes import run_here, start_python
from tests.rounds import (
    SEEDS,
    SMALL,
    Gate,
    by_process_that_ended,
    check_all_is_stored,
    expire,
    holders,
    parts,
    settled,
    write,
)
from tests.running import run, texts
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

#: What was stored before.
OLD = "old"


@pytest.fixture(autouse=True)
def _small_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WIDTH": 10, "LEAST": 1}.items():
        monkeypatch.setattr(shares, name, value)


def stored(count: int) -> list[int]:
    """Store so many representations that a rebuild changes, and return the events' IDs."""
    ids = write(count)
    run()
    InstanceRepr.objects.update(instance_repr=OLD)
    return ids


def anew(selection: Selection | None = Selection(), **options: Any) -> Result:  # noqa: B008
    lock = DatabaseLock("default")
    return rebuild.run("default", selection, lock=lock, **{"workers": 2, **options})


def plan() -> rebuild.Rebuild:
    """Plan a round, and let nobody work on it; return a worker for it."""
    result = anew(stop=only_planned())
    assert result.stop_reason is StopReason.SIGNAL
    assert Share.objects.exists()
    return rebuild.Rebuild("default", None, lock=DatabaseLock("default"), limits=Limits())


def only_planned() -> Any:
    return Share.objects.exists


def share_lock(worker: rebuild.Rebuild) -> ShareLock:
    return ShareLock("default", worker.command, follow=worker.follow)


def store_share(worker: rebuild.Rebuild, lock: ShareLock) -> None:
    assert lock.share
    batch = worker.take(lock.share.after_id, lock.share.upto_id)
    worker.lock, worker._share = lock, lock.share
    worker.store(batch.events, lambda outcomes: worker._write(lock, batch, outcomes))


def names() -> list[str]:
    rows = AuditLog.objects.order_by("pk").values_list("row_data", flat=True)
    return [row["name"] for row in rows]


@pytest.mark.proof
def test_all_is_rebuilt_in_one_round():
    ids = stored(35)
    mark = settled()
    seen: list[tuple[int, int]] = []
    result = anew(batch_size=4, on_progress=lambda one: seen.append((one.done, one.total)))
    assert (result.stop_reason, result.rows, result.again) == (StopReason.CAUGHT_UP, 35, 35)
    assert texts() == names()
    assert not Share.objects.exists()
    assert not RebuildCursor.objects.exists()
    assert settled() == mark == ids[-1]
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_what_is_small_is_the_work_of_one(monkeypatch):
    monkeypatch.setattr(shares, "LEAST", 100)
    monkeypatch.setattr(shares, "put", None)
    stored(20)
    assert anew().rows == 20


def test_a_long_log_has_a_bounded_number_of_shares(monkeypatch):
    monkeypatch.setattr(rebuild, "MOST", 4)
    ids = stored(50)
    AuditLog.objects.filter(pk__in=ids[20:35]).delete()
    plan()
    begin = ids[0] - 1
    assert parts() == [(begin, begin + 13), (begin + 13, begin + 26), (ids[35] - 1, begin + 48),
                       (begin + 48, ids[-1])]  # fmt: skip


def test_only_the_selection_is_rebuilt():
    stored(20)
    InstanceRepr.objects.filter(pk__in=InstanceRepr.objects.values("pk")[5:8]).update(fidelity="M")
    assert anew(Selection(mixed=True)).rows == 3
    assert texts().count(OLD) == 17


def test_final_events_are_built_once_more(monkeypatch):
    name = Author.__str__
    monkeypatch.setattr(Author, "__str__", lambda author: author.name[99])
    write(20)
    run()
    ReprFailure.objects.update(next_attempt_at=None)
    monkeypatch.setattr(Author, "__str__", name)
    result = anew()
    assert (result.rows, texts(), ReprFailure.objects.count()) == (20, names(), 0)


def test_the_cursor_stays_at_the_first_share_that_is_left():
    ids = stored(40)
    worker = plan()
    with share_lock(worker) as first, share_lock(worker) as second:
        store_share(worker, second)
        assert RebuildCursor.objects.get().reached_id == ids[0] - 1
        store_share(worker, first)
    assert RebuildCursor.objects.get().reached_id == ids[19]
    assert texts() == names()[:20] + [OLD] * 20


@pytest.mark.postgresql
def test_of_two_who_finish_in_the_same_moment_the_last_ends_the_rebuild():
    stored(20)
    worker = plan()
    both = threading.Barrier(2)

    def finish() -> None:
        try:
            with share_lock(worker) as lock, transaction.atomic():
                Share.objects.filter(token=lock.token)._raw_delete("default")
                both.wait(60)  # neither sees that the other has deleted its share
                worker.follow(lock.share)
        finally:
            connection.close()

    threads = [threading.Thread(target=finish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not Share.objects.exists()
    assert not RebuildCursor.objects.exists()


def test_who_resumes_does_what_is_left_of_the_round():
    stored(40)
    calls = iter(range(100))
    first = anew(batch_size=5, stop=lambda: next(calls) > 5)
    assert first.stop_reason is StopReason.SIGNAL
    assert 0 < first.rows < 40
    left = parts()
    assert left
    done = texts().count(OLD)
    rest = anew(None, workers=1)
    assert (rest.stop_reason, rest.rows) == (StopReason.CAUGHT_UP, done)
    assert texts() == names()
    assert not RebuildCursor.objects.exists()


# Beside the job


def test_the_job_works_beside_a_rebuild_but_alone():
    stored(20)
    worker = plan()
    with share_lock(worker) as lock:
        more = write(30)
        result = run(workers=3)
        assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 30)
        assert settled() == more[-1]
        store_share(worker, lock)
    assert Share.objects.count() == 1
    assert anew(None).rows == 10
    assert texts() == names()


def test_a_message_for_help_is_about_the_job_alone():
    stored(20)
    plan()
    assert slices.assist("default", 60).results == {}
    assert Share.objects.count() == 2


def test_a_rescan_leaves_the_rebuild_its_round():
    stored(20)
    plan()
    InstanceRepr.objects.filter(pk__in=InstanceRepr.objects.values("pk")[:2]).delete()
    assert run(rescan=True).rows == 2
    assert Share.objects.count() == 2
    assert anew(None).rows == 18


@pytest.mark.proof
@pytest.mark.parametrize("alive", [True, False])
def test_another_rebuild_is_skipped_while_the_first_has_workers(alive):
    stored(20)
    worker = plan()
    with share_lock(worker):
        if not alive:
            Share.objects.exclude(token=None).update(holder=by_process_that_ended())
        result = anew(workers=1)
    if alive:
        assert (result.stop_reason, result.rows) == (StopReason.LOCKED, 0)
        assert result.holder.pid == os.getpid()
        assert Share.objects.count() == 2
    else:
        assert (result.rows, Share.objects.count()) == (20, 0)


@pytest.mark.parametrize("alive", [True, False])
def test_retrying_all_failures_waits_for_a_rebuild_that_builds_final_events_too(alive):
    stored(20)
    worker = plan()
    with share_lock(worker) as lock:
        if not alive:
            expire(lock.share.pk)
        result = run(retry_failed=True)
        assert result.stop_reason is (StopReason.LOCKED if alive else StopReason.CAUGHT_UP)
        assert Share.objects.count() == (2 if alive else 0)
        if not alive:
            with pytest.raises(LeaseLost):
                store_share(worker, lock)
    assert RebuildCursor.objects.exists()


@pytest.mark.proof
def test_pruning_ends_the_round_and_what_is_left_is_resumed():
    stored(20)
    now = timezone.now()
    more = write(20)
    run()
    worker = plan()
    with share_lock(worker) as lock:
        prune.prune("default", now, lock=DatabaseLock("default"))
        with pytest.raises(LeaseLost):
            store_share(worker, lock)
    InstanceRepr.objects.update(instance_repr=OLD)
    assert anew(None).rows == 20
    assert list(InstanceRepr.objects.order_by("pk").values_list("pk", flat=True)) == more
    assert texts() == names()


def test_a_rebuild_that_is_canceled_says_so_and_can_be_resumed():
    stored(20)

    def cancel(progress: object) -> None:
        if texts().count(OLD) == 16:
            shares.void("default")

    result = anew(batch_size=4, on_progress=cancel)
    assert (result.stop_reason, result.rows) == (StopReason.LEASE_LOST, 4)
    assert RebuildCursor.objects.exists()
    assert anew(None).stop_reason is StopReason.CAUGHT_UP
    assert texts() == names()


def test_the_status_shows_the_round_and_how_to_go_on_without_workers():
    stored(20)
    worker = plan()
    with share_lock(worker):
        shown = run_here("backfill_status").stdout
        assert re.search(r"round +rebuild_reprs: 0 of 2 shares done, 1 held", shown)
        assert "--resume" not in shown
    shown = run_here("backfill_status").stdout
    assert re.search(r"round +rebuild_reprs: 0 of 2 shares done, 0 held", shown)
    assert "To continue: manage.py rebuild_reprs --resume" in shown


# A round without workers


def commands_of_rounds(**options: Any) -> tuple[Result, set[str]]:
    """Return the result of several workers of the job, and whose shares there were meanwhile."""
    seen: set[str] = set()

    def look(progress: object) -> None:
        seen.update(Share.objects.values_list("command", flat=True))

    return run(workers=2, batch_size=4, on_progress=look, **options), seen


def began_on(holder: dict[str, object], **options: Any) -> BackfillRun:
    """The record of a worker of a rebuild that holds no share right now."""
    now = timezone.now()
    values = {"started_at": now, "seen_at": now, "host": holder["host"], "pid": holder["pid"]}
    return BackfillRun.objects.create(command="rebuild_reprs", holder=holder, **values | options)


def in_this_process() -> dict[str, object]:
    return asdict(Process.current())


def elsewhere() -> dict[str, object]:
    return in_this_process() | {"host": "another", "boot": "another"}


@pytest.mark.proof
@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_rebuild_without_workers_makes_room_and_can_be_continued(end, caplog):
    caplog.set_level("INFO", "auditrepr.rounds")
    stored(40)
    worker = plan()
    if end == "killed":
        with share_lock(worker) as lock:
            store_share(worker, lock)
        kill(worker)
    more = write(60)
    left = texts().count(OLD)
    result, seen = commands_of_rounds()
    assert (result.stop_reason, result.error, result.rows) == (StopReason.CAUGHT_UP, "", 60)
    assert seen == {"backfill_reprs"}
    assert settled() == more[-1]
    assert "no process worked on the round of rebuild_reprs" in caplog.text.lower()
    assert "rebuild_reprs --resume" in run_here("backfill_status").stdout
    assert anew(None).rows == left > 0
    assert texts() == names()
    assert not RebuildCursor.objects.exists()


def kill(worker: rebuild.Rebuild) -> None:
    """Leave a share, and the run's record without an end, to a process that ended."""
    holder = by_process_that_ended()
    lock = share_lock(worker)
    assert lock.acquire()
    assert Share.objects.filter(token=lock.token).update(holder=holder)
    assert BackfillRun.objects.filter(ended_at=None).update(holder=holder)


def test_a_small_backlog_leaves_the_rebuild_its_round(monkeypatch):
    stored(20)
    plan()
    monkeypatch.setattr(shares, "LEAST", 1000)
    write(5)
    assert run(workers=2).rows == 5
    assert set(Share.objects.values_list("command", flat=True)) == {"rebuild_reprs"}


@pytest.mark.proof
@pytest.mark.parametrize("silent", [False, True])
def test_a_worker_between_two_shares_counts_while_it_shows_signs_of_life(silent):
    stored(20)
    plan()
    began_on(elsewhere(), seen_at=timezone.now() - timedelta(days=silent))
    write(30)
    result, seen = commands_of_rounds()
    assert result.rows == 30
    assert seen == ({"backfill_reprs"} if silent else {"rebuild_reprs"})


def test_neither_another_rebuild_nor_a_retry_ends_a_worker_between_two_shares():
    stored(20)
    plan()
    began_on(in_this_process())
    for result in (anew(), run(retry_failed=True)):
        assert (result.stop_reason, result.holder.pid) == (StopReason.LOCKED, os.getpid())
    assert Share.objects.count() == 2


@pytest.mark.proof
def test_the_job_shares_the_rest_once_the_rebuild_has_no_workers_left():
    stored(20)
    worker = plan()
    more = write(60)
    seen: list[set[str]] = []
    with share_lock(worker) as lock:

        def look(progress: object) -> None:
            seen.append(set(Share.objects.values_list("command", flat=True)))
            if len(seen) == 3:
                lock.release()

        result = run(workers=2, batch_size=4, on_progress=look)
    assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 60)
    assert seen[:3] == [{"rebuild_reprs"}] * 3
    assert {"backfill_reprs"} in seen[3:]
    assert settled() == more[-1]
    assert anew(None).rows == 20


@pytest.mark.proof
def test_a_worker_that_was_thought_dead_says_that_its_round_was_canceled():
    stored(20)
    write(30)
    taken: list[Result] = []

    def take_room(progress: object) -> None:
        if not taken:
            BackfillRun.objects.update(ended_at=timezone.now())
            expire(*Share.objects.values_list("pk", flat=True))
            taken.append(run(workers=2))

    result = anew(batch_size=4, on_progress=take_room)
    assert taken[0].rows == 30
    assert (result.stop_reason, result.rows) == (StopReason.LEASE_LOST, 4)
    assert anew(None).rows == 16


def test_a_rebuild_that_joins_a_round_and_finds_no_free_share_records_its_end():
    stored(20)
    worker = plan()
    with share_lock(worker), share_lock(worker):
        Share.objects.update(holder=elsewhere())
        assert anew(None, workers=1).stop_reason is StopReason.LOCKED
    assert not BackfillRun.objects.filter(ended_at=None).exists()


# Processes

COMMAND = SMALL.replace("backfill_reprs", "rebuild_reprs") + (
    'execute_from_command_line([*sys.argv, "--workers", "3", "--batch-size", "2", *{more!r}])\n'
)


def start(*more: str, **options: Any) -> Popen[str]:
    return start_python(COMMAND.format(more=more), **options)


def test_options_that_exclude_each_other():
    done = run_here("rebuild_reprs", "--workers", "2", "--lock", "file")
    assert done.returncode == 2
    assert "cannot be combined with --lock file" in done.stderr
    assert run_here("rebuild_reprs", "--workers", "0").returncode == 2


@pytest.mark.proof
def test_three_processes_rebuild_and_one_that_is_killed_costs_nothing(tmp_path):
    stored(120)
    gate = Gate(tmp_path)
    process = start(env=gate.env)
    try:
        wait_until(lambda: len(holders()) == 3)
        more = write(3)  # and the job works beside them
        run_here("backfill_reprs")
        assert InstanceRepr.objects.filter(pk__in=more).count() == 3
        os.kill(min(holders() - {process.pid}), signal.SIGKILL)
        gate.open()
        output, errors = process.communicate(timeout=200)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert re.search("SIGKILL.*Other workers did its share", errors)
    assert re.search(r"Rebuilt 1\d\d representations, 1\d\d changed", output)
    assert texts() == names()
    assert not RebuildCursor.objects.exists()
    check_all_is_stored()
    assert len(set(BackfillRun.objects.values_list("pid", flat=True))) >= 3


#: Continues whatever is left of a rebuild.
RESUME = (
    SMALL
    + """
from auditrepr.job.rebuilding import rebuild
from auditrepr.job.locks.lease import DatabaseLock
print("ready", flush=True)
while True:
    rebuild.run("default", None, lock=DatabaseLock("default"), workers=9, batch_size=3)
    time.sleep(0.01)
"""
)
#: The job, and a project that writes.
JOB = """
from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
print("ready", flush=True)
while True:
    Author.objects.create(name="more")
    backfill.run("default", lock=DatabaseLock("default"))
"""


@pytest.mark.proof
@pytest.mark.parametrize("round_", range(SEEDS))
def test_workers_that_are_killed_and_stopped_at_random_rebuild_everything(round_):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    ids = stored(600)
    plan()
    [job], workers = chaos.start(JOB, 1), chaos.start(RESUME, 3)
    try:
        chaos.disturb(workers, RESUME, chance, times=10)
        wait_until(lambda: not RebuildCursor.objects.exists())
    finally:
        chaos.end(job, *workers)
    assert not Share.objects.exists(), seed
    rebuilt = dict(InstanceRepr.objects.filter(pk__in=ids).values_list("pk", "instance_repr"))
    assert list(rebuilt.values()).count(OLD) == 0, seed
    run_here("backfill_reprs", "--wait", "90")
    check_all_is_stored(seed)
