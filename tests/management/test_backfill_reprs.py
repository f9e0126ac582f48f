"""Tests what ``backfill_reprs`` prints, when it is silent, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import override_settings

from auditrepr.job import logs
from auditrepr.job.locks.file import FileLock
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.management.commands.backfill_reprs import Command
from auditrepr.models import AuditLog, BackfillRun, Checkpoint, InstanceRepr, Lease, ReprFailure
from tests import processes
from tests.app.models import Author
from tests.running import _empty_log
from tests.unmigrated import unmigrated

__all__ = ["_empty_log"]
pytestmark = pytest.mark.django_db(transaction=True)

STORED = r"Stored ([\d,]+) representations?, ([\d,]+) failed \(([\d,]+) batch(?:es)?, [\d.]+ s\)\."

# The command with a __str__ that says that it is at work, and takes its time.
SLOW = """
import time
from concurrent.futures import ThreadPoolExecutor
def slowly(author):
    print("building", flush=True)
    time.sleep({seconds})
    return author.name
Author.__str__ = slowly
execute_from_command_line(["manage.py", "backfill_reprs", "--batch-size", "1"])
"""


@pytest.fixture(autouse=True)
def _state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def backfill(capsys):
    def run(*arguments: str, **options) -> str:
        """What it says, without the database's name."""
        call_command("backfill_reprs", *arguments, **options)
        return capsys.readouterr().out.replace(f"{logs.named('default')}: ", "")

    return run


@pytest.fixture
def ann():
    return Author.objects.create(name="Ann")


def exit_code(*arguments: str) -> int | None:
    with pytest.raises(SystemExit) as raised:
        call_command("backfill_reprs", *arguments)
    return raised.value.code


def fail(self) -> str:
    raise ValueError("no\nname\x1b[2J")


def test_it_says_what_it_stored_and_why_it_stopped(backfill, ann):
    said = backfill().rstrip()
    assert re.match(STORED, said).groups() == ("1", "0", "1")
    assert said.endswith(" Nothing left to do.")


def test_it_counts_as_people_do(backfill):
    Author.objects.create(name="Ann")
    assert backfill().startswith("Stored 1 representation, 0 failed (1 batch, ")
    Author.objects.bulk_create(Author(name="a") for _ in range(1000))
    assert backfill().startswith("Stored 1,000 representations, 0 failed (1 batch, ")


def test_it_names_the_database_and_its_engine(capsys, ann):
    call_command("backfill_reprs")
    name = connection.settings_dict["NAME"]
    where = f'default ({connection.display_name} "{name}"): '
    assert capsys.readouterr().out.startswith(f"{where}Stored 1 representation")


def test_it_is_silent_when_there_is_nothing_to_do(backfill):
    assert backfill() == ""
    assert backfill("--verbosity=2").splitlines() == ["Nothing to do."]


@pytest.mark.parametrize("lock", [DatabaseLock, FileLock])
def test_it_is_silent_when_another_run_holds_the_lock(backfill, lock):
    option = f"--lock={'file' if lock is FileLock else 'database'}"
    with lock("default"):
        assert backfill(option) == ""
        (who,) = backfill(option, "--verbosity=2").splitlines()
    expected = rf"Another run holds the lock \(process {os.getpid()} on .* since \d{{4}}-.*\)\."
    assert re.fullmatch(expected, who)


def test_verbosity_0_prints_nothing(backfill, ann):
    assert backfill("--dry-run", "--verbosity=0") == ""
    assert backfill("--verbosity=0") == ""
    assert backfill("--verbosity=0", "--format=json") == ""
    assert InstanceRepr.objects.count() == 1


@pytest.mark.parametrize(
    ("option", "reason"),
    [("--max-batches=1", "batch limit reached"), ("--max-seconds=0", "time limit reached")],
)
def test_the_last_line_says_which_limit_was_reached(backfill, option, reason):
    Author.objects.bulk_create([Author(name="a"), Author(name="b")])
    out = backfill(option, "--batch-size=1", "--verbosity=2")
    assert out.rstrip().endswith(f" Stopped: {reason}.") or out == f"Stopped: {reason}.\n"


def test_json_is_one_document(backfill, ann):
    (document,) = json.loads(backfill("--format=json"))
    assert document.pop("seconds") > 0
    assert document == {
        "database": "default",
        "stop_reason": "caught-up",
        "stored": 1,
        "failures": 0,
        "final": 0,
        "again": 0,
        "failed_again": 0,
        "batches": 1,
        "error": "",
        "first_failure": "",
        "holder": None,
        "gone": 0,
    }
    with DatabaseLock("default"):
        assert json.loads(backfill("--format=json"))[0]["holder"]["pid"] == os.getpid()


