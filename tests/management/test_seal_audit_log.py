"""Tests the commands that seal the log, export the seals, and verify the log."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.seals import sealing
from auditrepr.models import AuditLog, SealEntry
from tests.app.models import Author
from tests.processes import run_here, start_python
from tests.running import run
from tests.sealing import ids

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten settled events, in ranges of four."""
    monkeypatch.setattr(sealing, "EVENTS", 4)
    AuditLog.objects.all().delete()
    for n in range(10):
        Author.objects.create(name=f"{n}")
    run()


def seal(*arguments: str) -> Any:
    return run_here("seal_audit_log", *arguments)


def verify(*arguments: str) -> Any:
    return run_here("verify_audit_log", *arguments)


@pytest.mark.proof
def test_sealing_says_what_it_did_and_verifying_what_it_compared():
    done = seal()
    last = ids()[-1]
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Sealed 10 events, up to event {last}." in done.stdout
    assert "Nothing to seal" in seal().stdout
    found = verify()
    assert (found.returncode, found.stderr) == (0, "")
    assert "Compared 10 events in 3 sealed ranges." in found.stdout
    assert f"Sealed up to event {last}, at " in found.stdout
    assert verify("-v", "0").stdout == ""


def test_a_difference_is_an_error_that_names_range_and_event():
    seal()
    changed = ids()
    AuditLog.objects.filter(pk=changed[5]).update(writer="x")
    found = verify()
    assert found.returncode == 1
    assert found.stderr == (
        "CommandError: The audit log is not what was sealed:\n"
        f"- seal 2 (from event {changed[3] + 1} to {changed[7]}): event {changed[5]} was changed\n"
    )


def test_a_log_without_seals_is_an_error_that_says_what_to_do():
    for done in (verify(), seal("--export", "-", "--no-seal")):
        assert done.returncode == 1
        assert 'is not sealed. Set AUDITREPR["SEAL"] to True, or run: manage.py' in done.stderr


@pytest.mark.proof
def test_an_export_is_a_whole_file_or_none_and_holds_against_the_log(tmp_path: Path):
    file = tmp_path / "seals.jsonl"
    done = seal("--export", str(file))
    assert "Exported 3 seals to" in done.stdout
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()] == [1, 2, 3]
    assert [one.name for one in tmp_path.iterdir()] == ["seals.jsonl"]
    assert verify("--against", str(file)).returncode == 0
    kept = file.read_bytes()
    failed = seal("--export", str(file), "--after", "9")
    assert (failed.returncode, file.read_bytes()) == (1, kept)
    assert "There is no seal 9: the last one is 3." in failed.stderr


def test_standard_output_gets_the_lines_and_nothing_else():
    done = seal("--export", "-", "--after", "2")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["number"] == 3
    assert "Sealed 10 events" in done.stderr


@pytest.mark.proof
def test_no_seal_writes_nothing():
    seal()
    Author.objects.create(name="later")
    run()
    with CaptureQueriesContext(connection) as seen:
        assert seal("--export", "-", "--no-seal").returncode == 0
    said = [query["sql"].split()[0] for query in seen]
    assert not {"INSERT", "UPDATE", "DELETE"}.intersection(said)
    assert SealEntry.objects.count() == 3


def test_verifying_writes_nothing():
    seal()
    with CaptureQueriesContext(connection) as seen:
        assert verify().returncode == 0
    said = [query["sql"].split()[0] for query in seen]
    assert not {"INSERT", "UPDATE", "DELETE"}.intersection(said)


@pytest.mark.proof
def test_an_export_of_another_log_differs(tmp_path: Path):
    seal()
    file = tmp_path / "seals"
    seal("--export", str(file))
    SealEntry.objects.all().delete()
    AuditLog.objects.filter(pk=ids()[5]).update(writer="x")
    seal()
    assert verify().returncode == 0
    found = verify("--against", str(file))
    assert (found.returncode, "seal 1 is another one than in the export" in found.stderr) == (
        1,
        True,
    )


def test_a_copy_that_is_older_than_the_export_says_so(tmp_path: Path):
    file = tmp_path / "seals"
    seal("--export", str(file))
    SealEntry.objects.filter(number=3).delete()
    found = verify("--against", str(file))
    assert "the export has 1 more seals than the database" in found.stderr
    assert verify("--against", str(file), "--older-copy").returncode == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "the file is empty"),
        (b"no\n", "line 1 is not its next seal"),
        (b'{"number": "1", "digest": ""}\n', "line 1 is not"),
        (b'{"number": 1, "digest": "a"}\n{"number": 3, "digest": "b"}\n', "line 2 is not"),
        (b"\xff\xfe\n", "it is not a text"),
        (b"[" * 20_000, "line 1 is not"),
        (None, "No such file"),
    ],
)
def test_what_is_no_export_is_a_one_line_error(tmp_path: Path, text: bytes | None, reason: str):
    seal()
    file = tmp_path / "seals"
    if text is not None:
        file.write_bytes(text)
    found = verify("--against", str(file))
    assert found.returncode == 1
    assert reason in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("seal_audit_log", "--after", "1"),
        ("seal_audit_log", "--no-seal"),
        ("seal_audit_log", "--export", ""),
        ("seal_audit_log", "--export", "-", "--after", "0"),
        ("verify_audit_log", "--older-copy"),
        ("verify_audit_log", "--from", "x"),
        ("verify_audit_log", "--against", ""),
        ("verify_audit_log", "--database", "none"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]):
    done = run_here(*arguments)
    assert done.returncode == 2
    assert "argument --" in done.stderr


def test_a_number_that_does_not_exist_is_an_error():
    seal()
    assert "There is no seal 7: the last one is 3." in verify("--from", "7").stderr


def test_what_a_run_holds_is_not_sealed():
    with DatabaseLock("default"):
        done = seal()
    assert done.returncode == 1
    assert "The lock is held by" in done.stderr
    assert not SealEntry.objects.exists()


def test_a_folder_that_cannot_be_written_is_a_one_line_error(tmp_path: Path):
    done = seal("--export", str(tmp_path / "none" / "seals"))
    assert (done.returncode, "Could not write" in done.stderr) == (1, True)


STOPPED = """
import os, signal
from auditrepr.job.seals import sealing, verifying
sealing.EVENTS = verifying.EVENTS = 4
draw = {module}.Progress
def told(*values):
    os.kill(os.getpid(), signal.SIGTERM)
    return draw(*values)
{module}.Progress = told
execute_from_command_line(["manage.py", "{command}"])
"""


def stopped(module: str, command: str) -> tuple[int, str]:
    process = start_python(STOPPED.format(module=module, command=command))
    output, errors = process.communicate(timeout=60)
    assert errors == ""
    return process.returncode, output


@pytest.mark.proof
def test_a_signal_ends_sealing_after_its_range_and_verifying_says_how_to_continue():
    code, _ = stopped("sealing", "seal_audit_log")
    assert (code, SealEntry.objects.count()) == (128 + signal.SIGTERM, 1)
    seal()
    code, said = stopped("verifying", "verify_audit_log")
    assert code == 128 + signal.SIGTERM
    assert "Compared 4 events in 1 sealed range. To continue: --from 2" in said
    assert "Compared 6 events in 2 sealed ranges." in verify("--from", "2").stdout
