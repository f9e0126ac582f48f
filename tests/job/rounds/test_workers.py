"""``--workers``: real processes share a backlog, and whatever ends one of them ends no work.

``STRESS_KILLS=300`` tries thirty seeds of three workers, as ``make stress`` does.
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.rounds import shares
from auditrepr.job.rounds.lock import ShareLock
from auditrepr.job.runs.result import Result
from auditrepr.management import workers
from auditrepr.models import (
    BackfillRun,
    InstanceRepr,
    Share,
    StopReason,
)
from tests import chaos
from tests.processes import run_here, start_python
from tests.rounds import (
    EVENTS,
    SEEDS,
    SMALL,
    Gate,
    check_all_is_stored,
    holders,
    start,
    three_workers,
    write,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.proof
def test_three_processes_share_the_backlog_and_one_reports(gate):
    with three_workers(gate, "--format", "json") as process:
        gate.open()
        output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    (report,) = json.loads(output)
    assert (report["stored"], report["stop_reason"]) == (EVENTS, "caught-up")
    check_all_is_stored()
    records = list(BackfillRun.objects.all())
    assert sum(record.rows for record in records) == EVENTS
    assert len({record.pid for record in records}) == 3
    assert all(record.ended_at for record in records)


@pytest.mark.proof
def test_workers_that_wait_for_a_share_when_all_is_done_were_not_stopped(tmp_path):
    gate = Gate(tmp_path, pause=3)
    with three_workers(gate) as process:
        gate.open()
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    records = list(BackfillRun.objects.values_list("stop_reason", flat=True))
    assert records == ["caught-up"] * 3


@pytest.mark.proof
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_order_and_the_next_run_does_the_rest(gate, number):
    with three_workers(gate) as process:
        pids = holders()
        process.send_signal(number)
        gate.open()
        output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (128 + number, "")
    assert "Stopped by a signal" in output
    assert not any(runs(pid) for pid in pids)
    assert holders() == set()
    assert BackfillRun.objects.get(pid=process.pid).stop_reason == StopReason.SIGNAL
    assert all(record.ended_at for record in BackfillRun.objects.all())
    run_here("backfill_reprs")
    check_all_is_stored()


@pytest.mark.proof
def test_a_worker_that_is_killed_costs_nothing_but_is_reported(gate):
    with three_workers(gate) as process:
        victim = min(holders() - {process.pid})
        os.kill(victim, signal.SIGKILL)
        gate.open()
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    early = f"A worker ended early (process {victim}: SIGKILL)."
    assert errors == f"default: {early} Other workers did its share.\n"
    # It may have been killed after it had stored a batch, and before it could say so.
    assert re.search(f"Stored ({EVENTS}|{EVENTS - 2}) representations", output)
    check_all_is_stored()


@pytest.mark.proof
def test_nothing_is_said_of_others_if_the_run_itself_was_stopped(gate):
    with three_workers(gate) as process:
        victim = min(holders() - {process.pid})
        os.kill(victim, signal.SIGKILL)
        process.send_signal(signal.SIGTERM)
        gate.open()
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Stopped by a signal." in output
    assert errors == f"default: A worker ended early (process {victim}: SIGKILL).\n"


@pytest.mark.parametrize(("row", "lease"), [(120, 60), (10.0, 2), (0.5, 90)])
def test_a_worker_has_the_time_of_its_longest_row_to_end(monkeypatch, settings, row, lease):
    given: list[float] = []

    class Worker:
        progress = workers.NOTHING

        def __init__(self, *started: Any) -> None: ...

        def listen(self) -> None: ...

        def stop(self, reason: StopReason) -> None: ...

        def join(self, until: float) -> Result:
            given.append(until)
            return Result()

    settings.AUDITREPR = {"ROW_SECONDS": row, "LEASE_SECONDS": lease}
    monkeypatch.setattr(workers, "Worker", Worker)
    crew = workers.Workers("default", shares.BACKFILL)
    crew.start(2, None)
    began = time.monotonic()
    crew.end(StopReason.SIGNAL)
    assert len(given) == 2
    assert min(given) - began >= row + lease, "it builds a row, and then stores the batch"


@pytest.mark.proof
def test_workers_end_when_the_process_that_started_them_is_killed(gate):
    with three_workers(gate) as process:
        pids = holders()
        process.kill()
        process.wait()
        gate.open()
        wait_until(lambda: not any(runs(pid) for pid in pids))
    assert InstanceRepr.objects.count() < EVENTS
    run_here("backfill_reprs")
    check_all_is_stored()


@pytest.mark.proof
def test_two_processes_share_the_backlog():
    write(60)
    process = start(2, env={})
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert "Stored 60 representations" in output
    check_all_is_stored()


@pytest.mark.proof
@pytest.mark.parametrize("reason", [StopReason.CAUGHT_UP, StopReason.TIME_BUDGET])
def test_a_worker_that_is_told_to_end_records_why(reason):
    """Whoever waits for others' shares when the run ends was not stopped by a signal."""
    write(20)
    run_here("backfill_reprs", "--max-batches", "1", "--batch-size", "10")
    with DatabaseLock("default") as lock:
        assert shares.plan("default", "backfill_reprs", lock, width=10, least=1) == 1
    crew = workers.Workers("default", "backfill_reprs", batch_size=None)
    with ShareLock("default", "backfill_reprs", follow=lambda share: None) as lock:
        assert lock.share
        crew.start(1, None)
        crew.end(reason)
    (result,) = crew.results()
    assert (result.stop_reason, result.rows, result.lost_workers) == (reason, 0, [])
    assert BackfillRun.objects.latest("pk").idle_runs == 1


