"""Tests real outages of databases and hosts: standbys, full disks, deadlocks, other hosts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from auditrepr.job import backfill
from auditrepr.job.locks.file import FileLock
from auditrepr.job.runs.result import Progress
from auditrepr.models import AuditLog, InstanceRepr, Lease, StopReason
from auditrepr.vendors import get_vendor
from tests import processes, running
from tests.app.models import Author
from tests.missing import could_not_try
from tests.running import texts
from tests.servers import PostgresServer, unprivileged_user

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]

run = partial(running.run, batch_size=2)

WRITE = "Author.objects.bulk_create(Author(name=f'author {n}') for n in range(5))"
ALL_FIVE = [f"author {n}" for n in range(5)]
STORED = (
    "SELECT instance_repr FROM auditrepr_instancerepr JOIN auditrepr_auditlog"
    " ON id = audit_log_id WHERE table_name = 'app_author' ORDER BY id"
)


@pytest.fixture
def _five_authors():
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=name) for name in ALL_FIVE)


class Pair:
    """A server with five authors in its log, and another one that follows it."""

    def __init__(self) -> None:
        self.primary = PostgresServer()
        self.address = self._address(self.primary.url)
        with psycopg.connect(self.primary.url, dbname="postgres", autocommit=True) as session:
            session.execute("CREATE DATABASE first")
        assert processes.run("migrate", "--run-syncdb", env=self.address).returncode == 0
        processes.start_python(WRITE, env=self.address).communicate()
        self.standby = PostgresServer(primary=self.primary)

    @property
    def either(self) -> dict[str, str]:
        """Whichever of them takes writes, as libpq finds it."""
        hosts = f"{self.primary.folder},{self.standby.folder}"
        return self._address(
            f"postgres://postgres@/auditrepr?host={hosts}&target_session_attrs=read-write"
        )

    @staticmethod
    def _address(url: str) -> dict[str, str]:
        names = json.dumps({"default": "first"})
        return {"TEST_POSTGRES_URL": url, "TEST_DATABASE_NAMES": names}

    def follow(self) -> None:
        """Wait until the standby has all that the primary has."""
        with psycopg.connect(self.primary.url, dbname="first", autocommit=True) as session:
            [(reached,)] = session.execute("SELECT pg_current_wal_lsn()::text").fetchall()
        with psycopg.connect(self.standby.url, dbname="first", autocommit=True) as session:
            for _ in range(600):
                [(there,)] = session.execute(
                    "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [reached]
                ).fetchall()
                if there:
                    return
                session.execute("SELECT pg_sleep(0.1)")
        raise AssertionError("the standby does not follow")

    def fail_over(self) -> None:
        self.follow()
        self.primary.stop("immediate")
        self.standby.promote()

    def stored(self) -> list[str]:
        with psycopg.connect(self.standby.url, dbname="first") as session:
            return [text for (text,) in session.execute(STORED).fetchall()]

    def close(self) -> None:
        self.standby.close()
        shutil.rmtree(self.primary.folder, ignore_errors=True)


@pytest.fixture
def pair() -> Iterator[Pair]:
    found = Pair()
    yield found
    found.close()


@pytest.mark.postgresql
def test_on_a_standby_the_job_says_so_and_goes_on_once_it_is_promoted(pair):
    there = pair._address(pair.standby.url)
    done = processes.run("backfill_reprs", "--max-seconds", "1", env=there)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, "read-only transaction" in line) == (1, True)
    pair.fail_over()
    assert processes.run("backfill_reprs", env=there).returncode == 0
    assert pair.stored() == ALL_FIVE


@pytest.mark.postgresql
def test_a_run_whose_server_fails_over_goes_on_where_it_takes_writes(pair):
    with processes.start_in_steps(env=pair.either) as job:
        assert job.stdout.readline() == "2\n"
        pair.fail_over()
        output, errors = job.communicate("\n" * 6, timeout=60)
    assert output.splitlines()[-1] == "caught-up 5 ", errors
    assert pair.stored() == ALL_FIVE


@contextmanager
def small_disk(tmp_path: Path, megabytes: int) -> Iterator[Path]:
    """A folder with room for so much; it takes root."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        could_not_try("a full disk", done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.postgresql
