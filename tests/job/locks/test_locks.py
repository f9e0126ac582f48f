"""Tests both locks: one holder at a time, and free again however that one ended."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from auditrepr.exceptions import LeaseLost, LockUnavailable
from auditrepr.job.locks import base
from auditrepr.job.locks import process as locks_process
from auditrepr.job.locks.file import FileLock, default_path
from auditrepr.job.locks.lease import DatabaseLock, release
from auditrepr.job.locks.process import Process
from auditrepr.models import Lease
from auditrepr.vendors import get_vendor
from tests import processes
from tests.waiting import expire, is_held, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

HOLD = """
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.locks.file import FileLock
with {lock}("default") as lock:
    print(bool(lock), flush=True)
    sys.stdin.read()
"""
# Stops inside the transaction that renewed the lease, as a machine may that is suspended.
STOP_INSIDE = """
from django.db import transaction
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import Lease
with DatabaseLock("default", seconds={seconds}) as lock:
    if {silent}:
        Lease.objects.update(expires_at=lock.vendor.clock(-1))
    with transaction.atomic():
        lock.vendor.end_if_idle(lock.seconds / 2)
        lock.renew()
        print(True, flush=True)
        sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture(params=[DatabaseLock, FileLock])
def lock_class(request):
    return request.param


@contextmanager
def held_by_process(code: str) -> Iterator[subprocess.Popen]:
    with processes.start_python(code) as process:
        try:
            assert process.stdout.readline() == "True\n", process.communicate()
            yield process
        finally:
            process.kill()


def write_and_renew(lock: DatabaseLock) -> None:
    with transaction.atomic():
        Lease.objects.create(name="what the zombie writes")
        lock.renew()


def test_one_holder_at_a_time(lock_class):
    with lock_class("default") as first:
        assert first
        with lock_class("default") as second:
            assert not second
    with lock_class("default") as third:
        assert third


def test_one_who_finds_it_held_is_told_by_whom_and_since_when(lock_class):
    with lock_class("default"):
        holder = lock_class("default").holder()
    assert holder.pid == os.getpid()
    assert str(holder) == f"process {os.getpid()} on {holder.host} since {holder.since}"


def test_a_lock_is_not_held_before_it_was_asked_for_nor_after_it_was_let_go(lock_class):
    lock = lock_class("default")
    assert not lock
    with lock:
        assert lock
    assert not lock


def test_a_run_that_does_not_get_the_lock_does_not_release_the_holders(lock_class):
    with lock_class("default"):
        for _ in range(2):
            with lock_class("default") as other:
                assert not other


def test_it_is_freed_when_the_holder_fails(lock_class):
    with pytest.raises(ZeroDivisionError), lock_class("default"):
        1 / 0  # noqa: B018
    with lock_class("default") as lock:
        assert lock


@pytest.mark.proof
def test_it_is_free_at_once_when_its_holder_was_killed(lock_class):
    with held_by_process(HOLD.format(lock=lock_class.__name__)), lock_class("default") as lock:
        assert not lock
    with lock_class("default") as lock:
        assert lock


@pytest.mark.proof
def test_a_zombie_process_counts_as_dead(lock_class):
    with held_by_process(HOLD.format(lock=lock_class.__name__)) as process:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
        with lock_class("default") as lock:
            assert lock


@pytest.mark.proof
def test_waiting_ends_with_the_lock_or_with_the_time(lock_class, monkeypatch):
    monkeypatch.setattr(base, "PAUSE", 0.02)
    with lock_class("default"):
        began = time.monotonic()
        with lock_class("default", wait=0.2) as lock:
            assert not lock
        assert time.monotonic() - began >= 0.2
    with held_by_process(HOLD.format(lock=lock_class.__name__)) as process:
        process.stdin.close()
        with lock_class("default", wait=10) as lock:
            assert lock


def test_one_who_waits_asks_again_after_a_pause(lock_class):
    with lock_class("default"), lock_class("default", wait=0.01) as lock:
        assert not lock


def test_waiting_ends_when_the_run_is_told_to_stop(lock_class):
    with lock_class("default"), lock_class("default", wait=60, stop=lambda: True) as lock:
        assert not lock


def test_an_expired_lease_is_taken_over_and_its_old_holder_can_commit_nothing():
    with DatabaseLock("default") as old:
        expire()
        with DatabaseLock("default") as new:
            assert new
            with pytest.raises(LeaseLost):
                write_and_renew(old)
            new.renew()
        with pytest.raises(LeaseLost):
            old.renew()
    assert not Lease.objects.filter(name="what the zombie writes").exists()


