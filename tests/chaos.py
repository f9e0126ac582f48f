"""Kills and stops workers at random, and starts others in their place."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL, Popen

from django.db import OperationalError, connection

from auditrepr.models import Share
from tests.processes import start_python

#: Milliseconds: whoever holds SQLite's file for longer is stopped in a transaction.
PATIENCE = 500


def start(code: str, count: int) -> list[Popen[str]]:
    """Return this many processes that run the code, which says first that it is ready."""
    workers = [start_python(code, stderr=DEVNULL) for _ in range(count)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    return workers


def disturb(workers: list[Popen[str]], code: str, chance: random.Random, times: int) -> None:
    """Let workers die, or lose their shares and come back when others have taken them over.

    :param workers: whoever is replaced stands at the end of the list until :func:`end`.
    """
    count, zombies = len(workers), []
    for _ in range(times):
        time.sleep(chance.uniform(0, 0.3))
        n = chance.randrange(count)
        if chance.random() < 0.5 or not _loses_share(workers[n]):
            workers[n].kill()
        else:
            zombies.append(workers[n])
        workers.append(workers[n])
        workers[n] = start_python(code, stderr=DEVNULL)
    for zombie in zombies:
        zombie.send_signal(signal.SIGCONT)


def end(*processes: Popen[str]) -> list[str]:
    """Kill these processes, and return what each had printed."""
    for process in processes:
        process.kill()
    return [process.communicate()[0] for process in processes]


def _loses_share(worker: Popen[str]) -> bool:
    """Stop the worker and expire its share; return false if it holds up all others.

    SQLite has no server, which would end the transaction of a process that is gone.
    """
    worker.send_signal(signal.SIGSTOP)
    held = Share.objects.filter(holder__pid=worker.pid)
    try:
        with _impatient():
            held.update(expires_at="2000-01-01T00:00Z")
    except OperationalError:
        return False
    return True


@contextmanager
def _impatient() -> Iterator[None]:
    """Wait less for SQLite's file inside."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        usual = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout = {PATIENCE}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {usual}")