def test_a_full_disk_is_one_clear_line_and_the_next_run_goes_on(tmp_path):
    server = PostgresServer()
    there = Pair._address(server.url)
    try:
        with small_disk(server.folder, megabytes=4) as folder:
            if user := unprivileged_user():
                shutil.chown(folder, user)
            with psycopg.connect(server.url, dbname="postgres", autocommit=True) as session:
                session.execute("CREATE DATABASE first")
                session.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
            assert processes.run("migrate", "--run-syncdb", env=there).returncode == 0
            processes.start_python(WRITE, env=there).communicate()
            with psycopg.connect(server.url, dbname="first", autocommit=True) as session:
                session.execute("ALTER TABLE auditrepr_instancerepr SET TABLESPACE small")
                session.execute("CREATE TABLE filler (x text) TABLESPACE small")
                with pytest.raises(psycopg.errors.DiskFull):
                    session.execute(
                        "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 9999)"
                    )
                done = processes.run("backfill_reprs", env=there)
                assert session.execute(STORED).fetchall() == []
                session.execute("DROP TABLE filler")
                again = processes.run("backfill_reprs", env=there)
                told = [text for (text,) in session.execute(STORED).fetchall()]
        (line,) = done.stderr.splitlines()
        assert (done.returncode, "No space left on device" in line) == (1, True)
        assert (again.returncode, told) == (0, ALL_FIVE)
    finally:
        server.close()


@pytest.mark.sqlite
@pytest.mark.usefixtures("_five_authors")
def test_a_full_file_keeps_what_was_stored_and_the_next_run_goes_on():
    Author.objects.update(name="x" * 100_000)

    def room(pages: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")  # else there are pages that other tests have left
            cursor.execute("PRAGMA page_count")
            cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0] + pages}")

    room(4)
    full = run()
    kept = InstanceRepr.objects.count()
    room(10_000)
    assert (full.stop_reason, full.rows) == (StopReason.ERROR, kept)
    assert full.error == "database or disk is full"
    assert run().rows == AuditLog.objects.count() - kept
    assert InstanceRepr.objects.count() == AuditLog.objects.count()


@pytest.mark.usefixtures("_five_authors")
def test_a_full_disk_keeps_no_run_from_the_file_lock(tmp_path):
    with small_disk(tmp_path, megabytes=1) as folder:
        (folder / "lock").touch()
        with pytest.raises(OSError, match="No space left"):
            (folder / "filler").write_bytes(bytes(2**20 + 1))
        with FileLock("default", path=folder / "lock") as held:
            assert held
            assert held.holder() is None, "there is no room for its name"
            assert not FileLock("default", path=folder / "lock").__enter__()
            held.renew()
        assert backfill.run("default", lock=FileLock("default", path=folder / "lock")).rows == 5


@pytest.fixture
def session() -> Iterator[psycopg.Connection[Any]]:
    """Somebody else's connection."""
    with psycopg.connect(**connection.get_connection_params()) as session:
        yield session
        session.rollback()


def in_the_way(session: psycopg.Connection[Any], first: str, then: str) -> Any:
    """A receiver of progress: after the first batch, the session does the one thing, and the other
    as soon as somebody waits for it."""
    threads = []

    def act() -> None:
        while not session.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall():
            time.sleep(0.05)
        session.execute(then)
        session.commit()

    def told(progress: Progress) -> None:
        if not threads:
            session.execute(first)
            threads.append(threading.Thread(target=act))
            threads[0].start()

    return told


@pytest.mark.postgresql
@pytest.mark.usefixtures("_five_authors")
def test_a_deadlock_costs_a_run_one_try(session, caplog):
    """The job has stored its rows and waits for the mark; who has that waits for one of them."""
    caplog.set_level("INFO", "auditrepr")
    session.execute("SET deadlock_timeout = '1min'")  # so it is the job that is ended
    third = AuditLog.objects.order_by("pk")[2].pk
    result = run(
        on_progress=in_the_way(
            session,
            "LOCK TABLE auditrepr_checkpoint IN EXCLUSIVE MODE",
            f"SAVEPOINT s; INSERT INTO auditrepr_instancerepr VALUES ({third}, '', 'E', '');"
            " ROLLBACK TO s",
        )
    )
    assert "deadlock detected" in caplog.text
    assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 5)
    assert texts() == ALL_FIVE


