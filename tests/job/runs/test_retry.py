"""Tests temporary errors: a run retries for a while, and keeps what it has stored."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from functools import partial

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import Error, OperationalError, connection, connections, transaction

from auditrepr.job.runs import retry
from auditrepr.job.runs.result import Progress
from auditrepr.models import AuditLog, BackfillRun, Lease, StopReason
from auditrepr.vendors import get_vendor
from tests import processes, running
from tests.app.models import Author
from tests.missing import could_not_try
from tests.running import texts
from tests.servers import PostgresServer

pytestmark = pytest.mark.django_db(transaction=True)

run = partial(running.run, batch_size=2)


@pytest.fixture(autouse=True)
def _five_authors(transactional_db):
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(5))


def all_five() -> list[str]:
    return [f"author {n}" for n in range(5)]


def once(do):
    """A receiver of progress that does this after the first batch."""
    told: list[Progress] = []

    def receive(progress: Progress) -> None:
        told.append(progress)
        if len(told) == 1:
            do()

    return receive


@pytest.fixture
def socket(tmp_path):
    """Where the database's server will be found once this path leads there."""
    there = connections["default"]
    host = there.settings_dict["HOST"]
    if not host.startswith("/"):
        could_not_try("an outage at the start of a run", "the server has no socket here")
    away = there.copy()
    away.settings_dict = there.settings_dict | {"HOST": str(tmp_path / "socket")}
    connections["default"] = away
    yield partial((tmp_path / "socket").symlink_to, host)
    away.close()
    connections["default"] = there


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("terminal", [False, True])
def test_a_server_that_is_away_for_a_moment_when_a_run_starts_is_waited_for(
    socket, capsys, monkeypatch, terminal
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    threading.Timer(0.8, socket).start()
    call_command("backfill_reprs", "--no-progress", verbosity=0)
    assert texts() == all_five()
    out, err = capsys.readouterr()
    assert out == ""
    assert ("attempt 1 failed" in err) == terminal, "only on a terminal it is told"


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_server_that_stays_away_is_reported_once_patience_ends(socket, monkeypatch):
    monkeypatch.setattr(retry, "PAUSE", 0.01)
    with pytest.raises(CommandError, match='Could not connect to database "default"') as ended:
        call_command("backfill_reprs", verbosity=0)
    assert ended.value.returncode == 1


@pytest.mark.postgresql
@pytest.mark.parametrize("wrong", [{"NAME": "nowhere"}, {"USER": "nobody"}], ids=str)
def test_a_setting_that_is_wrong_is_reported_at_once(wrong, monkeypatch, caplog):
    caplog.set_level("INFO", "auditrepr")
    there = connections["default"]
    broken = there.copy()
    broken.settings_dict = there.settings_dict | wrong
    connections["default"] = broken
    try:
        with pytest.raises(CommandError, match="does not exist"):
            call_command("backfill_reprs", verbosity=0)
    finally:
        connections["default"] = there
    assert "Retrying" not in caplog.text


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_run_whose_connection_is_ended_goes_on_with_a_new_one():
    def end() -> None:
        other = connection.copy()
        with other.cursor() as cursor:
            pid = connection.connection.info.backend_pid
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        other.close()

    result = run(on_progress=once(end))
    assert (result.stop_reason, result.rows, result.error) == (StopReason.CAUGHT_UP, 5, "")
    assert texts() == all_five()
    assert BackfillRun.objects.get().rows == 5
    assert Lease.objects.get().token is None


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_run_outlives_a_restart_of_the_server(mode):
    server = PostgresServer()
    names = json.dumps({"default": "first"})
    there = {"TEST_POSTGRES_URL": server.url, "TEST_DATABASE_NAMES": names}
    try:
        with psycopg.connect(server.url, dbname="postgres", autocommit=True) as session:
            session.execute("CREATE DATABASE first")
        assert processes.run("migrate", "--run-syncdb", env=there).returncode == 0
        write = "Author.objects.bulk_create(Author(name=f'author {n}') for n in range(5))"
        processes.start_python(write, env=there).communicate()
        with processes.start_in_steps(env=there) as job:
            assert job.stdout.readline() == "2\n"
            server.stop(mode)
            job.stdin.write("\n")
            job.stdin.flush()
            time.sleep(1.5)
            server.start()
            output, errors = job.communicate("\n" * 5, timeout=60)
        assert output.splitlines()[-1] == "caught-up 5 ", errors
        with psycopg.connect(server.url, dbname="first") as session:
            stored = session.execute(
                "SELECT instance_repr FROM auditrepr_instancerepr JOIN auditrepr_auditlog"
                " ON id = audit_log_id WHERE table_name = 'app_author' ORDER BY id"
            ).fetchall()
        assert [text for (text,) in stored] == all_five()
    finally:
        server.close()


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_server_that_only_reads_is_one_clear_line_after_a_few_tries():
    name = connection.settings_dict["NAME"]
    quoted = connection.ops.quote_name(name)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {quoted} SET default_transaction_read_only = on")
        try:
            started = time.monotonic()
            done = processes.run("backfill_reprs", "--max-seconds", "1")
        finally:
            cursor.execute(f"ALTER DATABASE {quoted} RESET default_transaction_read_only")
    assert time.monotonic() - started > retry.PAUSE * 3, "it tried three times"
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "read-only transaction" in line
    assert run().rows == 5


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("40P01", True),  # deadlock
        ("40001", True),  # serialization failure
        ("57014", True),  # statement timeout
        ("55P03", True),  # lock not available
        ("57P03", True),  # cannot connect now
        ("25006", True),  # read-only
        ("53100", False),  # disk full
        ("42501", False),  # no privilege
        ("42P01", False),  # no such table
        ("23505", False),  # not unique
    ],
)
def test_what_passes_is_told_from_what_does_not_by_the_servers_code(code, passes):
    with pytest.raises(Error) as raised, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")
    assert get_vendor("default").passes(raised.value) is passes