def test_a_batch_that_took_longer_than_the_lease_is_kept_if_no_run_took_over():
    with DatabaseLock("default") as lock:
        expire()
        lock.renew()
        with DatabaseLock("default") as other:
            assert not other, "and the lease runs anew"


@pytest.mark.proof
def test_work_that_takes_longer_than_the_lease_keeps_it():
    with DatabaseLock("default", seconds=0.5) as lock:
        with lock.kept_alive():
            for _ in range(2):
                expire()
                wait_until(is_held)
        expire()
        with DatabaseLock("default") as other:
            assert other, "but only while it is at work"


@pytest.mark.proof
def test_work_keeps_the_lease_without_renewing_it_all_the_time(monkeypatch):
    renewed = []
    extend = DatabaseLock._extend
    monkeypatch.setattr(DatabaseLock, "_extend", lambda lock: renewed.append(1) or extend(lock))
    with DatabaseLock("default", seconds=0.9) as lock, lock.kept_alive():
        began = time.monotonic()
        wait_until(lambda: len(renewed) == 2)
        assert time.monotonic() - began > 0.5


def test_two_that_find_no_lease_at_the_same_time_do_not_fail():
    def be_faster(execute, sql, params, many, context):
        if sql.startswith("INSERT") and not Lease.objects.exists():
            with connection.cursor() as cursor:
                cursor.cursor.execute("INSERT INTO auditrepr_lease (name) VALUES ('backfill')")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(be_faster), DatabaseLock("default") as lock:
        assert lock


def test_who_lost_the_lease_does_not_free_it():
    with DatabaseLock("default"):
        expire()
        new = DatabaseLock("default").__enter__()
    assert Lease.objects.get().token == new.token


@override_settings(AUDITREPR={"LEASE_SECONDS": 100})
def test_the_lease_is_on_the_databases_clock():
    with DatabaseLock("default"):
        lease = Lease.objects.get()
        assert (lease.expires_at - lease.acquired_at).total_seconds() == pytest.approx(100, abs=1)
        vendor = get_vendor("default")
        assert Lease.objects.filter(expires_at__gt=vendor.clock(98)).exists()
        assert not Lease.objects.filter(expires_at__gt=vendor.clock(102)).exists()


def test_a_holder_on_another_host_is_replaced_only_when_its_lease_runs_out():
    with DatabaseLock("default"):
        elsewhere = replace(Process.current(), boot="another", pid=1)
        Lease.objects.update(holder=asdict(elsewhere))
        with DatabaseLock("default") as lock:
            assert not lock
        expire()
        with DatabaseLock("default") as lock:
            assert lock


@pytest.mark.parametrize("stored", [None, {}, {"pid": 1}, "text", [1]])
def test_a_holder_that_cannot_be_read_is_waited_for(stored):
    with DatabaseLock("default"):
        Lease.objects.update(holder=stored)
        other = DatabaseLock("default")
        with other:
            assert not other
        assert other.holder() is None


@pytest.mark.parametrize("boot", ["", "~"])
def test_nothing_is_certain_of_a_process_on_another_host(boot):
    process = replace(Process.current(), started="1")
    assert not replace(process, boot=boot).is_dead()
    assert not replace(process, namespace=boot).is_dead()


def test_who_asks_whether_a_process_is_there_sends_it_nothing():
    heard = []
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1)}
    try:
        for number in before:
            signal.signal(number, lambda number, frame: heard.append(number))
        assert not Process.current().is_dead()
        signal.raise_signal(signal.SIGUSR1)  # what was sent before is heard by now
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert heard == [signal.SIGUSR1]


def test_another_process_with_the_same_pid_is_not_the_holder():
    process = replace(Process.current(), started="1")
    assert process.is_dead()
    assert not Process.current().is_dead()


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("silent", [False, True], ids=["its lease runs", "its lease has run out"])
def test_a_holder_stopped_inside_its_transaction_makes_no_run_wait(silent):
    with held_by_process(STOP_INSIDE.format(seconds=60, silent=silent)) as process:
        os.kill(process.pid, signal.SIGSTOP)
        began = time.monotonic()
        with DatabaseLock("default") as lock:
            assert not lock
        assert time.monotonic() - began < 15, "half of what the server allows for"


