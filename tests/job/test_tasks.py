"""The job as tasks: of Celery, whose real workers test_celery.py has, and of ``django.tasks``."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import django
import pytest
from celery import Celery
from celery.app.trace import build_tracer
from celery.exceptions import SoftTimeLimitExceeded
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.utils.connection import ConnectionDoesNotExist

from auditrepr import tasks
from auditrepr.exceptions import JobFailed
from auditrepr.job import slices
from auditrepr.job.locks import base as locks
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.rounds import shares
from auditrepr.job.rounds.lock import ShareLock
from auditrepr.job.runs.limits import Limits
from auditrepr.models import AuditLog, BackfillRun, InstanceRepr, ReprFailure, Share, StopReason
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.processes import start_python
from tests.running import run, texts
from tests.unmigrated import unmigrated

BOTH = ["default", "other"]
pytestmark = [
    pytest.mark.django_db(transaction=True, databases=BOTH),
    pytest.mark.usefixtures("_an_empty_log"),
]

WARNED = "auditrepr.tasks"


@pytest.fixture
def _an_empty_log(transactional_db: None) -> None:
    for alias in BOTH:
        AuditLog.objects.using(alias).delete()


@pytest.fixture
def app() -> Iterator[Celery]:
    """A project's app, whose broker is this process's memory."""
    made = Celery("shop", broker="memory://", set_as_current=False)
    made.autodiscover_tasks(["auditrepr"], force=True)
    made.set_current()
    yield made
    made.control.purge()
    made.close()


@pytest.fixture
def eager(app: Celery) -> Celery:
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    return app


def write(count: int, using: str = "default") -> None:
    names = (f"author {n}" for n in range(count))
    Author.objects.using(using).bulk_create(Author(name=name) for name in names)


def sleepy(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    """Let each representation take a while; return the depth of the stack at each."""
    depths: list[int] = []

    def said(author: Author) -> str:
        depths.append(len(inspect.stack(0)))
        time.sleep(seconds)
        return author.name

    monkeypatch.setattr(Author, "__str__", said)
    return depths


def as_worker(app: Celery, name: str, *args: Any, **request: Any) -> Any:
    """Run the task as a worker does after it has received the message; return what it raised."""
    task = app.tasks[name]
    came = {"exchange": "", "routing_key": "represent", "priority": None}
    message = {"delivery_info": came, "timelimit": [90, 70], "hostname": "here", **request}
    trace = build_tracer(name, task, app=app, propagate=False)
    result = trace("an-id", args, {}, {**message, "is_eager": False, "called_directly": False})
    return getattr(result.info, "exception", None) or getattr(result.info, "retval", None)


def sent(app: Celery, queue: str = "represent") -> list[Any]:
    """Take all messages from the queue."""
    found = []
    with app.connection_for_read() as broker:
        box = broker.SimpleQueue(queue)
        while box.qsize():
            message = box.get()
            message.ack()
            found.append(message)
        box.close()
    return found


def pending() -> int:
    return AuditLog.objects.pending().count()


# Eager mode


@pytest.mark.proof
def test_a_task_represents_what_is_pending_in_every_database(eager):
    for alias in BOTH:
        write(3, alias)
    assert eager.tasks["auditrepr.backfill"].delay().successful()
    for alias in BOTH:
        assert InstanceRepr.objects.using(alias).count() == 3
    assert texts() == ["author 0", "author 1", "author 2"]


def test_a_task_can_be_about_one_database(eager):
    for alias in BOTH:
        write(1, alias)
    tasks.backfill.delay(using="other")
    found = [InstanceRepr.objects.using(alias).count() for alias in BOTH]
    assert found == [0, 1]


@pytest.mark.proof
def test_in_eager_mode_a_task_goes_on_to_the_end_without_calling_itself(eager, monkeypatch):
    depths = sleepy(monkeypatch, 0.3)
    write(4)
    with override_settings(AUDITREPR={"BATCH_SIZE": 1}):
        tasks.backfill.delay(using="default", max_seconds=0.5, workers=4)
    assert texts() == [f"author {n}" for n in range(4)]
    assert BackfillRun.objects.count() > 1
    assert len(set(depths)) == 1


def test_a_task_can_be_called_like_a_function(app):
    write(1)
    tasks.backfill("default")
    assert texts() == ["author 0"]
    assert not sent(app)


def test_what_the_command_exits_with_1_for_fails_the_task(eager):
    with override_settings(AUDITREPR={"BATCH_SIZE": -1}):
        with pytest.raises(CommandError) as command:
            call_command("backfill_reprs", database="default")
        with pytest.raises(JobFailed) as task:
            tasks.backfill.delay("default")
    assert str(command.value) in str(task.value)


@pytest.mark.proof
def test_an_error_of_one_database_does_not_concern_the_other(eager, monkeypatch):
    for alias in BOTH:
        write(2, alias)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE auditrepr_checkpoint RENAME TO away")
    try:
        with pytest.raises(JobFailed, match="default"):
            tasks.backfill.delay()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO auditrepr_checkpoint")
    assert InstanceRepr.objects.using("other").count() == 2


@pytest.mark.proof
def test_failed_events_and_findings_are_warnings_and_no_error(eager, monkeypatch, caplog):
    monkeypatch.setattr(Author, "__str__", lambda author: 1 / 0)
    write(2)
    run()  # what was found before this test is reported
    ReprFailure.objects.all().delete()
    write(1)
    with connection.cursor() as cursor:
        for sql in get_vendor("default").remove_sql("app_tag"):
            cursor.execute(sql)
    with caplog.at_level(logging.WARNING, WARNED):
        tasks.backfill.delay("default")
    told = [record for record in caplog.records if record.name == WARNED]
    assert {record.database for record in told} == {"default"}
    said = "\n".join(record.getMessage() for record in told)
    assert "app_tag: triggers are missing" in said
    assert "ZeroDivisionError" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_seconds": 0}, "more than 0"),
        ({"max_seconds": "60"}, "a number of seconds"),
        ({"max_seconds": None}, "a number of seconds"),
        ({"workers": 0}, "from 1 to 200"),
        ({"workers": 201}, "from 1 to 200"),
        ({"workers": 1.5}, "whole number"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(eager, options, said):
    with pytest.raises(ValueError, match=said):
        tasks.backfill.delay("default", **options)


def test_a_database_that_does_not_exist_is_named(eager):
    with pytest.raises(ConnectionDoesNotExist, match="nowhere"):
        tasks.backfill.delay("nowhere")


# As in a worker


@pytest.mark.proof
def test_what_is_left_after_a_slice_is_the_next_messages_work(app, monkeypatch):
    """It goes the way the first one came, with the same limits."""
    sleepy(monkeypatch, 0.4)
    write(4)
    with override_settings(AUDITREPR={"BATCH_SIZE": 1}):
        assert as_worker(app, "auditrepr.backfill", "default", 0.6) is None
    assert 1 <= len(texts()) < 4
    (message,) = sent(app)
    assert message.headers["task"] == "auditrepr.backfill"
    assert message.headers["timelimit"] == [90, 70]
    assert message.headers["expires"] is None
    assert message.payload[0] == ["default", 0.6, 1]
    as_worker(app, "auditrepr.backfill", *message.payload[0])
    assert pending() == 0


@pytest.mark.proof
def test_a_slice_that_finds_nothing_to_do_or_the_lock_held_sends_nothing(app):
    as_worker(app, "auditrepr.backfill")
    write(1)
    with DatabaseLock("default"):
        as_worker(app, "auditrepr.backfill", "default")
    assert pending() == 1
    assert not sent(app)


def test_a_soft_time_limit_stores_what_is_built_and_is_no_rows_failure(app, monkeypatch):
    """Whatever the row makes of errors."""

    def limit(number: int, frame: object) -> None:
        raise SoftTimeLimitExceeded

    def said(author: Author) -> str:
        try:
            if author.name == "author 2":
                signal.raise_signal(signal.SIGUSR1)
        except Exception:
            return "swallowed"
        return author.name

    monkeypatch.setattr(tasks, "soft_timeout_sighandler", limit)
    monkeypatch.setattr(Author, "__str__", said)
    write(9)
    before = signal.signal(signal.SIGUSR1, limit)
    try:
        with override_settings(AUDITREPR={"BATCH_SIZE": 4}):
            assert as_worker(app, "auditrepr.backfill", "default") is None
        assert signal.getsignal(signal.SIGUSR1) is limit
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert texts() == [f"author {n}" for n in range(4)]
    assert not ReprFailure.objects.exists()
    assert len(sent(app)) == 1


@pytest.mark.proof
def test_a_soft_time_limit_does_not_prevent_that_the_rest_is_sent(app, monkeypatch):
    def limit(number: int, frame: object) -> None:
        raise SoftTimeLimitExceeded

    send = tasks._send

    def late(*args: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        send(*args, **options)

    sleepy(monkeypatch, 0.4)
    monkeypatch.setattr(tasks, "soft_timeout_sighandler", limit)
    monkeypatch.setattr(tasks, "_send", late)
    write(4)
    before = signal.signal(signal.SIGUSR1, limit)
    try:
        with override_settings(AUDITREPR={"BATCH_SIZE": 1}):
            assert as_worker(app, "auditrepr.backfill", "default", 0.6) is None
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(sent(app)) == 1


def test_nor_is_it_one_where_a_task_of_the_project_shows_a_representation(monkeypatch):
    write(1)

    def said(author: Author) -> str:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(Author, "__str__", said)
    with pytest.raises(SoftTimeLimitExceeded):
        AuditLog.objects.get().build_instance_repr()


def test_another_pool_is_refused_when_the_task_starts(app, monkeypatch):
    write(1)
    raised: list[Any] = []
    for name, args in (("auditrepr.backfill", ()), ("auditrepr.help", ("default",))):
        started = threading.Thread(
            target=lambda n=name, a=args: raised.append(as_worker(app, n, *a))
        )
        started.start()
        started.join()
    monkeypatch.setattr(tasks, "detect_environment", lambda: "gevent")
    raised.append(as_worker(app, "auditrepr.backfill"))
    assert [type(error).__name__ for error in raised] == ["UnusablePool"] * 3
    assert "threads pool" in str(raised[0])
    assert "gevent pool" in str(raised[2])
    assert "--pool prefork" in str(raised[0])
    assert pending() == 1


# Rounds


@pytest.fixture
def _small_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WIDTH": 4, "MOST": 5, "LEAST": 1}.items():
        monkeypatch.setattr(shares, name, value)


@pytest.fixture
def _two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice whose time is over after two batches, however long they take."""

    def reached(limits: Limits, batches: int) -> StopReason | None:
        return StopReason.TIME_BUDGET if batches >= 2 else None

    monkeypatch.setattr(Limits, "reached", reached)
    monkeypatch.setattr(slices, "take_turns", lambda order, turn, most: turn(order[0], most))