def test_a_dry_run_shows_what_would_be_stored_and_writes_nothing(backfill, ann):
    Author.objects.filter(pk=ann.pk).update(name="Anna")
    first, second = AuditLog.objects.order_by("pk")
    lines = backfill("--dry-run").splitlines()
    assert lines[0].split() == ["id", "time", "action", "model", "object", "representation"]
    day, time = first.occurred_at.isoformat(" ", "seconds").split()
    assert lines[1].split()[:3] == [str(first.pk), day, time]
    assert lines[1].split()[-4:] == ["added", "app.Author", str(ann.pk), "Ann"]
    assert lines[2].split()[-4:] == ["changed", "app.Author", str(ann.pk), "Anna"]
    assert lines[3:] == ["2 pending. Nothing was written."]
    left = (InstanceRepr, ReprFailure, Lease, BackfillRun, Checkpoint)
    assert not any(model.objects.exists() for model in left)
    assert second.pk > first.pk


def test_a_dry_run_needs_no_lock(backfill, ann):
    with DatabaseLock("default"):
        assert "Ann" in backfill("--dry-run")


def test_a_dry_run_shows_no_more_rows_than_its_limit(backfill):
    Author.objects.bulk_create(Author(name=f"a{n}") for n in range(30))
    assert len(backfill("--dry-run").splitlines()) == 22
    assert len(backfill("--dry-run", "--limit=3").splitlines()) == 5
    assert backfill("--dry-run", "--limit=0") == "30 pending. Nothing was written.\n"


def test_a_dry_run_says_what_is_not_exact_and_what_fails(backfill, ann, monkeypatch):
    AuditLog.objects.create(table_name="gone", object_id="5", action="I", row_data={"a": 1})
    monkeypatch.setattr(Author, "__str__", fail)
    failing, gone, _ = backfill("--dry-run").splitlines()[1:]
    assert failing.endswith(r"(cannot be built: ValueError: no\nname\x1b[2J)")
    assert "gone" in gone
    assert "(mixed: " in gone or "(cannot be built: " in gone


def test_a_dry_run_as_json_is_one_document(backfill, ann):
    (document,) = json.loads(backfill("--dry-run", "--format=json"))
    assert document["pending"] == {"count": 1, "complete": True}
    (row,) = document["events"]
    assert (row["model"], row["object"], row["representation"]) == (
        "app.Author",
        str(ann.pk),
        "Ann",
    )


def test_a_representation_can_neither_drive_the_terminal_nor_forge_a_line(backfill):
    Author.objects.create(name="a\x1b[31m\n9  b\u202ec\x9b")
    lines = backfill("--dry-run").splitlines()
    assert len(lines) == 3
    assert lines[1].endswith(r"a\x1b[31m\n9  b\u202ec\x9b")


def test_what_the_output_cannot_encode_is_escaped():
    Author.objects.create(name="Zoë ✓")
    done = processes.run_here("backfill_reprs", "--dry-run", encoding="ascii")
    assert r"Zo\xeb \u2713" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    "option",
    [
        "--batch-size=0",
        "--batch-size=many",
        "--max-batches=-1",
        "--max-seconds=-1",
        "--max-seconds=inf",
        "--wait=nan",
        "--wait=soon",
        "--limit=-1",
        "--limit=9223372036854775808",
        "--lock=none",
        "--format=xml",
    ],
)
def test_a_bad_value_is_a_usage_error_that_names_the_option(option):
    name, _, value = option.partition("=")
    with pytest.raises(CommandError, match=name):
        call_command("backfill_reprs", option)
    if name not in ("--lock", "--format"):
        with pytest.raises(CommandError, match=name) as raised:
            call_command("backfill_reprs", **{name.strip("-").replace("-", "_"): value})
        assert raised.value.returncode == 2


def test_the_size_of_a_batch_may_be_left_to_the_job(backfill, ann):
    assert "1 representation" in backfill("--batch-size=auto")
    InstanceRepr.objects.all().delete()
    call_command("backfill_reprs", batch_size="auto", rescan=True, verbosity=0)
    assert InstanceRepr.objects.count() == 1


def test_a_usage_error_exits_2_and_shows_the_usage():
    done = processes.run_here("backfill_reprs", "--batch-size", "0")
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert "argument --batch-size: '0' is not a whole number of at least 1" in done.stderr


