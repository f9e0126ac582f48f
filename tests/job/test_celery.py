"""Celery's own workers and beat, on a real Redis; messages are lost, doubled and late.

What depends on how a broker delivers messages is tried on RabbitMQ, too. celery-once's faults are
not ours, because nothing is in the broker or in a lock with a timeout of its own:

- The end of the first task deletes the lock of a second one that began after the timeout: the lock
  has a token (test_locks.py: a run that stopped past its lease commits nothing, and leaves its
  successor the lock).
- A failed send leaves the lock behind: test_a_message_that_could_not_be_sent_blocks_nothing.
- A task cannot send itself again while it has the lock:
  test_slice_after_slice_shares_the_work_among_the_workers_processes.
- A lock by the task's arguments does not know their defaults:
  test_the_same_work_by_other_arguments_is_done_once.
- A worker that is killed blocks the others until the timeout:
  test_what_a_killed_worker_leaves_is_the_next_messages_work.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.db.models import Sum
from kombu.exceptions import OperationalError

from auditrepr.models import AuditLog, BackfillRun, InstanceRepr, ReprFailure, Share, StopReason
from tests.app.models import Author
from tests.processes import ROOT, environment
from tests.rabbitmq_server import RabbitServer
from tests.redis_server import RedisServer
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.proof,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("_an_empty_log"),
]

QUEUE = "represent"
#: Seconds between two messages of a schedule.
PERIOD = 5.0
POOLS = ["solo", "prefork"]
RECEIVED = re.compile(r"Task auditrepr\.backfill\[[^]]+\] received")
SLOW = {"TEST_ROW_TAKES": "0.02", "TEST_AUDITREPR": json.dumps({"BATCH_SIZE": 2})}


@pytest.fixture
def _an_empty_log(transactional_db: None) -> None:
    AuditLog.objects.all().delete()


class Project:
    """The broker, and processes of Celery that work on the database of the test."""

    def __init__(self, folder: Path, broker: RedisServer | RabbitServer) -> None:
        self.folder = folder
        self.broker = broker
        self.app = Celery("sender", broker=broker.url, set_as_current=False)
        self._processes: list[subprocess.Popen[bytes]] = []

    def worker(self, pool: str, *more: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it listens."""
        name = f"worker{len(self._processes)}@localhost"
        options = ["--pool", pool, "-Q", QUEUE, "-n", name, "--without-gossip", "--without-mingle"]
        process = self._start("worker", *options, *more, **env)
        log = self.log(process)
        wait_until(lambda: " ready." in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        return process

    def beat(self) -> subprocess.Popen[bytes]:
        return self._start("beat", "-s", str(self.folder / f"beat{len(self._processes)}"))

    def log(self, process: subprocess.Popen[bytes]) -> Path:
        return self.folder / f"{self._processes.index(process)}.log"

    def send(self, name: str = "auditrepr.backfill", **arguments: Any) -> None:
        self.app.send_task(name, kwargs=arguments, queue=QUEUE)

    def send_until(self, condition: Callable[[], object], **arguments: Any) -> int:
        """Send now and then, as a schedule does: a slice too short for a batch is the last one.

        Returns how often, for :meth:`received` to compare: the schedule hides what is lost.
        """

        def come_true() -> bool:
            if not condition() and time.monotonic() > sent[-1] + PERIOD:
                self.send(**arguments)
                sent.append(time.monotonic())
            return bool(condition())

        sent = [-PERIOD]
        wait_until(come_true)
        return len(sent) - 1

    def received(self, *workers: subprocess.Popen[bytes]) -> int:
        """How many messages of the job these have got, whoever has sent them."""
        logs = (self.log(worker).read_text() for worker in workers)
        return sum(len(RECEIVED.findall(log)) for log in logs)

    def waiting(self) -> int:
        """The messages that no worker has taken yet."""
        return self.broker.waiting(QUEUE)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in self._processes:
            self.kill(process)
        self.app.close()

    def _start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "tests.celery_project", *arguments]
        with (self.folder / f"{len(self._processes)}.log").open("w") as log:
            process = subprocess.Popen(
                [*command, "-l", "INFO"],
                env=environment(TEST_BROKER=self.broker.url, **env),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit"))
    yield server
    server.close()


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """On Redis, unless the test names the other broker."""
    if getattr(request, "param", "redis") == "rabbitmq":
        made = Project(tmp_path, request.getfixturevalue("rabbit"))
        yield made
        made.close()
        made.broker.delete(QUEUE)
        return
    redis = RedisServer(tmp_path)
    made = Project(tmp_path, redis)
    yield made
    made.close()
    redis.close()


on_both = pytest.mark.parametrize("project", ["redis", "rabbitmq"], indirect=True)


def write(count: int, first: int = 0) -> None:
    names = (f"author {n}" for n in range(first, first + count))
    Author.objects.bulk_create(Author(name=name) for name in names)


def stored() -> int:
    return InstanceRepr.objects.count()


def all_is_stored() -> bool:
    return not AuditLog.objects.pending().exists()


def check_each_once() -> None:
    said = {row.pk: row.row_data["name"] for row in AuditLog.objects.all()}
    assert dict(InstanceRepr.objects.values_list("pk", "instance_repr")) == said
    assert not ReprFailure.objects.exists()
    assert not Share.objects.exists()


def rows_of_runs() -> int:
    return BackfillRun.objects.aggregate(rows=Sum("rows"))["rows"] or 0


def runs_ended() -> bool:
    return not BackfillRun.objects.filter(ended_at=None).exists()


@on_both
@pytest.mark.parametrize("pool", POOLS)
def test_a_message_that_comes_ten_times_is_worked_on_once(project, pool):
    write(150)
    worker = project.worker(pool, **SLOW)
    for _ in range(10):
        project.send(workers=2)
    wait_until(all_is_stored)
    wait_until(lambda: project.waiting() == 0 and runs_ended())
    check_each_once()
    assert rows_of_runs() == 150
    assert "ERROR" not in project.log(worker).read_text()


@on_both
def test_no_message_is_delivered_again_while_a_slice_takes_long(project):
    """Redis does that after the visibility timeout with what is not acknowledged."""
    write(100)
    workers = [project.worker("prefork", "-c", "1", TEST_ROW_TAKES="0.05") for _ in range(2)]
    project.send()
    wait_until(all_is_stored)
    wait_until(runs_ended)
    assert project.received(*workers) == 1
    check_each_once()


@on_both
def test_what_a_killed_worker_leaves_is_the_next_messages_work(project):
    """All processes of the worker at once, in the midst of a round; its messages are lost."""
    write(200)
    first = project.worker("prefork", "-c", "3", **SLOW)
    project.send(workers=3)
    wait_until(lambda: stored() >= 20 and Share.objects.exclude(token=None).count() == 3)
    project.kill(first)
    assert not all_is_stored()
    assert stored() < 200
    second = project.worker("prefork", "-c", "2")
    project.send(workers=2)
    wait_until(all_is_stored)
    check_each_once()
    assert "ERROR" not in project.log(second).read_text()


@on_both
def test_slice_after_slice_shares_the_work_among_the_workers_processes(project):
    write(400)
    worker = project.worker("prefork", "-c", "3", "--prefetch-multiplier", "1", **SLOW)
    sent = project.send_until(all_is_stored, workers=3, max_seconds=1)
    wait_until(lambda: project.waiting() == 0 and runs_ended())
    assert project.received(worker) > sent  # each slice has sent the next one
    check_each_once()
    assert rows_of_runs() == 400
    shared = BackfillRun.objects.values("pid").annotate(rows=Sum("rows"))
    assert [row["rows"] > 0 for row in shared] == [True] * 3
    log = project.log(worker).read_text()
    assert log.count("Task auditrepr.help") >= 4
    assert "ERROR" not in log


@on_both
def test_two_beats_neither_disturb_each_other_nor_pile_up(project):
    worker = project.worker("solo", **SLOW)
    beats = [project.beat(), project.beat()]
    for n in range(4):
        write(30, first=30 * n)
        wait_until(all_is_stored)
    for beat in beats:
        project.kill(beat)
    wait_until(lambda: project.waiting() == 0 and runs_ended())
    check_each_once()
    assert rows_of_runs() == 120
    assert "ERROR" not in project.log(worker).read_text()


def test_a_message_that_could_not_be_sent_blocks_nothing(project):
    write(30)
    nowhere = Celery("sender", broker="redis://127.0.0.1:1/0", set_as_current=False)
    with pytest.raises(OperationalError):
        nowhere.send_task("auditrepr.backfill", queue=QUEUE, retry=False)
    nowhere.close()
    project.worker("solo")
    project.send()
    wait_until(all_is_stored)
    check_each_once()


def test_the_same_work_by_other_arguments_is_done_once(project):
    write(100)
    workers = [project.worker("prefork", "-c", "1", **SLOW) for _ in range(2)]
    for arguments in ({}, {"using": None}, {"using": "default"}, {"max_seconds": 60}):
        project.send(**arguments)
    wait_until(all_is_stored)
    wait_until(lambda: project.waiting() == 0 and runs_ended())
    check_each_once()
    assert rows_of_runs() == 100
    assert not any("ERROR" in project.log(worker).read_text() for worker in workers)


def test_a_soft_time_limit_ends_slice_after_slice_and_is_no_rows_failure(project):
    """Each row takes whatever error reaches it for its own."""
    env = {**SLOW, "TEST_ROW_TAKES": "0.4"}
    write(9)
    worker = project.worker("prefork", "-c", "1", "--soft-time-limit", "1", **env)
    sent = project.send_until(all_is_stored)
    wait_until(runs_ended)
    assert project.received(worker) > sent
    check_each_once()
    reasons = list(BackfillRun.objects.order_by("pk").values_list("stop_reason", flat=True))
    assert StopReason.SIGNAL in reasons
    assert set(reasons) <= {StopReason.SIGNAL, StopReason.CAUGHT_UP}
    log = project.log(worker).read_text()
    assert "ERROR" not in log


def test_a_task_that_is_terminated_leaves_no_failure_and_no_lock(project):
    """By Celery's revoke(): the signal interrupts a row."""
    write(60)
    worker = project.worker("prefork", "-c", "1", **SLOW)
    sent = project.app.send_task("auditrepr.backfill", queue=QUEUE)
    wait_until(lambda: stored() >= 4)
    project.app.control.revoke(sent.id, terminate=True)
    wait_until(lambda: "Terminating" in project.log(worker).read_text())
    wait_until(runs_ended)
    project.send()
    wait_until(all_is_stored)
    check_each_once()


@pytest.mark.parametrize(
    ("pool", "env", "said"),
    [
        ("threads", {}, "UnusablePool"),
        ("prefork", {"TEST_AUDITREPR": '{"BATCH_SIZE": -1}'}, "BATCH_SIZE"),
    ],
)
def test_a_task_that_cannot_work_fails_and_says_why(project, pool, env, said):
    write(1)
    worker = project.worker(pool, "-c", "1", **env)
    project.send()
    log = project.log(worker)
    wait_until(lambda: "raised unexpected" in log.read_text())
    assert said in log.read_text()
    assert "Unpickleable" not in log.read_text()
    assert stored() == 0