@pytest.mark.proof
@pytest.mark.usefixtures("_small_rounds")
def test_a_task_asks_for_help_and_works_whether_or_not_it_comes(app):
    write(30)
    as_worker(app, "auditrepr.backfill", "default", 60, 3)
    assert pending() == 0
    messages = sent(app)
    assert [message.headers["task"] for message in messages] == ["auditrepr.help"] * 2
    assert all(message.payload[0][0] == "default" for message in messages)
    assert all(message.headers["expires"] for message in messages)
    for message in messages:  # too late: at once over
        assert as_worker(app, "auditrepr.help", *message.payload[0]) is None
    assert BackfillRun.objects.count() == 1
    assert BackfillRun.objects.get().idle_runs == 0


@pytest.mark.proof
@pytest.mark.usefixtures("_small_rounds")
def test_a_slice_that_waits_for_the_last_share_of_others_goes_on(app):
    """Else nobody plans the next round before the schedule's next message."""
    write(4)
    with DatabaseLock("default") as lock:
        assert shares.plan("default", "backfill_reprs", lock) == 1
    with ShareLock("default", "backfill_reprs", follow=lambda share: None):
        assert as_worker(app, "auditrepr.backfill", "default", 0.5, 3) is None
    *helpers, again = [message.headers["task"] for message in sent(app)]
    assert again == "auditrepr.backfill"
    assert helpers == ["auditrepr.help"] * 2
    assert pending() == 4