@pytest.mark.postgresql
@pytest.mark.usefixtures("_five_authors")
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_what_cannot_be_serialized_costs_a_run_one_try(session, caplog, level):
    caplog.set_level("INFO", "auditrepr")
    with connection.cursor() as cursor:
        cursor.execute(f"SET default_transaction_isolation = '{level}'")
    try:
        result = run(
            on_progress=in_the_way(
                session, "UPDATE auditrepr_checkpoint SET candidate_at = NULL", "SELECT 1"
            )
        )
    finally:
        connection.close()
    assert "could not serialize access" in caplog.text
    assert (result.stop_reason, result.rows) == (StopReason.CAUGHT_UP, 5)
    assert texts() == ALL_FIVE


# Hosts

HOLD = """
from auditrepr.job.locks.lease import DatabaseLock
with DatabaseLock("default") as lock:
    print("held" if lock else "not held", flush=True)
    sys.stdin.readline()
"""


class Host:
    """A name and process ids of its own, as on another machine."""

    def __init__(self, name: str) -> None:
        room = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        life = ["sh", "-c", f"hostname {name} && echo up && exec sleep 600"]
        self.room = _start([*room, *life])
        if self.room.stdout.readline() != "up\n":
            could_not_try("two hosts", self.room.stderr.read().strip())
        children = Path(f"/proc/{self.room.pid}/task/{self.room.pid}/children").read_text()
        self.init = int(children.split()[0])

    def hold(self) -> subprocess.Popen[str]:
        """Begins to hold the lease, if it is free; it ends with the first line of its input."""
        enter = ["nsenter", "--target", str(self.init), "--uts", "--pid", "--mount"]
        python = [sys.executable, "-c", processes.PRELUDE + HOLD]
        return _start([*enter, *python], env=processes.environment())

    def close(self) -> None:
        self.room.kill()
        self.room.communicate()


def _start(command: list[str], **options: Any) -> Any:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, cwd=processes.ROOT, text=True, **pipes, **options)


@pytest.fixture
def two_hosts() -> Iterator[tuple[Host, Host]]:
    with ExitStack() as stack:
        hosts = [Host("one"), Host("two")]
        for host in hosts:
            stack.callback(host.close)
        yield hosts[0], hosts[1]


def said(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate("\n", timeout=60)
    assert process.returncode == 0, errors
    return output.strip()


def test_of_two_hosts_one_works_and_only_its_own_knows_when_it_is_dead(two_hosts):
    one, two = two_hosts
    with one.hold() as holder:
        assert holder.stdout.readline() == "held\n"
        assert Lease.objects.get().holder["host"] == "one"
        assert said(two.hold()) == "not held"
        os.kill(_child_of(holder), signal.SIGKILL)
        holder.communicate()
    assert said(two.hold()) == "not held", "who knows what becomes of another host's process"
    assert said(one.hold()) == "held"


def test_a_dead_holder_on_another_host_is_replaced_when_its_lease_runs_out(two_hosts):
    one, two = two_hosts
    with one.hold() as holder:
        assert holder.stdout.readline() == "held\n"
        os.kill(_child_of(holder), signal.SIGKILL)
        holder.communicate()
    assert said(two.hold()) == "not held"
    Lease.objects.update(expires_at=get_vendor("default").clock(-1))
    assert said(two.hold()) == "held"


def _child_of(process: subprocess.Popen[str]) -> int:
    """The process in the other room: nsenter waits for it outside."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


@pytest.mark.postgresql
def test_a_replica_is_left_out_where_its_primary_is_and_never_otherwise(pair):
    code = """
import json
from django.db import connections
from auditrepr.job import logs
primary, standby = connections["default"], connections["default"].copy(alias="other")
standby.settings_dict = primary.settings_dict | {standby}
connections["other"] = standby
print(logs.aliases())
connections["default"], connections["other"] = standby, primary
print(logs.aliases())
connections["other"] = standby
print(logs.aliases())
"""
    there = repr({"HOST": str(pair.standby.folder)})
    pair.follow()
    (name,) = set(json.loads(pair.address["TEST_DATABASE_NAMES"]).values())
    names = {"default": name, "other": name}
    env = pair.address | {"TEST_DATABASE_NAMES": json.dumps(names)}
    with processes.start_python(code.replace("{standby}", there), env=env) as asked:
        said, errors = asked.communicate(timeout=60)
    assert said.splitlines() == ["['default']", "['other']", "['default']"], errors
