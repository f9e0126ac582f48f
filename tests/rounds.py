"""Rounds of several workers: their backlogs, their shares, and who holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from subprocess import Popen
from typing import Any

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.locks.process import Process
from auditrepr.job.rounds import shares, sharing
from auditrepr.job.rounds.lock import ShareLock
from auditrepr.models import (
    AuditLog,
    Checkpoint,
    InstanceRepr,
    Lease,
    ReprFailure,
    Share,
)
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.processes import start_python
from tests.waiting import wait_until

COMMAND = shares.BACKFILL


def write(count: int) -> list[int]:
    """Write so many events, and return their IDs."""
    before = AuditLog.objects.count()
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(count))
    return list(AuditLog.objects.order_by("pk").values_list("pk", flat=True)[before:])


def plan(**options: int) -> int:
    """Plan a round of small shares."""
    with DatabaseLock("default") as lock:
        return shares.plan("default", COMMAND, lock, **{"width": 10, "least": 0, **options})


def parts() -> list[tuple[int, int]]:
    return list(Share.objects.order_by("pk").values_list("after_id", "upto_id"))


def settled() -> int:
    return Checkpoint.objects.get().settled_id


def share_lock() -> ShareLock:
    return ShareLock(
        "default", COMMAND, follow=lambda share: shares.follow("default", share.provable_id)
    )


def expire(*shares_: int) -> None:
    Share.objects.filter(pk__in=shares_).update(expires_at=get_vendor("default").clock(-1))


def by_process_that_ended() -> dict[str, object]:
    """A holder on this host that no longer runs."""
    process = start_python(
        "from auditrepr.job.locks.process import Process\nprint(Process.current())"
    )
    process.communicate()
    return asdict(replace(Process.current(), pid=process.pid, started="1"))


EVENTS = 120
#: Rounds of small shares; each batch takes a while, so that all workers get some.
SMALL = """
import os, time
from auditrepr.job.rounds import shares
shares.WIDTH, shares.MOST, shares.LEAST = 10, 6, 1
sys.argv = ["manage.py", "backfill_reprs"]
"""
RUN = (
    SMALL
    + """
execute_from_command_line([*sys.argv, "--workers", "{workers}", "--batch-size", "2", *{more!r}])
"""
)


class Gate:
    """Holds every process of a run before its second event, until it is opened.

    :param pause: seconds after which a worker looks again for a share.
    """

    def __init__(self, folder: Path, pause: float = sharing.PAUSE) -> None:
        self._file = folder / "open"
        held = GATE.format(gate=str(self._file), pause=pause)
        (folder / "sitecustomize.py").write_text(held)
        self.env = {"PYTHONPATH": f"{folder}:{os.getcwd()}"}

    def open(self) -> None:
        self._file.touch()


GATE = """
import time
from importlib import import_module
from multiprocessing import parent_process
from pathlib import Path
import django
gate, setup, built = Path({gate!r}), django.setup, []

def held(*args, **options):
    setup(*args, **options)
    import_module("django.conf").settings.AUDITREPR = {{"ROW_SECONDS": 600}}
    if parent_process():
        import_module("auditrepr.job.rounds.sharing").PAUSE = {pause}
    models = import_module("tests.app.models")
    name = models.Author.__str__

    def __str__(author):
        built.append(author)
        while len(built) > 3 and not gate.exists():
            time.sleep(0.02)
        return name(author)

    models.Author.__str__ = __str__

django.setup = held
"""


@contextmanager
def three_workers(gate: Gate, *more: str) -> Iterator[Popen[str]]:
    """A run of three processes, each of which holds a share, and is held itself."""
    write(EVENTS)
    process = start(3, *more, env=gate.env)
    try:
        wait_until(lambda: len(holders()) == 3)
        yield process
    finally:
        gate.open()
        process.kill()
        process.communicate()


def start(workers: int, *more: str, env: dict[str, str], **options: Any) -> Popen[str]:
    return start_python(RUN.format(workers=workers, more=more), env=env, **options)


def holders() -> set[int]:
    """The processes that hold a share."""
    return {
        holder["pid"]
        for holder in Share.objects.exclude(token=None).values_list("holder", flat=True)
    }


def check_all_is_stored(seed: int | None = None) -> None:
    assert not AuditLog.objects.pending().exists(), seed
    assert not ReprFailure.objects.exists(), seed
    said = {row.pk: row.row_data["name"] for row in AuditLog.objects.all()}
    assert dict(InstanceRepr.objects.values_list("pk", "instance_repr")) == said, seed
    assert Checkpoint.objects.get().settled_id == max(said), seed
    assert not Share.objects.exists(), seed
    assert not Lease.objects.exclude(token=None).exists(), seed


SEEDS = max(1, int(os.environ.get("STRESS_KILLS", "20")) // 10)