def test_a_dry_run_that_cannot_begin_is_one_line_and_no_report(capsys):
    with unmigrated(), pytest.raises(CommandError, match=r"migrations of auditrepr\."):
        call_command("backfill_reprs", "--dry-run", "--format=json")
    assert capsys.readouterr().out == ""


def test_in_a_thread_that_is_not_the_main_one_it_runs_without_signals(ann):
    """As task queues start it; only the main thread may ask for signals."""

    def job():
        try:
            call_command("backfill_reprs", verbosity=0)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(job).result()
    assert InstanceRepr.objects.get().instance_repr == "Ann"


def test_a_limit_without_a_dry_run_is_a_usage_error_that_names_what_limits_a_run(ann):
    with pytest.raises(CommandError, match="--limit: requires --dry-run") as raised:
        call_command("backfill_reprs", "--limit=1")
    assert raised.value.returncode == 2
    assert not InstanceRepr.objects.exists()


def test_dry_run_and_rescan_exclude_each_other():
    with pytest.raises(CommandError, match="not allowed with"):
        call_command("backfill_reprs", "--dry-run", "--rescan")


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_an_unknown_database_is_one_clear_line():
    done = processes.run_here("backfill_reprs", "--database", "nowhere")
    assert done.returncode == 2, "as for any other wrong option"
    known = 'argument --database: Unknown database "nowhere". DATABASES defines: default, other.'
    assert done.stderr.splitlines()[-1].endswith(known)
    assert done.stdout == ""


def test_a_missing_migration_is_one_clear_line_to_who_asks_for_a_dry_run(backfill):
    said = r"unapplied migrations of auditrepr\. Run: manage\.py migrate"
    with unmigrated(), pytest.raises(CommandError, match=said):
        backfill("--dry-run")


@pytest.mark.proof
def test_a_server_that_cannot_be_reached_is_one_clear_line(tmp_path):
    name = "nowhere" if connection.vendor == "postgresql" else str(tmp_path / "no" / "such")
    names = json.dumps({"default": name})
    done = processes.run("backfill_reprs", env={"TEST_DATABASE_NAMES": names})
    assert 'Could not connect to database "default": ' in one_line(done)


def test_a_lock_file_that_cannot_be_written_is_one_clear_line(tmp_path, ann):
    (tmp_path / "auditrepr").write_text("a file where the folder ought to be")
    done = processes.run_here("backfill_reprs", "--lock", "file")
    assert "Could not use the lock file" in (line := one_line(done))
    assert 'Set AUDITREPR["LOCK_FILE"]' in line
    assert not InstanceRepr.objects.exists()


