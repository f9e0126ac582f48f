"""Follows docs/celery.md in a project that has no Celery yet, on a real Redis."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import django
import pytest

from tests.examples import examples, steps
from tests.project import ROOT
from tests.redis_server import RedisServer
from tests.shop import Shop
from tests.waiting import wait_until

PYTHON = examples("docs/celery.md", "python")
CONSOLE = examples("docs/celery.md", "console")
SITE = "site_of_a_shop"

ADD = """
from shop.models import Customer
Customer.objects.bulk_create(Customer(name=f"customer {n}") for n in range(500))
"""
LEFT = "from auditrepr.models import AuditLog; print(AuditLog.objects.pending().count())"

pytestmark = [pytest.mark.proof, pytest.mark.sqlite]


class CeleryShop(Shop):
    """A shop that has done what the page says, and the programs that it starts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.redis = RedisServer(folder)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, command: str) -> Path:
        """Start what does not end; return its output."""
        log = self.folder / f"{len(self._running)}.log"
        name, *arguments = shlex.split(command.replace("mysite", SITE))
        assert name == "celery"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", name, *arguments, "-l", "INFO"],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._running.append(process)
        return log

    def stop(self) -> None:
        """End the programs as a service manager does."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait()
        self._running = []

    def left(self) -> int:
        return int(self.run("manage.py", "shell", "-v0", "-c", LEFT))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[CeleryShop]:
    made = CeleryShop(tmp_path)
    yield made
    made.stop()
    made.redis.close()


def test_a_project_that_follows_the_page_has_its_job_done_by_celery(shop):
    app, package, schedule, send, share = (text.replace("mysite", SITE) for text in PYTHON)
    (worker, beat), (workers,), (purge, cancel), (enqueue,) = (
        [command for command, _ in steps(block)] for block in CONSOLE
    )
    shop.add_settings('INSTALLED_APPS += ["auditrepr"]\nAUDITREPR = {"MODELS": ["shop.*"]}\n')
    (shop.folder / SITE / "celery.py").write_text(app)
    (shop.folder / SITE / "__init__.py").write_text(package)
    shop.add_settings(schedule.replace("redis://127.0.0.1:6379/0", shop.redis.url))
    shop.run("manage.py", "migrate", "-v0")
    shop.run("manage.py", "shell", "-v0", "-c", ADD)

    log = shop.start(worker)
    wait_until(lambda: " ready." in log.read_text())
    assert "auditrepr.backfill" in log.read_text()
    beaten = shop.start(beat)
    wait_until(lambda: "beat: Starting" in beaten.read_text())
    shop.run("manage.py", "shell", "-v0", "-c", send)
    wait_until(lambda: shop.left() == 0)
    shop.stop()

    shop.add_settings(share)
    log = shop.start(workers)
    wait_until(lambda: " ready." in log.read_text())
    shop.run("manage.py", "shell", "-v0", "-c", ADD)
    shop.run("manage.py", "shell", "-v0", "-c", send)
    wait_until(lambda: shop.left() == 0)
    shop.stop()

    shop.run("-m", *shlex.split(purge.replace("mysite", SITE)))
    shop.run(*shlex.split(cancel)[1:])
    if django.VERSION >= (6, 0):
        quiet = {"version": 1, "loggers": {"django.tasks": {"level": "WARNING"}}}
        shop.add_settings(f"LOGGING = {quiet}\n")
        shop.run("manage.py", "shell", "-v0", "-c", ADD)
        shop.run(*shlex.split(enqueue)[1:])
        assert shop.left() == 0