@pytest.mark.proof
@pytest.mark.usefixtures("_small_rounds")
def test_a_slice_waits_for_a_helper_that_plans_the_next_round(app, monkeypatch):
    write(30)
    helper = DatabaseLock("default")
    assert helper.acquire()
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: helper.release())
    assert as_worker(app, "auditrepr.backfill", "default", 60, 3) is None
    assert pending() == 0
    assert len(sent(app)) == 2


@pytest.mark.proof
@pytest.mark.usefixtures("_small_rounds")
def test_who_helps_works_on_the_shares_that_another_has_planned(app):
    write(30)
    with DatabaseLock("default") as lock:
        assert shares.plan("default", "backfill_reprs", lock) == 5
    assert as_worker(app, "auditrepr.help", "default", 60) is None
    assert pending() == 0
    assert not Share.objects.exists()


@pytest.mark.proof
@pytest.mark.usefixtures("_small_rounds")
def test_where_nobody_can_be_asked_the_task_works_alone_and_says_so(app, monkeypatch, caplog):
    def no_broker(*args: Any, **options: Any) -> None:
        raise ConnectionRefusedError("no broker")

    monkeypatch.setattr(app.tasks["auditrepr.help"], "apply_async", no_broker)
    write(30)
    with caplog.at_level(logging.WARNING, WARNED):
        assert as_worker(app, "auditrepr.backfill", "default", 60, 3) is None
    assert pending() == 0
    assert "default: Could not ask other workers for help: no broker" in caplog.text


