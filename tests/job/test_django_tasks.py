"""The tasks of ``django.tasks`` with workers of their own: those of django-tasks-db.

Messages and workers are lost; cron, which enqueues the next one, is the clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import pytest
from django.db import connection

from tests.processes import ROOT
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.proof,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has no tasks"),
]

SETTINGS = """
import os
from tests.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
DATABASES = {"default": DATABASES["default"] | {"NAME": os.environ["TASKS_DATABASE"]}}
AUDITREPR = {"BATCH_SIZE": 5}
"""
#: Small shares, and rows that take a while.
MANAGE = """
import sys, time
import django
django.setup()
from auditrepr.job.rounds import shares
from tests.app.models import Author
shares.WIDTH, shares.MOST, shares.LEAST = 20, 10, 1
name = Author.__str__
Author.__str__ = lambda author: time.sleep(0.02) or name(author)
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""
ENQUEUE = "from auditrepr.background import backfill; backfill.enqueue(workers=2, max_seconds=2)"
WRITE = "Author.objects.bulk_create(Author(name=str(n)) for n in range(300))"
TASKS = "django_tasks_database_dbtaskresult"


class Tasks:
    """A project with a database and a queue of its own."""

    def __init__(self, folder: Path, database: str) -> None:
        (folder / "shop_settings.py").write_text(SETTINGS)
        self._folder = folder
        self._env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "PYTHONPATH": f"{folder}:{ROOT}",
            "TASKS_DATABASE": database,
        }
        self._database = connection.copy()
        self._database.settings_dict["NAME"] = database
        self._workers: list[subprocess.Popen[bytes]] = []

    def manage(self, *arguments: str) -> None:
        subprocess.run(self._command(*arguments), env=self._env, cwd=self._folder, check=True)

    def worker(self) -> subprocess.Popen[bytes]:
        command = self._command("db_worker", "--interval", "0.1", "--no-reload")
        with (self._folder / "log").open("ab") as log:
            options: dict[str, Any] = {"stdout": log, "stderr": log, "cwd": self._folder}
            self._workers.append(subprocess.Popen(command, env=self._env, **options))
        return self._workers[-1]

    def count(self, sql: str) -> int:
        with self._database.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {sql}")
            return int(cursor.fetchone()[0])

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
        self._database.close()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", MANAGE, *arguments]


@contextmanager
def database(folder: Path) -> Iterator[str]:
    if connection.vendor == "sqlite":
        yield str(folder / "tasks.sqlite3")
        return
    name = f"tasks_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def tasks(tmp_path: Path) -> Iterator[Tasks]:
    with database(tmp_path) as name:
        made = Tasks(tmp_path, name)
        try:
            made.manage("migrate", "--run-syncdb", "--verbosity", "0")
            yield made
        finally:
            made.close()


def test_workers_share_the_backlog_and_one_that_is_killed_costs_nothing(tasks):
    tasks.manage("shell", "--verbosity", "0", "-c", f"{WRITE}; {ENQUEUE}; {ENQUEUE}")
    first, _ = tasks.worker(), tasks.worker()
    wait_until(lambda: tasks.count("auditrepr_share WHERE token IS NOT NULL") == 2)
    wait_until(lambda: tasks.count("auditrepr_instancerepr") > 20)
    first.kill()
    first.wait()
    assert tasks.count("auditrepr_instancerepr") < 300
    tasks.worker()
    tasks.manage("shell", "--verbosity", "0", "-c", ENQUEUE)  # as cron does
    wait_until(lambda: tasks.count("auditrepr_instancerepr") == 300)
    wait_until(lambda: not tasks.count("auditrepr_share"))
    same = (
        "auditrepr_instancerepr s JOIN app_author a ON a.name = s.instance_repr"
        " JOIN auditrepr_auditlog e ON e.id = s.audit_log_id AND e.object_id = CAST(a.id AS text)"
    )
    assert tasks.count(same) == 300
    assert not tasks.count("auditrepr_reprfailure")
    running = f"{TASKS} WHERE status = 'RUNNING'"
    wait_until(lambda: tasks.count(running) <= 1)  # that of the killed worker stays so for ever
    assert not tasks.count(f"{TASKS} WHERE status = 'FAILED'")
    assert tasks.count(f"{TASKS} WHERE task_path = 'auditrepr.background.backfill'") > 3
