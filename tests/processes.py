"""Starts processes that use the database of the running test."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import termios
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from django.core.management import execute_from_command_line
from django.db import connections, router

from auditrepr.models import AuditLog

ROOT = Path(__file__).resolve().parent.parent

PRELUDE = """
import sys, django
django.setup()
from django.core.management import call_command, execute_from_command_line
from tests.app.models import Author
"""


# Prints after each batch how much is stored, and continues on input.
IN_STEPS = """
from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
def told(progress):
    print(progress.rows, flush=True)
    sys.stdin.readline()
result = backfill.run("default", lock=DatabaseLock("default"), batch_size=2, on_progress=told)
print(result.stop_reason, result.rows, result.error)
"""


def environment(**more: str) -> dict[str, str]:
    """Return the environment in which a process finds the test's database."""
    names = {
        alias: str(connections[alias].settings_dict["NAME"])
        for alias in connections
        if router.allow_migrate_model(alias, AuditLog)
    }
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_NAMES": json.dumps(names),
        "PYTHONPATH": str(ROOT),
        **more,
    }


def start_python(code: str, **options: Any) -> subprocess.Popen[str]:
    """Start Python on this code, after Django's setup; its input and output are pipes."""
    return _start([sys.executable, "-c", PRELUDE + code], **options)


def start_in_steps(**options: Any) -> subprocess.Popen[str]:
    """Start the job in batches of two; after each it prints the sum, and reads a line."""
    return start_python(IN_STEPS, **options)


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start ``manage.py`` with these arguments."""
    return _start([sys.executable, "-W", "error", "-m", "django", *arguments], **options)


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` with these arguments to its end."""
    process = start(*arguments, **options)
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def on_terminal(*arguments: str, stream: str) -> str:
    """What ``manage.py`` with these arguments writes to a terminal that is this output of it."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with start(*arguments, **{stream: theirs}) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:
            pass  # how Linux reports that the other end of a terminal is closed
        process.communicate()
    os.close(ours)
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n")


def run_here(*arguments: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """Do the same as :func:`run` in this process: for options and messages, at a tenth of the cost.

    Signals, terminals, locks and the environment need a real process.
    """
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, newline="\n") for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        try:
            execute_from_command_line(["manage.py", *arguments])
            code = 0
        except SystemExit as exit_:
            code = exit_.code
    for stream in streams:
        stream.seek(0)
    return subprocess.CompletedProcess(arguments, code, *(stream.read() for stream in streams))


def _start(command: list[str], env: dict[str, str] | None = None, **options: Any) -> Any:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(
        command, env=environment(**(env or {})), cwd=ROOT, text=True, **pipes | options
    )