@pytest.mark.usefixtures("_small_rounds")
def test_a_round_that_is_canceled_fails_the_task_that_planned_it_alone(app, monkeypatch):
    reached = Limits.reached

    def canceled(limits: Limits, batches: int) -> StopReason | None:
        if batches == 1:
            shares.void("default")
        return reached(limits, batches)

    monkeypatch.setattr(Limits, "reached", canceled)
    write(30)
    raised = as_worker(app, "auditrepr.backfill", "default", 60, 2)
    assert "backfill_status --cancel" in str(raised)
    assert [message.headers["task"] for message in sent(app)] == ["auditrepr.help"]
    with DatabaseLock("default") as lock:
        assert shares.plan("default", "backfill_reprs", lock)
    assert as_worker(app, "auditrepr.help", "default") is None
    assert pending() > 0
    assert BackfillRun.objects.latest("pk").stop_reason == StopReason.LEASE_LOST


@pytest.mark.proof
@pytest.mark.usefixtures("_small_rounds")
def test_who_helps_is_as_patient_as_the_task_with_a_deployment(app):
    write(30)
    with DatabaseLock("default") as lock:
        assert shares.plan("default", "backfill_reprs", lock)
    with unmigrated():
        assert as_worker(app, "auditrepr.backfill", "default", 60, 2) is None
        assert as_worker(app, "auditrepr.help", "default", 60) is None
    assert pending() == 30
    assert as_worker(app, "auditrepr.help", "default", 60) is None
    assert pending() == 0


@pytest.mark.parametrize("task", ["auditrepr.backfill", "auditrepr.help"])
@pytest.mark.parametrize("table", ["auditrepr_share", "django_migrations"])
def test_an_error_of_the_database_fails_the_task_with_one_line(app, task, table):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
    try:
        raised = as_worker(app, task, "default", 60)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE away RENAME TO {table}")
    assert (type(raised), "default" in str(raised)) == (JobFailed, True)


@override_settings(AUDITREPR={"BATCH_SIZE": -1})
@pytest.mark.usefixtures("_small_rounds")
def test_and_so_does_one_of_the_settings_where_a_task_helps(app):
    with override_settings(AUDITREPR={}), DatabaseLock("default") as lock:
        write(4)
        assert shares.plan("default", "backfill_reprs", lock)
    raised = as_worker(app, "auditrepr.help", "default", 60)
    assert (type(raised), "BATCH_SIZE" in str(raised)) == (JobFailed, True)


# Without Celery, and django.tasks

WITHOUT = """
import sys
from importlib.machinery import PathFinder

class NoCelery(PathFinder):
    @classmethod
    def find_spec(cls, name, *where):
        gone = name.partition(".")[0] in {"celery", "kombu", "billiard"}
        return None if gone else super().find_spec(name, *where)

sys.meta_path[:] = [NoCelery if one is PathFinder else one for one in sys.meta_path]
"""
WORK = """
from importlib.util import find_spec
call_command("check")
call_command("backfill_reprs", verbosity=0)
print(find_spec("celery"), "auditrepr.tasks" in sys.modules)
"""


@pytest.mark.proof
def test_nothing_needs_celery(tmp_path):
    write(1)
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    with start_python(WORK, env={"PYTHONPATH": f"{tmp_path}:{os.getcwd()}"}) as process:
        output, errors = process.communicate()
    assert (output.splitlines()[-1:], errors) == (["None False"], "")
    assert texts() == ["author 0"]


BACKEND = "django.tasks.backends"


def test_before_django_6_the_module_is_empty():
    from auditrepr import background

    assert hasattr(background, "backfill") == (django.VERSION >= (6, 0))


