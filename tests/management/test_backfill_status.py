"""Tests the status as text, JSON and Prometheus metrics, its limit, and releasing the lock."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from auditrepr import capture
from auditrepr.exceptions import LeaseLost
from auditrepr.job import backfill, logs
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.locks.process import Process
from auditrepr.job.rounds import shares
from auditrepr.job.rounds.lock import ShareLock
from auditrepr.job.runs.record import SIGN
from auditrepr.management.commands.backfill_status import Command, duration
from auditrepr.management.status_formats import prometheus
from auditrepr.models import (
    AuditLog,
    BackfillRun,
    Checkpoint,
    Coverage,
    Lease,
    RebuildCursor,
    Share,
)
from auditrepr.vendors import get_vendor
from tests import processes
from tests.app.models import Author
from tests.capturing import rename_table
from tests.running import _empty_log

__all__ = ["_empty_log"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def say(capsys):
    def run(*arguments: str, fails: bool = False) -> str:
        with pytest.raises(CommandError) if fails else nullcontext():
            call_command("backfill_status", *arguments)
        return capsys.readouterr().out

    return run


def late(hours: int) -> None:
    Author.objects.create(name="a")
    AuditLog.objects.update(occurred_at=timezone.now() - timedelta(hours=hours))


def test_text_is_one_screen(say):
    late(2)
    Coverage.objects.exclude(reason="installed").update(reason="installed")
    lines = [line.rstrip() for line in say().splitlines() if not line.startswith("partitions ")]
    lines[1] = re.sub(r" \d+ s$", "", lines[1])  # which this took
    assert lines == [
        f"database    {logs.named('default')}",
        "pending     1 event; the oldest has waited 2 h",
        "watermark   not set: no event is settled yet",
        "lock        free",
        "runs        none yet: schedule backfill_reprs (see deploy/crontab)",
        "failed      none",
        "triggers    OK",
        "coverage    no gaps",
        "rebuild     none",
    ]


def test_text_says_what_is_wrong(say, monkeypatch):
    def fail(author):
        raise ValueError("no")

    monkeypatch.setattr(Author, "__str__", fail)
    Author.objects.create(name="a")
    backfill.run("default", lock=DatabaseLock("default"))
    BackfillRun.objects.update(skipped_runs=7, error="the disk is full", stop_reason="error")
    since = timezone.now() - timedelta(minutes=90, seconds=5)
    evidence = {"server": "x", "transactions": ["3/17", "4/2"]}
    Checkpoint.objects.update(candidate_evidence=evidence, candidate_at=since)
    RebuildCursor.objects.create(selection={}, start_id=0, reached_id=5, top_id=9)
    with DatabaseLock("default"):
        out = say(fails=True)
    assert "held back for 1 h 30 min by transactions open at the last check: 3/17, 4/2" in out
    assert re.search(rf"lock +held by process {os.getpid()} on \S+ since", out)
    assert re.search(r"runs +\d{4}-.* backfill_reprs: error, 0 stored, 1 failed, .* 7 skipped", out)
    assert "the disk is full" in out
    assert "the last 7 runs found the lock held" in out
    assert "failed      1 event, 0 due for a retry" in out
    assert "1 ValueError" in out
    assert "at event 5 of 9" in out


def test_json_is_one_document(say):
    late(1)
    (document,) = json.loads(say("--format=json"))
    assert document["pending"] == {"count": 1, "complete": True}
    assert 3600 <= document["lag_seconds"] < 3700
    assert document["lock"] is None
    backfill.run("default", lock=DatabaseLock("default"))
    with DatabaseLock("default"):
        (document,) = json.loads(say("--format=json"))
    assert document["runs"][0]["stop_reason"] == "caught-up"
    assert f"process {os.getpid()}" in document["lock"]["holder"]


def test_prometheus_can_read_its_format(say):
    late(1)
    lines = say("--format=prometheus").splitlines()
    sample = re.compile(r'auditrepr_\w+\{database="default"(,error=".*")?\} [\d.e+]+')
    assert [s for s in lines if not s.startswith("#") and not sample.fullmatch(s)] == []
    assert 'auditrepr_pending_rows{database="default"} 1' in lines
    assert "# TYPE auditrepr_lag_seconds gauge" in lines


def test_a_label_cannot_break_out_of_its_quotes():
    assert prometheus._escaped('a"b\\c\nd') == r"a\"b\\c\nd"


def test_past_the_limit_it_exits_1(say):
    late(2)
    assert "2 h" in say("--max-lag=3h")
    with pytest.raises(
        CommandError, match=r"has waited 2 h.*; --max-lag allows 10 min\."
    ) as raised:
        say("--max-lag=10m")
    assert raised.value.returncode == 1


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800)]
)
def test_spans_are_read(text, expected):
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["soon", "-1m", "10 weeks", ""])
def test_a_span_that_is_none_is_a_usage_error(text):
    with pytest.raises(CommandError, match="max-lag"):
        call_command("backfill_status", f"--max-lag={text}")


def test_an_unknown_database_is_one_clear_line():
    with pytest.raises(CommandError, match='Unknown database "nowhere"') as raised:
        call_command("backfill_status", database="nowhere")
    assert raised.value.returncode == 2


def test_colors_only_on_a_terminal_and_not_with_no_color(monkeypatch):
    from django.core.management.color import make_style

    command = Command()
    command.style = make_style("dark")
    monkeypatch.setenv("NO_COLOR", "1")
    call_command(command)
    assert command.style.ERROR("x") == "x"
    done = processes.run_here("backfill_status")
    assert "\x1b" not in done.stdout
    assert "none yet" in done.stdout


def test_a_released_lock_lets_its_former_holder_store_nothing(say):
    Author.objects.create(name="a")
    lock = DatabaseLock("default")
    with lock:
        assert "Lock released." in say("--release-lock", "--no-input")
        assert Lease.objects.get().token is None
        with pytest.raises(LeaseLost):
            lock.renew()
    not_held = f"{logs.named('default')}: The database lock is not held.\n"
    assert say("--release-lock") == not_held


def test_releasing_asks_and_needs_a_terminal(say):
    with DatabaseLock("default"):
        done = processes.run_here("backfill_status", "--release-lock")
        assert done.returncode == 1
        assert "use --no-input" in done.stderr
        assert Lease.objects.get().token


@pytest.mark.parametrize(("answer", "released"), [("y", True), ("", False), ("no", False)])
def test_only_yes_releases(say, monkeypatch, answer, released):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    with DatabaseLock("default"):
        if released:
            assert "Releasing it discards the batch that is not committed yet." in say(
                "--release-lock"
            )
        else:
            with pytest.raises(CommandError, match="not released"):
                say("--release-lock")
        assert (Lease.objects.get().token is None) == released


@pytest.mark.parametrize(
    "arguments",
    [
        ("--release-lock", "--cancel"),
        ("--release-lock", "--format=json"),
        ("--cancel", "--format=text"),
        ("--cancel", "--max-lag=10m"),
        ("--release-lock", "--window=0s"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("called", [False, True], ids=["from a shell", "from Python"])
def test_to_act_and_to_show_exclude_each_other(arguments, called):
    with shared(50), DatabaseLock("default"):
        if called:
            names = [one.removeprefix("--").partition("=") for one in arguments]
            options = {name.replace("-", "_"): value or True for name, _, value in names}
            with pytest.raises(CommandError) as raised:
                call_command("backfill_status", interactive=False, **options)
            code, text = raised.value.returncode, str(raised.value)
        else:
            done = processes.run_here("backfill_status", "--no-input", *arguments)
            code, text = done.returncode, done.stderr
        assert code == 2
        assert f"not allowed with argument {arguments[0]}" in text
        assert Lease.objects.filter(token__isnull=False).exists()
        assert Share.objects.count() == 4


def test_text_names_a_lock_left_behind_and_how_to_go_on_with_a_rebuilding(say):
    with DatabaseLock("default"):
        Lease.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
        RebuildCursor.objects.create(selection={}, start_id=0, reached_id=5, top_id=9)
        out = say()
    assert re.search(rf"lock +expired, last held by process {os.getpid()} on .*; the next", out)
    assert "To continue: manage.py rebuild_reprs --resume" in out


@pytest.mark.proof
def test_text_names_what_is_not_captured(say):
    capture.remove("default")
    Coverage.objects.update_or_create(
        table_name="app_author", defaults={"reason": "disabled", "since_event": None}
    )
    Coverage.objects.update_or_create(
        table_name="app_tag", defaults={"reason": "missing", "since_event": 7}
    )
    try:
        out = say(fails=True)
    finally:
        capture.install("default")
    assert "app_book: missing" in out
    assert "Run: manage.py audit_triggers install --database default" in out
    assert re.search(r"app_author: gap, still open \(.+\)", out)
    assert re.search(r"app_tag: gap, still open \(.+\)", out)
    assert re.search(r"app_tag: gap, up to event -?\d+ \(.+\)", say(fails=True))


def test_prometheus_counts_failures_by_their_error(say, monkeypatch):
    def fail(author):
        raise ValueError("no")

    monkeypatch.setattr(Author, "__str__", fail)
    Author.objects.create(name="a")
    backfill.run("default", lock=DatabaseLock("default"))
    lines = say("--format=prometheus", fails=True).splitlines()
    assert 'auditrepr_failures{database="default",error="ValueError"} 1' in lines


def test_a_span_that_does_not_come_through_the_parser_is_read_as_well():
    with pytest.raises(CommandError, match="argument --max-lag") as raised:
        call_command("backfill_status", max_lag="soon")
    assert raised.value.returncode == 2


def test_a_database_that_cannot_tell_is_one_clear_line():
    rename_table("auditrepr_backfillrun", "elsewhere")
    try:
        with pytest.raises(CommandError, match="auditrepr_backfillrun") as raised:
            call_command("backfill_status")
    finally:
        rename_table("elsewhere", "auditrepr_backfillrun")
    assert "\n" not in str(raised.value)


def test_a_lock_that_its_holder_lets_go_of_meanwhile_is_not_released(say, monkeypatch):
    lock = DatabaseLock("default")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    with lock:

        def answer(prompt):
            lock.__exit__(None, None, None)
            return "y"

        monkeypatch.setattr("builtins.input", answer)
        with pytest.raises(CommandError, match="is storing a batch, or has released it meanwhile"):
            say("--release-lock")


@pytest.mark.proof
def test_a_round_is_shown_with_its_workers_in_each_format(say):
    with shared(50, seconds=20) as lock:
        first, last = lock.share.after_id + 1, lock.share.upto_id
        text = say()
        lines = text.splitlines()
        (at,) = [n for n, line in enumerate(lines) if line.startswith("round ")]
        assert re.fullmatch(
            r"round +1 of 5 shares done, 1 held; \d+ event IDs per second, about .+ left", lines[at]
        )
        assert re.fullmatch(
            rf" +events {first} to {last}: process {os.getpid()} on \S+ since .+", lines[at + 1]
        )
        (document,) = json.loads(say("--format", "json"))
        held = document["round"].pop("held")
        assert [(one["first_id"], one["last_id"]) for one in held] == [(first, last)]
        assert f"process {os.getpid()}" in held[0]["holder"]
        rate, left = (document["round"].pop(name) for name in ("ids_per_second", "seconds_left"))
        assert 0 < rate <= 0.5
        assert left == pytest.approx(40 / rate)
        assert document["round"] == {"command": "backfill_reprs", "planned": 5, "done": 1}
        metrics = say("--format", "prometheus")
        for name, value in (("planned", 5), ("left", 4), ("held", 1)):
            assert f'auditrepr_shares_{name}{{database="default"}} {value}' in metrics


def test_the_pace_of_a_round_that_was_interrupted_is_that_of_its_work(say):
    """By two workers at once, by one that was killed, and a day later by one that still works."""
    now, day = timezone.now(), 86_400

    def ran(began: float, ended: float | None, seen: float | None = None) -> None:
        at = {"started_at": began, "ended_at": ended, "seen_at": seen}
        times = {name: n and now + timedelta(seconds=n - day) for name, n in at.items()}
        BackfillRun.objects.create(host="h", pid=1, **times)

    def pace() -> float:
        (document,) = json.loads(say("--format", "json"))
        assert document["round"]["seconds_left"] == pytest.approx(
            40 / document["round"]["ids_per_second"]
        )
        return document["round"]["ids_per_second"]

    with shared(50, seconds=day):
        assert pace() == pytest.approx(10 / day, rel=0.01), "nothing else is known"
        ran(-500, -400)  # before the round
        ran(-10, 100)  # planned it
        ran(50, 200)
        ran(60, 70)
        ran(1000, None, 1000 + 300 - SIGN)
        assert pace() == pytest.approx(10 / 500, rel=0.01)
        ran(day - 500, None, day)
        assert 10 / 1100 < pace() < 10 / 999


def ended() -> dict[str, object]:
    """Return a process of this host that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {**asdict(Process.current()), "pid": process.pid}


