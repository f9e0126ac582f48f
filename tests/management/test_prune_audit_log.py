"""Tests what ``prune_audit_log`` asks, prints and refuses."""

from __future__ import annotations

import io
import os
import pty
import signal
import sys
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from auditrepr.job import logs
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.locks.process import Process
from auditrepr.job.monitoring import status
from auditrepr.management.commands import prune_audit_log
from auditrepr.management.options import moment
from auditrepr.models import AuditLog, Lease
from tests import processes
from tests.app.models import Author

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()


def run(*arguments, **options):
    out = io.StringIO()
    call_command("prune_audit_log", *arguments, stdout=out, **options)
    return out.getvalue()


def make_old():
    """Two events, both a year old."""
    Author.objects.create(name="Ann")
    Author.objects.update(name="Bea")
    AuditLog.objects.update(occurred_at=timezone.now() - timedelta(days=365))
    return AuditLog.objects.latest("id").pk


def test_it_deletes_and_says_what():
    last = make_old()
    Author.objects.create(name="Cleo")
    assert run(before=str(TODAY), interactive=False) == (
        f"{logs.named('default')}: Deleted 2 events up to ID {last}, 0 representations and"
        " 0 failures.\n"
    )
    assert AuditLog.objects.count() == 1


def test_a_dry_run_asks_nothing_and_deletes_nothing():
    last = make_old()
    said = run("--before", str(TODAY), "--dry-run", "--keep-last")
    assert said == (
        f"{logs.named('default')}: Would delete 1 event up to ID {last}, 0 representations and"
        " 0 failures.\n"
    )
    assert AuditLog.objects.count() == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_batch_with_the_lock_let_go(monkeypatch, number):
    make_old()
    said = []

    def say(self, level, text):
        said.append(text)
        if level == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(prune_audit_log.Command, "_say", say)
    with pytest.raises(SystemExit) as ended:
        run("--before", str(TODAY), "--no-input", "--batch-size", "1")
    assert ended.value.code == 128 + number
    assert ": Deleted 1 event up to ID " in said[-1]
    assert AuditLog.objects.count() == 1
    assert Lease.objects.get().token is None


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_it_is_no_start_of_the_job():
    """Else a project that prunes in slices never sees that the job is no longer started."""
    run(before=str(TODAY), interactive=False)
    assert status.of("default").last_started_at is None
    call_command("backfill_reprs", verbosity=0)
    began = status.of("default").last_started_at
    assert began
    run(before=str(TODAY), interactive=False)
    assert status.of("default").last_started_at == began
    call_command("backfill_reprs", verbosity=0)
    assert status.of("default").last_started_at > began


def test_the_last_events_are_kept_if_asked():
    make_old()
    run("--before", str(TODAY), "--keep-last", "--no-input", "--batch-size", "1")
    assert AuditLog.objects.get().action == "U"


def test_verbosity_0_says_nothing_and_2_tells_of_every_batch():
    make_old()
    assert run("--before", str(TODAY), "--no-input", verbosity=0) == ""
    make_old()
    said = run("--before", str(TODAY), "--no-input", batch_size=1, verbosity=2)
    assert len(said.splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024-02-29T12:30", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("2024-02-29 12:30:00+02:00", datetime(2024, 2, 29, 10, 30, tzinfo=UTC)),
        (date(2024, 2, 29), datetime(2024, 2, 29, tzinfo=UTC)),
        (datetime(2024, 2, 29, 1, tzinfo=UTC), datetime(2024, 2, 29, 1, tzinfo=UTC)),
    ],
)
def test_a_date_or_a_time_says_before_what(text, expected):
    assert moment(text) == expected


def test_a_day_begins_at_midnight_where_the_project_is(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    assert moment("2024-02-29") == datetime(2024, 2, 28, 15, tzinfo=UTC)


def test_without_time_zones_times_have_none(settings):
    settings.USE_TZ = False
    assert moment("2024-02-29T12:30+00:00").tzinfo is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--before", "yesterday"], "'yesterday' is not a date: use 2026-01-31"),
        (["--before", "2023-02-29"], "'2023-02-29' is not a date"),
        (["--before", "0001-01-01T00:00+14:00"], "14:00' is not a date"),
        (["--before", "9999-12-31T23:00-14:00"], "14:00' is not a date"),
        (["--before", "2999-01-01"], "'2999-01-01' is in the future"),
        (["--before", "2024-01-01", "--batch-size", "0"], "at least 1"),
        (["--before", "2024-01-01", "--batch-size", "10001"], "the maximum is 10000"),
        (["--before", "2024-01-01", "--wait", "x"], "is not a number of seconds"),
        ([], "--before"),
        (["--before", "2024-01-01", "--database", "nowhere"], "nowhere"),
    ],
)
def test_bad_values_are_one_clear_line(arguments, complaint):
    with pytest.raises(CommandError, match=complaint) as raised:
        run(*arguments, "--no-input")
    assert "\n" not in str(raised.value)


def test_so_are_those_that_another_program_passes():
    with pytest.raises(CommandError, match="argument --batch-size: 0 is not a whole") as raised:
        run(before=str(TODAY), batch_size=0, interactive=False)
    assert raised.value.returncode == 2


def test_who_holds_the_lock_cannot_drive_the_terminal():
    with DatabaseLock("default"):
        Lease.objects.update(holder=asdict(replace(Process.current(), host="h\x1b[31m")))
        with pytest.raises(CommandError, match="The lock is held by") as raised:
            call_command("prune_audit_log", "--before=2020-01-01", "--no-input")
    assert "\x1b" not in str(raised.value)


def test_without_a_terminal_nothing_is_asked_and_nothing_deleted(monkeypatch):
    make_old()
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    with pytest.raises(
        CommandError, match=r"there is no terminal\. To delete anyway, use --no-input"
    ):
        run("--before", str(TODAY))
    assert AuditLog.objects.count() == 2


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("answer", "left"), [(b"no\n", 2), (b"y\n", 2), (b"yes\n", 0)])
def test_on_a_terminal_only_a_full_yes_deletes(answer, left):
    make_old()
    outer, inner = pty.openpty()
    os.write(outer, answer)
    process = processes.start("prune_audit_log", "--before", str(TODAY), stdin=inner)
    said, complaint = process.communicate(timeout=60)
    assert AuditLog.objects.count() == left
    assert "This permanently deletes all events before" in said
    assert (process.returncode, "Nothing was deleted" in complaint) == (
        (1, True) if left else (0, False)
    )
