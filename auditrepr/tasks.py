"""The job as Celery's tasks, which ``autodiscover_tasks()`` finds.

Nothing else imports this module: auditrepr works without Celery.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from billiard.pool import SIG_SOFT_TIMEOUT, soft_timeout_sighandler
from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from kombu.utils.compat import detect_environment

from .exceptions import UnusablePool
from .job import slices
from .utils import interrupts

# A task that shows representations may reach its limit while one is built: no row's failure.
interrupts.ends_work(SoftTimeLimitExceeded)

#: A message that is lost costs the time until the schedule's next one; one that is delivered again
#: after minutes is worth nothing. So it is acknowledged before the work, whatever the project's
#: own tasks do. Nor is there a result: the log's table and ``backfill_status`` say what was done.
OPTIONS: dict[str, Any] = {
    "bind": True,
    "acks_late": False,
    "ignore_result": True,
    "autoretry_for": (),
    "max_retries": 0,
}


@shared_task(name="auditrepr.backfill", **OPTIONS)
def backfill(
    self: Task, using: str | None = None, max_seconds: float = 60, workers: int = 1
) -> None:
    """Store the representations of pending events, until none is pending.

    :param using: the database; by default every one that holds an audit log.
    :param max_seconds: start no new batch after this time; the next message continues.
    :param workers: with two or more, a large backlog is shared with other processes of the queue.
    :raises JobFailed: where ``backfill_reprs`` exits with 1.
    """
    _check_pool(self)
    direct = _is_direct(self)

    def ask(alias: str, seconds: float) -> None:
        _send(assist, self, (alias, seconds), expires=seconds, retry=False)

    again = True
    with _soft_limit_noted() as stop:  # until the rest is sent
        while again:
            done = slices.work(using, max_seconds, workers, None if direct else ask, stop)
            again = done.unfinished and direct
            if done.unfinished and not direct:
                _send(backfill, self, (using, max_seconds, workers))
            done.check()


@shared_task(name="auditrepr.help", **OPTIONS)
def assist(self: Task, using: str, max_seconds: float = 60) -> None:
    """Help to work on a large backlog that ``auditrepr.backfill`` has cut into shares.

    :raises JobFailed: if the work ends with an error.
    """
    _check_pool(self)
    with _soft_limit_noted() as stop:
        done = slices.assist(using, max_seconds, stop)
    done.check()


def _is_direct(task: Task) -> bool:
    """Return whether the task runs in its caller, without a worker."""
    return bool(task.request.called_directly or task.request.is_eager)


def _check_pool(task: Task) -> None:
    """Check that this process can interrupt a row: that takes an alarm in its main thread.

    :raises UnusablePool: if not.
    """
    pool = detect_environment()  # gevent, eventlet, or neither
    if pool == "default" and threading.current_thread() is not threading.main_thread():
        pool = "threads"
    if pool != "default" and not _is_direct(task):
        raise UnusablePool(task=task.name, pool=pool)


def _send(task: Task, via: Task, args: tuple[Any, ...], **options: Any) -> None:
    """Send a message the way by which that of the running task came, and with its limits."""
    request = via.request
    came = request.delivery_info or {}
    if came.get("exchange"):
        options |= {"exchange": came["exchange"], "routing_key": came.get("routing_key")}
    elif came.get("routing_key"):
        options["queue"] = came["routing_key"]
    if came.get("priority"):
        options["priority"] = came["priority"]
    options["time_limit"], options["soft_time_limit"] = request.timelimit or (None, None)
    task.apply_async(args, **options)


@contextmanager
def _soft_limit_noted() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether the soft time limit is over; it interrupts nothing.

    So the batch that is being built is stored, and no row can take the limit for its own error.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)

    # Only a process of the prefork pool has this handler.
    if SIG_SOFT_TIMEOUT is None or signal.getsignal(SIG_SOFT_TIMEOUT) != soft_timeout_sighandler:
        yield lambda: False
        return
    signal.signal(SIG_SOFT_TIMEOUT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(SIG_SOFT_TIMEOUT, soft_timeout_sighandler)
