"""Tests that a run that was killed is called so wherever runs are shown, and no other run is."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F
from django.test import Client
from django.utils import timezone

from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.monitoring import status
from auditrepr.job.rounds import shares, sharing
from auditrepr.job.runs import killed, record
from auditrepr.models import BackfillRun, Lease, Share
from auditrepr.vendors import get_vendor
from tests import processes
from tests.app.models import Author
from tests.pages import RUNS, page, reader, words
from tests.running import _empty_log, run

__all__ = ["_empty_log", "reader"]
pytestmark = pytest.mark.django_db(transaction=True)

#: A process of another host, of which nothing can be seen from here.
ELSEWHERE = {"host": "elsewhere", "pid": 7, "since": "2026-01-31", "boot": "b", "started": "1"}
TOLD = "The process was killed, or its host failed: no end is recorded."


@contextmanager
def at_work() -> Iterator[Any]:
    """A process that has stored two of its six events, and waits."""
    Author.objects.bulk_create(Author(name="Ann") for _ in range(6))
    with processes.start_in_steps() as process:
        assert process.stdout.readline() == "2\n"
        yield process
        process.kill()


def shown(form: str) -> str:
    out = StringIO()
    call_command("backfill_status", format=form, stdout=out)
    return out.getvalue()


def states() -> list[str]:
    """The stop reason of each run, the latest first; empty while it runs."""
    found = status.of("default")
    return [found.stop_reason(one) for one in found.runs]


def move_elsewhere() -> None:
    """Let the runs, and what they hold, be those of another host."""
    BackfillRun.objects.update(host="elsewhere", pid=7, holder=ELSEWHERE)
    for held in (Lease, Share):
        held.objects.exclude(token=None).update(holder=ELSEWHERE)


def be_silent(seconds: float) -> None:
    BackfillRun.objects.update(seen_at=get_vendor("default").clock(-seconds))


@pytest.mark.proof
def test_a_killed_run_is_called_so_in_each_format_and_on_the_pages(reader: Client) -> None:
    with at_work() as process:
        assert "backfill_reprs: running, 2 stored, 0 failed" in shown("text")
        assert 'auditrepr_last_run_failed{database="default"} 0' in shown("prometheus")
        assert "running" in words(page(reader, RUNS))
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert f"backfill_reprs: killed, 2 stored, 0 failed  {TOLD}" in shown("text")
    assert 'auditrepr_last_run_failed{database="default"} 1' in shown("prometheus")
    (one,) = json.loads(shown("json"))[0]["runs"]
    assert (one["stop_reason"], one["error"], one["stored"]) == ("killed", TOLD, 2)
    assert one["ended_at"] is None
    said = words(page(reader, RUNS))
    assert "The last run of backfill_reprs did not record its end: it was killed" in said
    assert TOLD in said
    detail = words(page(reader, f"{RUNS}{BackfillRun.objects.get().pk}/change/"))
    assert TOLD in detail
    assert "last sign of life" in detail.lower()
    Lease.objects.update(token=None)
    run()
    assert states() == ["caught-up", "killed"]
    assert 'auditrepr_last_run_failed{database="default"} 0' in shown("prometheus")
    assert TOLD in words(page(reader, RUNS))


@pytest.mark.proof
def test_a_run_of_another_host_is_not_called_killed_while_it_may_live() -> None:
    with at_work():
        move_elsewhere()
        be_silent(3600)
        assert states() == [""], "it holds the lock"
        Lease.objects.update(expires_at=F("acquired_at") - timedelta(hours=1))
        assert states() == ["killed"]
        be_silent(60)
        assert states() == [""], "its lock expired, but it was there a minute ago"
        Lease.objects.update(token=None, holder=None)
        assert states() == [""], "as with a lock in a file, or between two shares"
        be_silent(3600)
        assert states() == ["killed"]


def test_a_run_of_a_former_version_is_judged_by_its_beginning() -> None:
    for minutes in (60, 1):
        began = timezone.now() - timedelta(minutes=minutes)
        BackfillRun.objects.create(started_at=began, host="h", pid=1)
    assert states() == ["", "killed"]


def test_a_worker_that_holds_a_share_lives() -> None:
    Author.objects.bulk_create(Author(name="Ann") for _ in range(20))
    with DatabaseLock("default") as lock:
        shares.plan("default", "backfill_reprs", lock, width=10, least=0)
    Share.objects.update(
        token="0" * 32, holder=ELSEWHERE, expires_at=get_vendor("default").clock(60)
    )
    BackfillRun.objects.create(started_at=timezone.now(), host="h", pid=1)
    move_elsewhere()
    be_silent(3600)
    assert states() == [""]
    Share.objects.update(expires_at=get_vendor("default").clock(-1))
    assert states() == ["killed"]


def test_another_process_that_got_the_same_number_is_not_taken_for_it() -> None:
    BackfillRun.objects.create(started_at=timezone.now(), host="h", pid=1)
    move_elsewhere()
    be_silent(3600)
    with DatabaseLock("default"):
        Lease.objects.update(holder=ELSEWHERE | {"started": "2"})
        assert states() == ["killed"]
        Lease.objects.update(holder=ELSEWHERE)
        assert states() == [""]


@pytest.mark.proof
def test_of_one_process_only_the_newest_run_can_hold_the_lock(reader: Client) -> None:
    """A Celery worker that lost the database at the end of a run continues with the next one."""
    Author.objects.create(name="Ann")
    lost = record.Record("default", "backfill_reprs")
    lost.begin()
    be_silent(3600)
    with DatabaseLock("default"):
        assert states() == [""], "it holds the lock"
        newer = record.Record("default", "backfill_reprs")
        newer.begin()
        be_silent(3600)
        assert states() == ["", "killed"]
        assert TOLD in words(page(reader, f"{RUNS}{lost.pk}/change/"))
        BackfillRun.objects.filter(pk=newer.pk).update(ended_at=timezone.now())
        assert states() == ["", "killed"]
        assert not status.of("default").failed
        be_silent(60)
        assert states() == ["", ""], "another thread of that process may work on it"


def test_a_run_shows_that_it_lives_also_where_it_stores_no_batch(monkeypatch: Any) -> None:
    monkeypatch.setattr(record, "SIGN", 0.0)
    mine = record.Record("default", "backfill_reprs")
    mine.begin()
    be_silent(3600)
    mine.show_life()
    seen = BackfillRun.objects.get().seen_at
    assert seen > timezone.now() - timedelta(minutes=1)


class Enough(Exception):
    """Ends what waits."""


def test_a_worker_that_waits_for_others_shows_it(monkeypatch: Any) -> None:
    """A sign between two pauses is one of the waiting itself."""
    steps: list[str] = []

    def pause(seconds: float) -> None:
        steps.append("pause")
        if steps.count("pause") == 3:
            raise Enough

    monkeypatch.setattr(record.Record, "show_life", lambda self: steps.append("sign"))
    monkeypatch.setattr(sharing.time, "sleep", pause)
    with DatabaseLock("default"), pytest.raises(Enough):
        backfill.assist("default")
    waited = steps[steps.index("pause") :]
    assert waited[:5] == ["pause", "sign", "pause", "sign", "pause"]


def test_a_run_that_ends_while_it_is_looked_at_is_not_killed() -> None:
    one = BackfillRun.objects.create(started_at=timezone.now(), host="h", pid=1)
    be_silent(3600)
    BackfillRun.objects.update(ended_at=timezone.now())
    assert killed.among("default", [one], []) == frozenset()


@pytest.mark.proof
def test_after_a_run_with_nothing_to_do_none_has_failed(reader: Client) -> None:
    began = timezone.now() - timedelta(hours=1)
    for error in ("", "the disk is full"):
        BackfillRun.objects.create(
            started_at=began, ended_at=began, host="h", pid=1, error=error, stop_reason="error"
        )
    assert 'auditrepr_last_run_failed{database="default"} 1' in shown("prometheus")
    failed = "The last run of backfill_reprs ended with an error: the disk is full"
    assert failed in words(page(reader, RUNS))
    run()
    metrics = shown("prometheus")
    assert 'auditrepr_last_run_failed{database="default"} 0' in metrics
    (start,) = re.findall(r"^auditrepr_last_run_start_seconds\{.*\} (.+)$", metrics, re.MULTILINE)
    assert time.time() - float(start) < 60
    assert re.search(r"lock +free; the last run began \d{4}-", shown("text"))
    assert json.loads(shown("json"))[0]["last_run_started_at"] > f"{began:%Y-%m-%dT%H:%M:%S}"
    assert "All is well. The job last ran 0 minutes ago." in words(page(reader, RUNS))
