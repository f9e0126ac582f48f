"""Tests that a signal ends a command that waits for the lock, with the exit code of the signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, InstanceRepr
from tests import old_log
from tests.app.models import Author

pytestmark = pytest.mark.django_db(transaction=True)

ALONE: dict[str, list[str]] = {
    "prune_audit_log": ["--before", "2020-01-01", "--no-input"],
    "seal_audit_log": [],
    "erase_from_audit_log": ["--object", "app.Author:77", "--no-input"],
    "import_audit_log": ["ours"],
}
RUNS: dict[str, list[str]] = {"backfill_reprs": [], "rebuild_reprs": ["--model", "app.Author"]}


@pytest.fixture
def _held(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another holds the lock; the first that waits for it gets a signal."""
    Author.objects.create(pk=77, name="Ann")
    Author.objects.all().delete()
    acquire = DatabaseLock._acquire
    with DatabaseLock("default"):

        def in_vain(lock: DatabaseLock) -> bool:
            found = acquire(lock)
            os.kill(os.getpid(), signal.SIGTERM)
            return found

        monkeypatch.setattr(DatabaseLock, "_acquire", in_vain)
        yield


@pytest.mark.usefixtures("_held")
@pytest.mark.parametrize(
    "command", [*ALONE, pytest.param("partition_audit_log", marks=pytest.mark.postgresql)]
)
def test_a_command_that_works_alone_says_that_it_did_nothing(command: str, settings: Any) -> None:
    settings.AUDITREPR = old_log.SOURCES
    with pytest.raises(CommandError) as ended:
        call_command(command, *ALONE.get(command, []), "--wait", "60")
    assert ended.value.returncode == 128 + signal.SIGTERM
    assert str(ended.value).startswith("Stopped while waiting for the lock, which process ")
    assert AuditLog.objects.count() == 2


@pytest.mark.usefixtures("_held")
@pytest.mark.parametrize("command", RUNS)
def test_a_run_has_the_exit_code_of_the_signal(command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command(command, *RUNS[command], "--wait", "60")
    assert ended.value.code == 128 + signal.SIGTERM
    assert not InstanceRepr.objects.exists()
