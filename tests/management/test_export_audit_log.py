"""Tests ``export_audit_log``: filters, files, and messages for those who follow the log."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from auditrepr.management import export_output
from auditrepr.models import AuditLog, Checkpoint
from auditrepr.readers import export
from auditrepr.readers.export_formats import Csv, JsonLines
from tests import processes
from tests.app.models import Author
from tests.app.relations import Diner
from tests.capturing import sql
from tests.missing import could_not_try
from tests.pages import event, fail
from tests.running import run
from tests.vendors.recording import without_rights

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty() -> None:
    AuditLog.objects.all().delete()


def exported(*arguments: str, **options: Any) -> list[dict[str, Any]]:
    """The lines of a JSON Lines export; the last one says how it ended."""
    out = io.StringIO()
    call_command("export_audit_log", *arguments, format="jsonl", stdout=out, **options)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def ids(*arguments: str, **options: Any) -> list[int]:
    return [record["id"] for record in exported(*arguments, **options)[:-1]]


@contextmanager
def only_reading() -> Iterator[None]:
    """Statements inside may read the log, and write nothing."""
    if connection.vendor == "sqlite":
        with without_rights():
            yield
        return
    tables = [model._meta.db_table for model in apps.get_app_config("auditrepr").get_models()]
    sql(
        "CREATE ROLE auditrepr_test_exports",
        f"GRANT SELECT ON {', '.join(tables)}, django_migrations TO auditrepr_test_exports",
        "SET ROLE auditrepr_test_exports",
    )
    yield
    sql("RESET ROLE")  # which is rolled back with the test


def settle(pk: int) -> None:
    Checkpoint.objects.update_or_create(pk=1, defaults={"settled_id": pk})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- what it writes ------------------------------------------------------------------------------


def test_json_lines_end_with_where_to_continue() -> None:
    event(1, text="Ann")
    event(2)
    settle(1)
    first, second, last = exported()
    assert (first["representation"], first["pending"]) == ("Ann", False)
    assert (second["representation"], second["pending"]) == (None, True)
    assert last == {"end": "complete", "events": 2, "continue_from": 1}


def test_csv_is_for_spreadsheets(tmp_path: Path) -> None:
    event(1, text="=1+1", name="Müller")
    file = tmp_path / "log.csv"
    call_command("export_audit_log", format="csv", output=file)
    assert file.read_bytes().startswith(b'\xef\xbb\xbf"id",')
    with file.open(encoding="utf-8-sig", newline="") as text:
        head, row, last = csv.reader(text)
    found = dict(zip(head, row, strict=True))
    assert found["representation"] == "'=1+1"
    assert json.loads(found["changes"])["name"] == {"new": "Müller"}
    assert last == ["end", "complete", "events", "1", "continue_from", "start"]


def test_each_filter_selects() -> None:
    now = timezone.now()
    event(1, occurred_at=now - timedelta(days=9))
    event(2, table_name="app_diner", context={"user": "7"})
    event(3, object_id="33", previous_object_id="1", action="U", changed_from={"id": 1})
    event(4, table_name="bygone", object_id="1")
    assert ids() == [1, 2, 3, 4]
    assert ids(model="app.Author") == [1, 3]
    assert ids(model="bygone") == [4]
    assert ids(model="app.Author", object="1") == [1, 3]
    assert ids(model="app.Author", object="33") == [3]
    assert ids(actor="7") == [2]
    week_ago, yesterday = (str((now - timedelta(days=n)).date()) for n in (7, 1))
    assert ids("--since", week_ago) == [2, 3, 4]
    assert ids("--until", week_ago) == [1]
    assert ids("--since", week_ago, "--until", yesterday) == []
    assert ids("--until", str((now + timedelta(days=1)).date())) == [1, 2, 3, 4]


def test_an_object_whose_row_is_in_several_tables_is_whole() -> None:
    diner = Diner.objects.create(name="Mel's", stars=1)
    tables = {record.get("table") for record in exported(model="app.Diner", object=str(diner.pk))}
    assert tables == {"app_diner", "app_ratedplace", None}


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--object", "1"], 2, "argument --object: requires --model"),
        (["--model", "app.Nothing"], 2, "'app.Nothing' is not an audited model"),
        (["--since", "garbage"], 2, "argument --since: 'garbage' is not a date"),
        (["--until", "2026-02-30"], 2, "argument --until: '2026-02-30' is not a date"),
        (["--follow-from", "first"], 2, "'first' is neither an event ID nor 'start'"),
        (["--follow-from", "1", "--position-file", "x"], 2, "not allowed with argument"),
        (["--follow-from", "10"], 1, "ends at event 3, before event 10"),
        (["--database", "nowhere"], 2, 'Unknown database "nowhere"'),
        (["--format", "xml"], 2, "invalid choice: 'xml'"),
        (["--output", "/nowhere/log"], 1, "Could not write /nowhere/log: No such file"),
        (["--output", "/"], 1, "Could not write /: Is a directory"),
    ],
)
def test_wrong_usage_is_one_clear_line(options: list[str], code: int, said: str) -> None:
    event(3)
    done = processes.run_here("export_audit_log", "--format", "csv", *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_value_that_did_not_come_through_the_parser_is_checked() -> None:
    for name, value in (("since", "garbage"), ("follow_from", "x"), ("database", "nowhere")):
        with pytest.raises(CommandError, match=f"argument --{name.replace('_', '-')}") as caught:
            exported(**{name: value})
        assert caught.value.returncode == 2


def test_who_may_only_read_may_export() -> None:
    event(1, text="Ann")
    settle(1)
    with only_reading():
        assert ids() == [1]
        assert ids(follow_from="start") == [1]


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_standard_output_is_utf8_whatever_the_locale() -> None:
    event(1, text="Müller")
    process = processes.start(
        "export_audit_log", "--format", "jsonl", env={"PYTHONIOENCODING": "ascii"}
    )
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(output.splitlines()[0])["representation"] == "Müller"


# --- who follows it ------------------------------------------------------------------------------


def test_only_what_is_settled_is_sent_with_failures_and_their_reason() -> None:
    event(1, text="Ann")
    fail(event(2), "no such thing")
    event(3, text="stored, but not settled")
    settle(2)
    *sent, last = exported(follow_from="start")
    assert [(r["id"], r["representation"], r["failure"]) for r in sent] == [
        (1, "Ann", None),
        (2, None, "ValueError: no such thing"),
    ]
    assert last == {"end": "complete", "events": 2, "continue_from": 2}
    settle(3)
    assert ids(follow_from=last["continue_from"]) == [3]


def test_filters_do_not_hold_back_the_position() -> None:
    event(1, text="Ann")
    event(2, text="Bea", table_name="bygone")
    settle(2)
    (last,) = exported(follow_from=1, model="app.Author")
    assert last["continue_from"] == 2


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_a_file_that_is_followed_grows(tmp_path: Path, name: str) -> None:
    file, position = tmp_path / "log", tmp_path / "position"
    for pk in (1, 2):
        event(pk, text=f"line\nof {pk}")
        settle(pk)
        call_command("export_audit_log", format=name, output=file, position_file=position)
        assert position.read_text() == f"{pk}\n"
    if name == "jsonl":
        assert [line.get("id", line.get("end")) for line in lines(file)] == [
            1, "complete", 2, "complete",
        ]  # fmt: skip
        return
    with file.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.reader(text))
    assert [row[0] for row in rows] == ["id", "1", "end", "2", "end"]


@pytest.mark.parametrize("form", [Csv(), JsonLines()], ids=["csv", "jsonl"])
def test_what_a_killed_export_left_unfinished_is_cut_off(tmp_path: Path, form: Any) -> None:
    event(1, text='two\r\nlines, "quoted"\r\n')
    event(2, text='two\r\nlines, "quoted"\r\n')
    settle(1)
    file = tmp_path / "log"
    call_command("export_audit_log", format=form.suffix, output=file, follow_from="start")
    before = file.read_bytes()
    settle(2)
    call_command("export_audit_log", format=form.suffix, output=file, follow_from=1)
    whole = file.read_bytes()
    records_end = len(whole) - len(form.end(end="complete", events=1, continue_from=2))
    for killed_at in range(len(before), records_end):
        file.write_bytes(whole[:killed_at])
        export_output.AppendedFile(file, form).close(whole=False)
        assert file.read_bytes() == before
    file.write_bytes(whole[: records_end + 3])
    export_output.AppendedFile(file, form).close(whole=False)
    assert file.read_bytes() == whole[:records_end]


def test_two_exports_never_write_into_one_file(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="Another export is writing") as caught:
            exported(output=file, follow_from="start")
    assert caught.value.returncode == 75
    assert file.read_bytes() == b""


def test_a_full_disk_leaves_whole_records_and_the_old_position(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export, "PAGE", 1)
    event(1, text="Ann")
    settle(1)
    file, position = tmp_path / "log", tmp_path / "position"
    exported(output=file, position_file=position)
    before = file.read_bytes()
    event(2, text="x" * 10_000)
    settle(2)
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5000, hard))
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(CommandError, match=r"Could not write .*log: File too large"):
            exported(output=file, position_file=position)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert file.read_bytes() == before
    assert position.read_text() == "1\n"
    exported(output=file, position_file=position)
    assert [line.get("id", line.get("end")) for line in lines(file)] == [
        1,
        "complete",
        2,
        "complete",
    ]


@pytest.mark.parametrize("held", ["", "12x", "--1", "-", "٣", "9" * 30])
def test_a_position_that_is_none_is_an_error(tmp_path: Path, held: str) -> None:
    position = tmp_path / "position"
    position.write_text(held)
    with pytest.raises(CommandError, match="Could not read where to continue from"):
        exported(position_file=position)
    assert position.read_text() == held


def test_a_position_that_cannot_be_stored_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"Could not write .*position: No such file"):
        exported(position_file=tmp_path / "nowhere" / "position")


# --- files, signals, errors ----------------------------------------------------------------------


def test_a_file_is_replaced_as_a_whole_with_its_rights(tmp_path: Path) -> None:
    event(1)
    file = tmp_path / "log"
    file.write_text("old and longer than what is new" * 100)
    file.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(file)
    exported(output=link)
    assert [line.get("id") for line in lines(file)] == [1, None]
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link", "log"]


def refuse(monkeypatch, pk: int) -> None:
    """Let the database fail when this page is read."""
    monkeypatch.setattr(export, "PAGE", 1)
    real = export.RecordMaker.record

    def record(self: Any, found: AuditLog) -> Any:
        if found.pk == pk:
            raise OperationalError("the server is gone")
        return real(self, found)

    monkeypatch.setattr(export.RecordMaker, "record", record)


def test_an_error_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    event(1)
    event(2)
    refuse(monkeypatch, 2)
    file = tmp_path / "log"
    file.write_text("old")
    with pytest.raises(CommandError, match="the server is gone"):
        exported(output=file)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["log"]


def test_an_error_says_at_the_end_from_where_to_continue(monkeypatch) -> None:
    event(1)
    event(2)
    settle(2)
    refuse(monkeypatch, 2)
    out = io.StringIO()
    with pytest.raises(CommandError, match="the server is gone"):
        call_command("export_audit_log", format="jsonl", stdout=out, follow_from="start")
    first, last = map(json.loads, out.getvalue().splitlines())
    assert first["id"] == 1
    assert last == {"end": "error", "events": 1, "continue_from": 1}


def stop_at(monkeypatch, pk: int) -> None:
    monkeypatch.setattr(export, "PAGE", 1)
    real = export.RecordMaker.record

    def record(self: Any, found: AuditLog) -> Any:
        if found.pk == pk:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, found)

    monkeypatch.setattr(export.RecordMaker, "record", record)


def test_a_signal_ends_what_is_followed_after_a_page(tmp_path: Path, monkeypatch) -> None:
    for pk in (1, 2, 3):
        event(pk)
    settle(3)
    stop_at(monkeypatch, 2)
    file, position = tmp_path / "log", tmp_path / "position"
    with pytest.raises(SystemExit) as caught:
        exported(output=file, position_file=position)
    assert caught.value.code == 128 + signal.SIGTERM
    assert lines(file)[-1] == {"end": "stopped", "events": 2, "continue_from": 2}
    assert position.read_text() == "2\n"
    monkeypatch.undo()
    exported(output=file, position_file=position)
    assert [line["id"] for line in lines(file) if "id" in line] == [1, 2, 3]


def test_a_signal_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    for pk in (1, 2, 3):
        event(pk)
    stop_at(monkeypatch, 2)
    file = tmp_path / "log"
    file.write_text("old")
    with pytest.raises(SystemExit):
        exported(output=file)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["log"]


def test_the_position_is_stored_while_it_works(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("auditrepr.management.commands.export_audit_log.COMMIT", 0)
    event(1)
    event(2)
    settle(2)
    refuse(monkeypatch, 2)
    file, position = tmp_path / "log", tmp_path / "position"
    with pytest.raises(CommandError):
        exported(output=file, position_file=position)
    assert position.read_text() == "1\n"
    monkeypatch.undo()
    exported(output=file, position_file=position)
    assert [line["id"] for line in lines(file) if "id" in line] == [1, 2]


def test_no_file_but_a_device_is_written_as_it_is() -> None:
    if not Path("/dev/full").exists():
        could_not_try("output on a full disk", "this system has no /dev/full")
    event(1)
    exported(output="/dev/null")
    exported(output="/dev/null", follow_from="start")
    assert not Path("/dev/null").is_file()
    with pytest.raises(CommandError, match="Could not write /dev/full: No space left on device"):
        exported(output="/dev/full")
    with pytest.raises(CommandError, match="Could not write /dev/full: No space left on device"):
        exported(output="/dev/full", follow_from="start")


def test_it_reports_a_file_on_request(tmp_path: Path) -> None:
    event(1, text="Ann")
    settle(1)
    out = io.StringIO()
    file = tmp_path / "log"
    call_command("export_audit_log", format="csv", output=file, stdout=out, verbosity=2)
    assert out.getvalue() == f"Exported 1 event to {file}. To continue: --follow-from 1\n"
    out = io.StringIO()
    call_command("export_audit_log", format="csv", output=file, stdout=out)
    assert out.getvalue() == ""


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_a_terminal_shows_its_progress(tmp_path: Path) -> None:
    Author.objects.create(name="Ann")
    run()
    shown = processes.on_terminal(
        "export_audit_log", "--format", "csv", "--output", str(tmp_path / "log"), stream="stderr"
    )
    assert "1 exported" in shown