@pytest.mark.proof
@pytest.mark.postgresql
def test_the_lock_is_not_taken_from_one_who_is_storing_and_that_is_told_at_once():
    with held_by_process(STOP_INSIDE.format(seconds=60, silent=False)):
        assert not release("default", Lease.objects.get().token)


@pytest.mark.postgresql
def test_the_server_ends_one_who_falls_silent_long_before_the_lease_runs_out():
    with CaptureQueriesContext(connection) as captured, DatabaseLock("default", seconds=60):
        pass
    (asked,) = (q["sql"] for q in captured if "idle_in_transaction_session_timeout" in q["sql"])
    assert "'30000'" in asked, "milliseconds"


@pytest.mark.proof
@pytest.mark.postgresql
def test_the_server_ends_the_transaction_of_a_holder_that_is_silent_for_too_long():
    with held_by_process(STOP_INSIDE.format(seconds=1, silent=False)) as process:
        os.kill(process.pid, signal.SIGSTOP)
        with DatabaseLock("default", wait=10) as lock:
            assert lock


@pytest.mark.postgresql
def test_databases_lease_survives_an_error_of_the_holders_connection():
    """A lease whose holder cannot reach the database any more runs out by itself."""
    lock = DatabaseLock("default")
    with pytest.raises(DatabaseError), lock, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
    assert Lease.objects.get().token == lock.token


def test_the_lock_file_says_who_holds_it():
    with FileLock("default") as lock:
        assert json.loads(lock.path.read_text())["pid"] == os.getpid()


@pytest.mark.django_db(databases=["default", "other"])
def test_the_lock_file_is_in_the_users_state_folder_and_differs_between_databases(monkeypatch):
    assert default_path("default") != default_path("other")
    with FileLock("default") as one, FileLock("other") as two:
        assert one
        assert two
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/ann")
    assert str(default_path("default").parent) == "/home/ann/.local/state/auditrepr"


def test_the_lock_file_does_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    path = default_path("default")
    monkeypatch.chdir(tmp_path)
    assert default_path("default") == path


@pytest.mark.sqlite
def test_two_ways_to_the_same_file_of_sqlite_have_one_lock_file(monkeypatch):
    path = default_path("default")
    settings = connection.settings_dict
    monkeypatch.setitem(settings, "NAME", os.path.relpath(settings["NAME"]))
    assert default_path("default") == path


def test_only_its_owner_may_enter_the_folder_or_change_the_lock_file():
    before = os.umask(0)
    try:
        with FileLock("default") as lock:
            modes = [path.stat().st_mode & 0o777 for path in (lock.path.parent, lock.path)]
    finally:
        os.umask(before)
    assert modes == [0o700, 0o644]


def test_a_setting_names_the_lock_file(tmp_path):
    path = tmp_path / "deep" / "down" / "lock"
    with override_settings(AUDITREPR={"LOCK_FILE": path}), FileLock("default"):
        assert path.exists()


