"""Tests commands whose output is closed, or whose questions get no answer."""

from __future__ import annotations

import errno
import io
import os
import pty
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
from django.core.management import call_command

from auditrepr import capture
from auditrepr.job import logs
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.management.terminal import answer
from auditrepr.models import AuditLog
from tests import processes
from tests.app.models import Author
from tests.missing import could_not_try

pytestmark = pytest.mark.django_db(transaction=True)

COMMANDS = [
    # They end with a transaction or a cursor open.
    ("backfill_reprs",),
    ("export_audit_log", "--format", "jsonl"),
    # The database has no part in these.
    *(
        pytest.param(command, marks=pytest.mark.sqlite)
        for command in [
            ("backfill_reprs", "--dry-run", "--format", "json"),
            ("rebuild_reprs", "--dry-run"),
            ("backfill_status",),
            ("audit_triggers", "sql"),
            ("prune_audit_log", "--before", "2000-01-01", "--dry-run"),
            ("export_audit_log", "--format", "csv", "--follow-from", "0"),
        ]
    ),
]


@pytest.mark.proof
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_who_stops_reading_the_output_is_told_nothing_more(command):
    Author.objects.create(name="Ann")
    reading, writing = os.pipe()
    os.close(reading)
    process = processes.start(*command, stdout=writing)
    os.close(writing)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (141, "")


@pytest.mark.proof
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_output_on_a_full_disk_is_one_clear_line(command):
    if not os.path.exists("/dev/full"):
        could_not_try("output on a full disk", "this system has no /dev/full")
    Author.objects.create(name="Ann")
    with open("/dev/full", "w") as full:
        process = processes.start(*command, stdout=full)
        _, errors = process.communicate(timeout=60)
    said = "CommandError: Could not write all of the output: No space left on device.\n"
    assert (process.returncode, errors) == (1, said)


CLOSED = [
    ("backfill_reprs", "--verbosity", "2"),
    ("rebuild_reprs",),
    *(
        pytest.param(command, marks=pytest.mark.sqlite)
        for command in [
            ("backfill_reprs", "--dry-run"),
            ("backfill_reprs", "--format", "json"),
            ("backfill_status",),
            ("audit_triggers", "check"),
            ("prune_audit_log", "--before", "2000-01-01", "--no-input"),
            ("seal_audit_log",),
        ]
    ),
]


def closed(streams: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command without these streams; those that it has are pipes."""
    line = shlex.join([sys.executable, "-m", "django", *command])
    options: dict[str, Any] = {"env": processes.environment(), "cwd": processes.ROOT}
    options |= {"capture_output": True, "text": True, "timeout": 60}
    return subprocess.run(["sh", "-c", f"exec {line} {streams}"], **options)


@pytest.mark.proof
@pytest.mark.parametrize("command", CLOSED, ids=" ".join)
def test_output_that_is_closed_from_the_start_is_no_error(command):
    Author.objects.create(name="Ann")
    done = closed(">&-", *command)
    assert (done.returncode, done.stderr) == (0, "")
    if command == CLOSED[0]:
        assert not AuditLog.objects.pending().exists()
    assert closed(">&- 2>&- <&-", *command).returncode == 0


@pytest.mark.proof
@pytest.mark.sqlite
def test_but_an_error_keeps_its_exit_code_and_its_line():
    done = closed(">&-", "backfill_reprs", "--database", "nowhere")
    assert (done.returncode, 'Unknown database "nowhere"' in done.stderr) == (2, True)
    assert closed(">&- 2>&-", "rebuild_reprs", "--model=nope").returncode == 2


@pytest.mark.proof
@pytest.mark.sqlite
@pytest.mark.parametrize(
    "command",
    [("export_audit_log", "--format", "csv"), ("seal_audit_log", "--no-seal", "--export", "-")],
    ids=" ".join,
)
def test_and_what_is_nothing_but_output_needs_some(command):
    done = closed(">&-", *command)
    said = "CommandError: Could not write standard output: It is closed.\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_who_cannot_be_asked_has_not_said_yes(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert answer("Sure? ") == ""


def test_who_ends_the_input_has_not_said_yes(monkeypatch):
    terminal, end = pty.openpty()
    os.write(terminal, b"\x04")
    with open(end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert answer("Sure? ") == ""
    os.close(terminal)


def test_output_that_goes_to_a_caller_is_the_callers():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "nobody reads it")

    before = os.fstat(sys.__stdout__.fileno())
    with pytest.raises(BrokenPipeError):
        call_command("backfill_status", stdout=Closed())
    assert os.path.samestat(os.fstat(sys.__stdout__.fileno()), before)


def test_any_other_error_of_the_system_is_shown_as_it_is(monkeypatch):
    def fail(using):
        raise PermissionError(13, "no")

    monkeypatch.setattr("auditrepr.job.monitoring.status.of", fail)
    with pytest.raises(PermissionError):
        call_command("backfill_status")


class Alone:
    """All that a stream has to have."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("backfill_reprs", "--verbosity=2"), "Stored 1 representation"),
        (("backfill_reprs", "--dry-run"), "1 pending"),
        (("backfill_reprs", "--format=json"), '"stored": 1'),
        (("rebuild_reprs",), "Rebuilt 0 representations"),
        (("backfill_status",), "pending"),
        (("backfill_status", "--release-lock"), "lock is not held"),
        (("audit_triggers", "check"), "all triggers are OK"),
        (("audit_triggers", "install"), "all triggers are OK"),
        (("prune_audit_log", "--before=2000-01-01", "--no-input"), "0 events"),
        (("migrate",), "Running migrations"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_a_stream_that_can_only_write_is_enough(command, said, monkeypatch):
    AuditLog.objects.all().delete()
    Author.objects.create(name="Ann")
    out, errors = Alone(), Alone()
    monkeypatch.setattr(sys, "stderr", Alone())
    monkeypatch.setattr(sys, "stdin", None)
    call_command(*command, stdout=out, stderr=errors)
    assert said in out.text
    assert errors.text == ""


@pytest.mark.proof
def test_migrate_tells_such_a_stream_what_became_of_the_triggers():
    out = Alone()
    capture.remove("default")
    call_command("migrate", stdout=out)
    assert "Updated audit triggers: " in out.text


@pytest.mark.proof
def test_on_a_terminal_a_run_says_that_there_is_nothing_to_do_or_who_holds_the_lock():
    AuditLog.objects.all().delete()
    here = logs.named("default")
    assert processes.on_terminal("backfill_reprs", stream="stdout") == f"{here}: Nothing to do.\n"
    with DatabaseLock("default"):
        said = processes.on_terminal("backfill_reprs", stream="stdout")
    expected = rf"{re.escape(here)}: Another run holds the lock \(process {os.getpid()} on .+\)\.\n"
    assert re.fullmatch(expected, said)
    assert processes.on_terminal("backfill_reprs", "--verbosity=0", stream="stdout") == ""