@pytest.mark.proof
def test_a_share_whose_worker_was_killed_is_not_held(say):
    with shared(50):
        Share.objects.exclude(token=None).update(holder=ended())
        assert re.search(r"^round +1 of 5 shares done, 0 held;", say(), re.MULTILINE)
        assert "process" not in say()
        (document,) = json.loads(say("--format", "json"))
        assert document["round"]["held"] == []
        assert 'auditrepr_shares_held{database="default"} 0' in say("--format", "prometheus")


@pytest.mark.proof
def test_a_lock_whose_run_was_killed_is_not_held(say):
    with DatabaseLock("default"):
        holder = ended()
        Lease.objects.update(holder=holder)
        found = f"expired, last held by process {holder['pid']} on {holder['host']}"
        assert found in say()
        (document,) = json.loads(say("--format", "json"))
        assert document["lock"]["expired"] is True
        assert 'auditrepr_lock_held{database="default"} 0' in say("--format", "prometheus")


def test_without_a_round_nothing_is_shown_of_one(say):
    assert "round" not in say()
    (document,) = json.loads(say("--format", "json"))
    assert document["round"] is None
    assert 'auditrepr_shares_planned{database="default"} 0' in say("--format", "prometheus")


def test_a_canceled_round_lets_its_workers_store_nothing(say):
    with shared(50) as lock:
        assert "Canceled the round (4 shares were left)." in say("--cancel")
        with pytest.raises(LeaseLost), transaction.atomic():
            lock.renew()
    assert "There is no round." in say("--cancel")
    assert not Share.objects.exists()


@contextmanager
def shared(count: int, seconds: float = 0) -> Iterator[ShareLock]:
    """A round of so many events, planned so long ago, of which a share is done and one is held."""
    Author.objects.bulk_create(Author(name="Ann") for _ in range(count))
    with DatabaseLock("default") as lock:
        shares.plan("default", "backfill_reprs", lock, width=10, least=0)
    began = get_vendor("default").clock(-seconds)
    Share.objects.update(planned_at=began)
    Share.objects.order_by("pk").first().delete()
    with ShareLock("default", "backfill_reprs", follow=lambda share: None) as held:
        yield held


def test_large_numbers_are_written_as_people_write_them(say):
    BackfillRun.objects.create(
        started_at=timezone.now(), host="h", pid=1, rows=1234567, failures=2345, idle_runs=3456,
        skipped_runs=4567, stop_reason="caught-up",
    )  # fmt: skip
    text = say()
    assert "1,234,567 stored, 2,345 failed" in text
    assert "then 3,456 idle, 4,567 skipped" in text
    assert "the last 4,567 runs found the lock held" in text