def received(task: Any) -> Any:
    """What a worker gives to the task besides its arguments."""
    from django.tasks import TaskContext, TaskResult, TaskResultStatus

    times = dict.fromkeys(("enqueued_at", "started_at", "finished_at", "last_attempted_at"))
    lists: dict[str, list[Any]] = {"args": [], "errors": [], "worker_ids": []}
    status = TaskResultStatus.RUNNING
    result = TaskResult(
        task=task, id="1", status=status, kwargs={}, backend=task.backend, **times, **lists
    )
    return TaskContext(task_result=result)


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has no tasks")
class TestDjangosTasks:
    @pytest.fixture
    def background(self) -> Any:
        from auditrepr import background

        return background

    @pytest.mark.proof
    def test_the_backend_that_works_at_once_works_to_the_end(self, background, monkeypatch):
        depths = sleepy(monkeypatch, 0.3)
        for alias in BOTH:
            write(3, alias)
        backend = {"default": {"BACKEND": f"{BACKEND}.immediate.ImmediateBackend"}}
        with override_settings(TASKS=backend, AUDITREPR={"BATCH_SIZE": 1}):
            result = background.backfill.enqueue(max_seconds=0.8, workers=3)
        assert result.status == "SUCCESSFUL", result.errors
        assert pending() == 0
        assert AuditLog.objects.using("other").pending().count() == 0
        assert len(set(depths)) == 1

    @pytest.mark.proof
    @pytest.mark.usefixtures("_small_rounds", "_two_batches")
    def test_a_queue_gets_the_rest_and_the_calls_for_help(self, background, monkeypatch):
        from django.tasks import default_task_backend

        write(30)
        backend = {"default": {"BACKEND": f"{BACKEND}.dummy.DummyBackend"}}
        with override_settings(TASKS=backend, AUDITREPR={"BATCH_SIZE": 1}):
            background.backfill.call(received(background.backfill), "default", 60, 3)
            queued = [(one.task.name, one.args) for one in default_task_backend.results]
            assert len(texts()) == 2
            assert [name for name, args in queued] == ["assist", "assist", "backfill"]
            assert queued[-1][1] == ["default", 60, 3]
            assert Share.objects.exists()
            monkeypatch.undo()
            background.assist.call(*queued[0][1])

    def test_an_error_fails_the_task(self, background):
        with override_settings(AUDITREPR={"BATCH_SIZE": -1}), pytest.raises(JobFailed):
            background.backfill.call(received(background.backfill), "default")

    @pytest.mark.proof
    @pytest.mark.usefixtures("_small_rounds", "_two_batches")
    def test_what_follows_goes_the_way_that_the_task_came(self, background):
        from django.tasks import task_backends

        write(30)
        dummy = {"BACKEND": f"{BACKEND}.dummy.DummyBackend", "QUEUES": ["default", "audit"]}
        immediate = {"BACKEND": f"{BACKEND}.immediate.ImmediateBackend"}
        backends = {"default": immediate, "later": dummy}
        with override_settings(TASKS=backends, AUDITREPR={"BATCH_SIZE": 1}):
            came = background.backfill.using(backend="later", queue_name="audit", priority=7)
            came.call(received(came), "default", 60, 2)
            queued = [result.task for result in task_backends["later"].results]
        assert [one.name for one in queued] == ["assist", "backfill"]
        assert {(one.queue_name, one.priority) for one in queued} == {("audit", 7)}

    @pytest.mark.proof
    @pytest.mark.parametrize(
        ("backends", "way"),
        [
            ({"default": {"QUEUES": ["low", "default"]}}, "default default"),
            ({"default": {"QUEUES": ["high", "low"]}}, "default high"),
            ({"default": {"QUEUES": []}}, "default default"),
            ({"slow": {"QUEUES": ["low"]}, "fast": {}}, "slow low"),
        ],
    )
    def test_it_can_be_imported_whatever_the_names_of_queues(self, backends, way):
        named = {
            alias: {"BACKEND": f"{BACKEND}.dummy.DummyBackend"} | options
            for alias, options in backends.items()
        }
        code = f"""
from django.conf import settings
settings.TASKS = {named!r}
from auditrepr.background import assist, backfill
for one in (backfill, assist):
    print(one.backend, one.queue_name)
"""
        with start_python(code) as process:
            output, errors = process.communicate()
        assert (output.splitlines(), errors) == ([way, way], "")