def test_more_than_one_worker_cannot_use_the_file_lock_nor_count_batches():
    done = run_here("backfill_reprs", "--workers", "2", "--lock", "file")
    assert done.returncode == 2
    assert "cannot be combined with --lock file. Workers claim their shares" in done.stderr
    done = run_here("backfill_reprs", "--workers", "2", "--max-batches", "3")
    assert done.returncode == 2
    assert "cannot be combined with --max-batches" in done.stderr
    for number in ("0", "-1", "201", "two", "1.5", ""):
        done = run_here("backfill_reprs", f"--workers={number}")
        assert (done.returncode, done.stdout) == (2, ""), number
    assert "the maximum is 200" in run_here("backfill_reprs", "--workers", "1000").stderr


def test_a_process_that_may_not_start_others_says_so(monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    done = run_here("backfill_reprs", "--workers", "2")
    assert done.returncode == 2
    assert "this process may not start others" in done.stderr
    assert run_here("backfill_reprs").returncode == 0


def test_where_no_process_can_be_started_one_does_all_and_says_so(monkeypatch):
    def full(using: str, command: str, options: dict[str, Any]) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(workers, "Worker", full)
    monkeypatch.setattr(shares, "LEAST", 1)
    write(20)
    done = run_here("backfill_reprs", "--workers", "3")
    assert done.returncode == 0
    assert "A worker ended early (could not be started: [Errno 11]" in done.stderr
    check_all_is_stored()


@pytest.mark.sqlite
def test_on_sqlite_the_command_says_what_bounds_it():
    done = run_here("backfill_reprs", "--workers", "2", "-v", "2")
    assert "has one writer at a time: workers build at the same time" in done.stdout


# Chaos

WORKER = (
    SMALL
    + """
from auditrepr.job import backfill
print("ready", flush=True)
while True:
    backfill.assist("default", batch_size=3)
    time.sleep(0.01)
"""
)
#: Prints what is wrong with the watermark, whenever it looks.
WATCHER = """
from auditrepr.models import AuditLog, Checkpoint
print("ready", flush=True)
while True:
    mark = Checkpoint.objects.values_list("settled_id", flat=True).first() or 0
    pending = AuditLog.objects.pending().filter(pk__lte=mark)
    if found := list(pending.values_list("pk", flat=True)[:3]):
        print("behind the watermark", mark, found, flush=True)
"""


@pytest.mark.proof
@pytest.mark.parametrize("round_", range(SEEDS))
def test_workers_that_are_killed_and_stopped_at_random_store_each_event_once(round_):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    write(600)
    with DatabaseLock("default") as lock:
        assert shares.plan("default", "backfill_reprs", lock, width=20, least=1) == 30
    watcher = start_python(WATCHER)
    assert watcher.stdout.readline() == "ready\n"
    workers = chaos.start(WORKER, 3)
    try:
        chaos.disturb(workers, WORKER, chance, times=15)
        wait_until(lambda: not Share.objects.exists())
        assert watcher.poll() is None, seed
    finally:
        said, *_ = chaos.end(watcher, *workers)
    assert said == "", seed
    run_here("backfill_reprs", "--wait", "90")
    check_all_is_stored(seed)
