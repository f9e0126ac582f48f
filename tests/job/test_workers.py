"""``--workers``: real processes share a backlog, and whatever ends one of them ends no work."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from subprocess import Popen
from typing import Any

import pytest

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.rounds import shares
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
from tests.app.models import Author
from tests.processes import run_here, start_python
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = 120

#: Rounds of small shares; each batch takes a while, so that all workers get some.
SMALL = """
import os, time
from auditrepr.job.rounds import shares
shares.WIDTH, shares.MOST, shares.LEAST = 10, 6, 1
sys.argv = ["manage.py", "backfill_reprs"]
"""
COMMAND = (
    SMALL
    + """
execute_from_command_line([*sys.argv, "--workers", "{workers}", "--batch-size", "2", *{more!r}])
"""
)


@pytest.fixture
def slow(monkeypatch, tmp_path) -> dict[str, str]:
    """The environment in which each ``str()`` takes a moment, in every process."""
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    return {"PYTHONPATH": f"{tmp_path}:{os.getcwd()}"}


SLOW = """
import time
from importlib import import_module
import django
setup = django.setup

def slowly(*args, **options):
    setup(*args, **options)
    models = import_module("tests.app.models")
    name = models.Author.__str__

    def __str__(author):
        time.sleep(0.02)
        return name(author)

    models.Author.__str__ = __str__

django.setup = slowly
"""


def start(workers: int, *more: str, env: dict[str, str], **options: Any) -> Popen[str]:
    return start_python(COMMAND.format(workers=workers, more=more), env=env, **options)


def write(count: int = EVENTS) -> None:
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(count))


def holders() -> set[int]:
    """The processes that hold a share."""
    return {
        holder["pid"]
        for holder in Share.objects.exclude(token=None).values_list("holder", flat=True)
    }


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def check_all_is_stored(seed: int | None = None) -> None:
    assert not AuditLog.objects.pending().exists(), seed
    assert not ReprFailure.objects.exists(), seed
    said = {row.pk: row.row_data["name"] for row in AuditLog.objects.all()}
    assert dict(InstanceRepr.objects.values_list("pk", "instance_repr")) == said, seed
    assert Checkpoint.objects.get().settled_id == max(said), seed
    assert not Share.objects.exists(), seed
    assert not Lease.objects.exclude(token=None).exists(), seed


def test_three_processes_share_the_backlog_and_one_reports(slow):
    write()
    process = start(3, "--format", "json", env=slow)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    (report,) = json.loads(output)
    assert (report["stored"], report["stop_reason"]) == (EVENTS, "caught-up")
    check_all_is_stored()
    records = list(BackfillRun.objects.all())
    assert sum(record.rows for record in records) == EVENTS
    assert len({record.pid for record in records}) > 1
    assert all(record.ended_at for record in records)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_order_and_the_next_run_does_the_rest(slow, number):
    write()
    process = start(3, env=slow)
    wait_until(lambda: len(holders()) == 3)
    pids = holders()
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (128 + number, "")
    assert re.search(r"Stopped by a signal", output)
    assert not any(runs(pid) for pid in pids)
    assert holders() == set()
    assert {run.stop_reason for run in BackfillRun.objects.all()} == {StopReason.SIGNAL}
    assert 0 < InstanceRepr.objects.count() < EVENTS
    run_here("backfill_reprs")
    check_all_is_stored()


def test_a_worker_that_is_killed_costs_nothing_but_is_reported(slow):
    write()
    process = start(3, env=slow)
    wait_until(lambda: len(holders()) == 3)
    victim = min(holders() - {process.pid})
    os.kill(victim, signal.SIGKILL)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    told = f"default: A worker ended early (process {victim}: SIGKILL). Others did its share.\n"
    assert errors == told
    assert "Nothing left to do." in output
    check_all_is_stored()


def test_workers_end_when_the_process_that_started_them_is_killed(slow):
    write(400)
    process = start(3, env=slow)
    wait_until(lambda: len(holders()) == 3)
    pids = holders()
    process.kill()
    process.communicate()
    wait_until(lambda: not any(runs(pid) for pid in pids))
    assert InstanceRepr.objects.count() < 400
    run_here("backfill_reprs")
    check_all_is_stored()


def test_more_than_one_worker_cannot_use_the_file_lock_nor_count_batches():
    done = run_here("backfill_reprs", "--workers", "2", "--lock", "file")
    assert done.returncode == 2
    assert "cannot be combined with --lock file. Workers claim their shares" in done.stderr
    done = run_here("backfill_reprs", "--workers", "2", "--max-batches", "3")
    assert done.returncode == 2
    assert "cannot be combined with --max-batches" in done.stderr
    assert run_here("backfill_reprs", "--workers", "0").returncode == 2


@pytest.mark.sqlite
def test_on_sqlite_the_command_says_what_bounds_it():
    done = run_here("backfill_reprs", "--workers", "2", "-v", "2")
    assert "has one writer at a time: more workers only build more" in done.stdout


# Chaos

SEEDS = int(os.environ.get("STRESS_ROUNDS", "2"))
WORKER = (
    SMALL
    + """
from auditrepr.job import backfill
print("ready", flush=True)
while True:
    backfill.help("default", batch_size=3)
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
    workers = [start_python(WORKER, stderr=-3) for _ in range(3)]
    stopped: list[Popen[str]] = []
    try:
        for worker in workers:
            assert worker.stdout.readline() == "ready\n", seed
        for _ in range(15):
            time.sleep(chance.uniform(0, 0.3))
            n = chance.randrange(3)
            if chance.random() < 0.5:
                workers[n].kill()
                workers[n].communicate()
            else:
                workers[n].send_signal(signal.SIGSTOP)
                stopped.append(workers[n])
                Share.objects.filter(holder__pid=workers[n].pid).update(
                    expires_at="2000-01-01T00:00Z"
                )
            workers[n] = start_python(WORKER, stderr=-3)
        for zombie in stopped:
            zombie.send_signal(signal.SIGCONT)
        wait_until(lambda: not Share.objects.exists())
        assert watcher.poll() is None, seed
    finally:
        for process in (*workers, *stopped, watcher):
            process.kill()
        said = watcher.communicate()[0]
    assert said == "", seed
    run_here("backfill_reprs", "--wait", "90")
    check_all_is_stored(seed)