@pytest.fixture
def impatient(monkeypatch):
    """SQLite itself waits for another writer as long as a connection allows."""
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.05)
    connection.close()
    yield
    connection.close()


def writer() -> sqlite3.Connection:
    session = sqlite3.connect(
        connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False
    )
    session.execute("BEGIN IMMEDIATE")
    return session


@pytest.mark.proof
@pytest.mark.sqlite
@pytest.mark.usefixtures("impatient")
def test_a_run_waits_for_another_writer():
    def write_for_a_while() -> None:
        threading.Timer(1, writer().close).start()  # which rolls back

    write_for_a_while()
    result = run(on_progress=once(write_for_a_while))
    assert (result.stop_reason, result.rows, result.error) == (StopReason.CAUGHT_UP, 5, "")
    assert texts() == all_five()


@pytest.mark.proof
@pytest.mark.sqlite
@pytest.mark.usefixtures("impatient")
def test_a_run_gives_up_in_time_and_the_next_one_goes_on():
    sessions: list[sqlite3.Connection] = []
    result = run(max_seconds=2, on_progress=once(lambda: sessions.append(writer())))
    sessions[0].close()
    assert (result.stop_reason, result.rows) == (StopReason.ERROR, 2)
    assert "locked" in result.error
    assert texts() == all_five()[:2]
    Lease.objects.update(expires_at=get_vendor("default").clock(-1))  # it could not be freed
    assert run().rows == 3


@pytest.mark.proof
@pytest.mark.sqlite
@pytest.mark.usefixtures("impatient")
def test_a_lock_that_cannot_be_taken_for_an_error_is_one_clear_line():
    session = writer()
    started = time.monotonic()
    with pytest.raises(CommandError, match="locked"):
        call_command("backfill_reprs", "--max-seconds=1", verbosity=0)
    session.close()
    assert time.monotonic() - started > retry.PAUSE * 3, "it tried three times"


def test_an_error_that_does_not_pass_is_not_tried_again(monkeypatch):
    tried = []

    def work() -> None:
        tried.append(1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM there_is_no_such_table")

    with pytest.raises(Error):
        retry.Patience("default", lambda: False, lambda: None).retry(work)
    assert len(tried) == 1


@pytest.mark.proof
def test_a_signal_ends_the_pauses(monkeypatch):
    stopped: list[bool] = []
    calm = retry.Patience("default", lambda: bool(stopped), lambda: None)
    calm.failed = retry.TRIES - 2  # so that the pause is a long one
    threading.Timer(0.3, stopped.append, [True]).start()
    started = time.monotonic()
    with pytest.raises(OperationalError):
        calm.retry(passing_error)
    assert time.monotonic() - started < 5


def passing_error() -> None:
    """As the drivers raise it."""
    cause: Exception = psycopg.OperationalError("the connection is lost")
    if connection.vendor == "sqlite":
        cause = sqlite3.OperationalError("database is locked")
        cause.sqlite_errorcode = sqlite3.SQLITE_BUSY  # type: ignore[attr-defined]
    raise OperationalError(str(cause)) from cause


def test_inside_the_callers_transaction_nothing_is_tried_again():
    tried = []

    def work() -> None:
        tried.append(1)
        passing_error()

    with pytest.raises(OperationalError), transaction.atomic():
        retry.Patience("default", lambda: False, lambda: None).retry(work)
    assert len(tried) == 1