def test_an_error_is_no_report_and_stands_in_the_json(backfill, capsys, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    with pytest.raises(CommandError, match="Could not use the lock file"):
        backfill("--lock=file")
    assert capsys.readouterr().out == ""
    with pytest.raises(CommandError, match="Could not use the lock file"):
        backfill("--lock=file", "--format=json")
    assert json.loads(capsys.readouterr().out)[0]["stop_reason"] == "error"


def test_strict_exits_3_while_there_are_failures(ann, monkeypatch):
    monkeypatch.setattr(Author, "__str__", fail)
    assert exit_code("--strict", "--verbosity=0") == 3
    assert exit_code("--strict", "--verbosity=0") == 3
    ReprFailure.objects.all().delete()
    monkeypatch.undo()
    call_command("backfill_reprs", "--strict", verbosity=0)


@pytest.mark.proof
def test_retry_failed_retries_all_failed_events(backfill, monkeypatch):
    Author.objects.bulk_create(Author(name="a") for _ in range(5))
    with monkeypatch.context() as broken:
        broken.setattr(Author, "__str__", fail)
        backfill()
    assert backfill() == "", "nothing is due yet"
    said = backfill("--retry-failed", "--batch-size=2").rstrip()
    assert re.match(STORED, said).groups() == ("5", "0", "3")
    assert said.endswith(" Retried 5 events. Nothing left to do.")
    assert not ReprFailure.objects.exists()


def test_a_due_retry_that_fails_again_is_only_told_who_asks_for_more(backfill, ann, monkeypatch):
    monkeypatch.setattr(Author, "__str__", fail)
    backfill()
    for verbosity, told in [(1, ""), (2, " Retried 1 event, which failed again. ")]:
        ReprFailure.objects.update(next_attempt_at=Now())
        assert told in (said := backfill(f"--verbosity={verbosity}"))
        assert bool(said) == bool(told)


@pytest.mark.proof
def test_retry_failed_says_how_many_failed_again(backfill, monkeypatch):
    Author.objects.bulk_create(Author(name=name) for name in "aabbb")
    with monkeypatch.context() as broken:
        broken.setattr(Author, "__str__", fail)
        backfill()
        said = backfill("--retry-failed")
        assert said.endswith(" Retried 5 events, 5 of which failed again. Nothing left to do.\n")
        Author.objects.create(name="new")
    monkeypatch.setattr(Author, "__str__", lambda author: author.name if author.name != "a" else 1)
    document, *_ = json.loads(backfill("--retry-failed", "--format=json"))
    counts = ("stored", "failures", "again", "failed_again")
    assert [document[name] for name in counts] == [4, 0, 5, 2]


def test_fail_if_locked_exits_75():
    with DatabaseLock("default"):
        assert exit_code("--fail-if-locked") == 75


@pytest.mark.proof
def test_wait_waits_for_the_lock(backfill, ann):
    with processes.start_python(
        "from auditrepr.job.locks.lease import DatabaseLock\n"
        "with DatabaseLock('default'): print('held', flush=True); sys.stdin.readline()"
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with processes.start("backfill_reprs", "--wait", "30", "--verbosity", "2") as waiting:
            holder.communicate("\n")
            assert "Nothing left to do." in waiting.communicate(timeout=60)[0]
    assert InstanceRepr.objects.count() == 1


@pytest.mark.proof
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_batch_and_frees_the_lock(number):
    Author.objects.bulk_create([Author(name="a"), Author(name="b"), Author(name="c")])
    with processes.start_python(SLOW.format(seconds=0.5)) as process:
        assert process.stdout.readline() == "building\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert output.rstrip().endswith(" Stopped by a signal.")
    assert InstanceRepr.objects.count() == 1
    assert Lease.objects.get().token is None


@pytest.mark.proof
def test_a_second_signal_stops_at_once_and_nothing_of_the_open_batch_is_kept(backfill):
    Author.objects.bulk_create([Author(name="a"), Author(name="b")])
    with processes.start_python(SLOW.format(seconds=60)) as process:
        assert process.stdout.readline() == "building\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in (-signal.SIGTERM, -signal.SIGINT)
    assert not InstanceRepr.objects.exists()
    assert "2 representations" in backfill(), "and the lock of the dead is free"


@pytest.mark.proof
def test_a_terminal_gets_a_progress_bar_with_rate_and_time_left():
    Author.objects.bulk_create(Author(name="a") for _ in range(10))
    shown = processes.on_terminal("backfill_reprs", "--batch-size=3", stream="stderr")
    assert re.search(r"3 stored, \d+/s +30%\|.*\| \d\d:\d\d<\d\d:\d\d", shown)
    assert "100%" in shown


@pytest.mark.proof
@pytest.mark.parametrize("option", ["--no-progress", "--format=json", "--verbosity=0"])
def test_a_terminal_gets_no_progress_bar_if_it_is_not_wanted(option):
    Author.objects.bulk_create(Author(name="a") for _ in range(10))
    assert processes.on_terminal("backfill_reprs", "--batch-size=3", option, stream="stderr") == ""


def test_a_pipe_gets_no_progress_bar():
    Author.objects.bulk_create(Author(name="a") for _ in range(10))
    done = processes.run_here("backfill_reprs", "--batch-size=3")
    assert done.stderr == ""
    assert re.match(STORED, done.stdout.removeprefix(f"{logs.named('default')}: "))


@pytest.mark.proof
def test_what_cron_starts_imports_no_progress_bar_and_no_migration():
    Author.objects.create(name="a")
    code = """
call_command("backfill_reprs")
print([name for name in sys.modules if name == "tqdm" or ".migrations.0" in name])
"""
    out, _ = processes.start_python(code).communicate(timeout=60)
    assert re.search(STORED, out)
    assert out.splitlines()[-1] == "[]"


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_another_database_has_its_own_log_and_lock(backfill):
    Author.objects.using("other").create(name="Otto")
    with DatabaseLock("default"):
        assert "1 representation," in backfill("--database=other")
    assert InstanceRepr.objects.using("other").get().instance_repr == "Otto"
    assert not InstanceRepr.objects.exists()


@override_settings(AUDITREPR={"BATCH_SIZE": "many"})
def test_a_bad_setting_is_one_clear_line(backfill):
    with pytest.raises(CommandError, match=r"AUDITREPR\[.BATCH_SIZE.\]"):
        backfill()


def test_the_help_names_every_exit_code():
    for code in ("0 ", "1 ", "2 ", "3 ", "75 ", "128+n"):
        assert code in Command.help