def test_a_child_process_does_not_keep_the_file_lock():
    with FileLock("default"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with FileLock("default") as lock:
        assert lock
    child.communicate(b"\n")


def test_a_lock_file_that_was_deleted_is_lost_and_no_run_locks_the_deleted_one():
    with FileLock("default") as old:
        old.path.unlink()
        with FileLock("default") as new:
            assert new
            with pytest.raises(LeaseLost):
                old.renew()
            new.renew()


def test_a_lock_file_that_became_a_link_to_itself_is_lost():
    with FileLock("default") as lock:
        elsewhere = lock.path.with_name("moved")
        lock.path.rename(elsewhere)
        lock.path.symlink_to(elsewhere)
        with pytest.raises(LeaseLost):
            lock.renew()


def test_a_file_that_is_replaced_between_opening_and_locking_is_not_taken(monkeypatch):
    lock = FileLock("default")
    replaced = iter([False, True])
    monkeypatch.setattr(lock, "_is_current", lambda file: next(replaced, True))
    with lock:
        assert not lock
    with FileLock("default") as other:
        assert other


@pytest.mark.parametrize("kind", ["symlink", "folder", "fifo", "not a folder above"])
def test_what_is_no_plain_file_is_refused_with_a_hint(tmp_path, kind):
    path = tmp_path / "lock"
    if kind == "symlink":
        (tmp_path / "target").write_text("precious")
        path.symlink_to(tmp_path / "target")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("")
        path = path / "below"
    with pytest.raises(LockUnavailable, match="Set AUDITREPR") as caught:
        FileLock("default", path=path).__enter__()
    assert "Errno" not in str(caught.value)
    assert "None" not in str(caught.value)
    assert kind != "symlink" or (tmp_path / "target").read_text() == "precious"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_neither_keeps_the_file_lock_nor_has_it():
    reading, writing = os.pipe()
    ending, end = os.pipe()
    never_held = FileLock("default")
    with FileLock("default") as lock:
        child = os.fork()
        if child == 0:
            os.write(writing, str(bool(lock)).encode())
            os.read(ending, 1)
            os._exit(0)
        assert os.read(reading, 10) == b"False"
        lock.renew()
        assert not never_held.__enter__()
    try:
        with FileLock("default") as other:
            assert other
    finally:
        os.write(end, b"x")
        assert os.waitpid(child, 0)[1] == 0


def test_slow_work_keeps_a_file_lock_without_more_ado():
    with FileLock("default") as lock, lock.kept_alive():
        lock.renew()


def test_a_lock_file_that_was_only_deleted_is_lost():
    with FileLock("default") as lock:
        lock.path.unlink()
        with pytest.raises(LeaseLost):
            lock.renew()


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_an_empty_lock_file_names_no_holder(content):
    lock = FileLock("default")
    if content is not None:
        lock.path.parent.mkdir()
        lock.path.write_text(content)
    assert lock.holder() is None


def test_a_process_that_may_not_be_asked_is_there_if_its_start_tells_so(monkeypatch):
    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    mine = Process.current()
    assert not locks_process._has_ended(mine.pid, mine.started)
    assert locks_process._has_ended(mine.pid, "0")


def test_where_the_system_tells_nothing_of_processes_a_holder_is_one_without_a_start(monkeypatch):
    def missing(*arguments, **options):
        raise FileNotFoundError

    monkeypatch.setattr(os, "readlink", missing)
    monkeypatch.setattr(locks_process.Path, "read_text", missing)
    process = Process.current()
    assert (process.namespace, process.boot, process.started) == (None, None, None)


def test_without_a_home_the_setting_is_named(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", raises_key_error)
    with pytest.raises(LockUnavailable, match=r"no home directory.*LOCK_FILE"), FileLock("default"):
        raise AssertionError


def raises_key_error(uid):
    raise KeyError(uid)


def test_a_state_folder_that_is_relative_does_not_count(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    assert default_path("default").is_absolute()


@pytest.mark.postgresql
def test_what_a_service_of_postgresql_names_has_a_file_of_its_own(monkeypatch):
    options = connection.settings_dict["OPTIONS"]
    one, other = (default_path_with(monkeypatch, options, name) for name in ("one", "other"))
    assert one != other


def default_path_with(monkeypatch, options, service):
    connection.ensure_connection()  # there is no such service
    monkeypatch.setitem(options, "service", service)
    return default_path("default")


def test_a_lock_whose_folder_is_no_more_is_lost(tmp_path):
    with FileLock("default", path=tmp_path / "folder" / "lock") as lock:
        (tmp_path / "folder").rename(tmp_path / "other")
        (tmp_path / "folder").write_text("a file")
        with pytest.raises(LeaseLost):
            lock.renew()


@pytest.mark.parametrize("pid", ["x", None, 2**70, 2**31, -1, 0, True])
def test_a_holder_whose_pid_is_none_is_not_known(pid):
    current = asdict(Process.current())
    assert Process.of(current | {"pid": pid}) is None


@pytest.mark.parametrize("pid", [1, 2**31 - 1])  # the first one of a container, and the last
def test_a_holder_may_have_any_pid_that_there_is(pid):
    stored = asdict(Process.current()) | {"pid": pid}
    assert Process.of(stored) == Process(**stored)


@pytest.mark.proof
@pytest.mark.sqlite
def test_a_lease_that_cannot_be_renewed_is_reported_in_time(monkeypatch, caplog):
    """As where another writer holds the file, or a role may have one connection alone."""
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.05)
    lock = DatabaseLock("default", seconds=0.9)
    with lock:
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with lock.kept_alive():
            wait_until(lambda: "renew the database lock: database is locked" in caplog.text)
        other.close()
    assert "Could not renew the database lock: database is locked" in caplog.text
