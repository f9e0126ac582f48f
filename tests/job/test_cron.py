"""Tests deploy/crontab by cron's own rules, and under Debian's real cron daemon."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cronline import adapted, command, project_with_a_pending_row
from tests.missing import could_not_try
from tests.project import ROOT

CRONTAB = ROOT / "deploy" / "crontab"
CRON_D = Path("/etc/cron.d")
TEXT = CRONTAB.read_text()
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
JOB = LINES[-1]
VARIABLES = dict(line.split("=", 1) for line in LINES[:-1])

pytestmark = [pytest.mark.proof, pytest.mark.sqlite]


def test_it_ends_with_a_newline_without_which_cron_refuses_the_file():
    assert TEXT.endswith("\n")


def test_its_only_job_names_every_field_of_a_cron_d_file_and_runs_every_two_minutes():
    *schedule, user, program = JOB.split()[:7]
    assert schedule == ["*/2", "*", "*", "*", "*"]
    assert re.fullmatch(r"[a-z_][a-z0-9_-]*", user)
    assert program == "cd"
    assert not [line for line in LINES[:-1] if not re.match(r"[A-Z]+=", line)]


def test_the_job_has_no_percent_sign_which_cron_would_take_for_a_newline():
    assert "%" not in JOB


def test_shell_path_and_mail_are_set_without_references_which_cron_does_not_expand():
    assert set(VARIABLES) == {"SHELL", "PATH", "MAILTO"}
    assert Path(VARIABLES["SHELL"]).is_absolute()
    assert all(Path(folder).is_absolute() for folder in VARIABLES["PATH"].split(":"))
    assert not [
        value for value in VARIABLES.values() if not value or re.search(r"[$\"'#\s]", value)
    ]


def test_the_job_is_a_command_that_the_shell_can_parse_and_is_silent_unless_something_is_wrong():
    job = command(JOB)
    parsed = subprocess.run(["/bin/sh", "-n", "-c", job], capture_output=True, check=True)
    assert parsed.stderr == b""
    assert shlex.split(job)[-3:] == ["backfill_reprs", "--verbosity", "0"]


def test_the_file_is_installed_under_a_name_that_cron_does_not_pass_over():
    (name,) = re.findall(r"/etc/cron\.d/(\S+)", TEXT)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", name)


def test_without_the_environment_file_the_job_fails_with_a_message(tmp_path):
    done = subprocess.run(
        ["/bin/sh", "-c", command(adapted(JOB, tmp_path))], capture_output=True, text=True
    )
    assert done.returncode != 0, done.stdout
    assert str(tmp_path / "env") in done.stderr


def test_under_debians_cron_a_pending_row_gets_its_representation(tmp_path):
    if os.geteuid() != 0:
        could_not_try("deploy/crontab under cron", "only root may write to /etc/cron.d")
    if not shutil.which("cron") or not CRON_D.is_dir():
        could_not_try("deploy/crontab under cron", "Debian's cron is not installed")
    database = project_with_a_pending_row(tmp_path)
    assert _representation(database) is None
    with _cron(
        re.sub(r"^\*/2", "*", TEXT.replace(JOB, adapted(JOB, tmp_path)), flags=re.MULTILINE)
    ):
        found = _wait_for_representation(database, seconds=90)
    printed = (tmp_path / "output").read_text()
    assert (found, printed) == ("Auditors", "")


SENDMAIL = Path("/usr/sbin/sendmail")
FAILING = """
AUDITREPR["REPR"] = {"auth.Group": "management.failing.fail"}
"""
FAIL = """
def fail(group):
    raise ValueError("no name")
"""


def test_crons_mail_tells_of_a_missing_trigger_and_of_a_model_that_fails_and_of_nothing_else(
    tmp_path,
):
    if os.geteuid() != 0:
        could_not_try("cron's mail", "only root may write to /etc/cron.d")
    if not shutil.which("cron") or not CRON_D.is_dir():
        could_not_try("cron's mail", "Debian's cron is not installed")
    if SENDMAIL.exists():
        could_not_try("cron's mail", "a mail server is installed")
    databases = {}
    for name in ("quiet", "missing", "failing"):
        (tmp_path / name).mkdir()
        databases[name] = project_with_a_pending_row(tmp_path / name)
    with closing(sqlite3.connect(databases["missing"])) as connection:
        connection.execute("DROP TRIGGER auditrepr_insert_auth_group")
    management = tmp_path / "failing" / "management"
    (management / "failing.py").write_text(FAIL)
    with (management / "settings.py").open("a") as settings:
        settings.write(FAILING)
    jobs = [adapted(JOB, tmp_path / name).rpartition(" >")[0] for name in databases]
    crontab = TEXT.replace(JOB, "\n".join(jobs))
    with (
        _mail(tmp_path / "mail") as mails,
        _cron(re.sub(r"^\*/2", "*", crontab, flags=re.MULTILINE)),
    ):
        found = _wait_for_representation(databases["quiet"], seconds=90)
        end = time.monotonic() + 60
        while len(mails()) < 2 and time.monotonic() < end:
            time.sleep(0.5)
        sent = mails()
    assert found == "Auditors"
    by_name = {name: [mail for mail in sent if f"/{name} " in mail] for name in databases}
    assert by_name["quiet"] == []
    (missing,) = by_name["missing"]
    assert "auth_group: triggers are missing: changes are not recorded." in missing
    assert "Run: manage.py audit_triggers install --database default" in missing
    (failing,) = by_name["failing"]
    assert "The only event of auth.Group failed: ValueError: no name" in failing


@contextmanager
def _mail(folder: Path) -> Iterator[Callable[[], list[str]]]:
    """Gives the mails that are sent, by a mail program of our own."""
    folder.mkdir()
    SENDMAIL.write_text(
        f'#!/bin/sh\nnew=$(mktemp -p {folder} new.XXXXXX)\ncat >"$new"\nmv "$new" "$new.mail"\n'
    )
    SENDMAIL.chmod(0o755)
    try:
        yield lambda: [file.read_text() for file in folder.glob("*.mail")]
    finally:
        SENDMAIL.unlink()


@contextmanager
def _cron(crontab: str) -> Iterator[None]:
    """Cron with this file, in a daemon of our own unless one is running."""
    file = CRON_D / f"auditrepr-test-{os.getpid()}"
    file.write_text(crontab)
    daemon = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        file.unlink()
        daemon.terminate()
        daemon.wait()


def _wait_for_representation(database: Path, seconds: int) -> str | None:
    end = time.monotonic() + seconds
    while (found := _representation(database)) is None and time.monotonic() < end:
        time.sleep(0.5)
    return found


def _representation(database: Path) -> str | None:
    query = (
        "SELECT r.instance_repr FROM auditrepr_auditlog a LEFT JOIN auditrepr_instancerepr r "
        "ON r.audit_log_id = a.id WHERE a.table_name = 'auth_group'"
    )
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        ((found,),) = connection.execute(query)
    return found
