from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.admin import job_page
from auditrepr.admin.job_page import BARS, chart
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.locks.process import Process
from auditrepr.models import (
    BackfillRun,
    Checkpoint,
    Coverage,
    Import,
    Lease,
    PlannedEvent,
    ReprFailure,
    Share,
)
from tests.pages import RUNS, event, fail, page, reader, staff, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

RETRY = f"{RUNS}retry/"
NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)


def run(minutes_ago: float, minutes: float, rows: int, **values: Any) -> BackfillRun:
    started = NOW - timedelta(minutes=minutes_ago)
    ended = started + timedelta(minutes=minutes)
    return BackfillRun(started_at=started, ended_at=ended, rows=rows, host="h", pid=1, **values)


def test_shows_the_backlog_and_how_long_the_oldest_has_waited(reader: Client) -> None:
    assert "Pending events 0" in words(page(reader, RUNS))
    event(1, occurred_at=timezone.now() - timedelta(hours=3))
    event(2)
    text = words(page(reader, RUNS))
    assert "Pending events 2 Events with neither a representation nor a failure." in text
    assert "Longest wait 3 hours How long the oldest of them has waited" in text


def test_shows_what_is_older_than_it_is_to_be_kept(reader: Client, settings: Any) -> None:
    event(1, table_name="app_author", occurred_at=timezone.now() - timedelta(days=100))
    Coverage.objects.get_or_create(table_name="app_author", defaults={"reason": "installed"})
    assert "To be pruned" not in words(page(reader, RUNS))
    settings.AUDITREPR = {"RETENTION": {"app.Author": "90 days", "*": "1 year"}}
    text = words(page(reader, RUNS))
    assert "To be pruned app.Author: 90 days; the oldest event is of " in text
    assert "*:" not in text


@pytest.mark.proof
def test_shows_what_was_imported_and_how_far_the_unfinished_import_is(reader: Client) -> None:
    assert "Import" not in words(page(reader, RUNS))
    common = {"sources": ["ours"], "parts": [], "until": NOW, "started_at": NOW}
    Import.objects.create(first_id=-999, last_id=0, finished_at=NOW, **common)
    Import.objects.create(first_id=-1999, last_id=-1000, **common | {"sources": ["a", "b"]})
    PlannedEvent.objects.bulk_create(
        PlannedEvent(pk=pk, part=0, position=pk) for pk in range(-1999, -1599)
    )
    text = words(page(reader, RUNS))
    assert "Import ours: 1,000 events, finished 2026-11-22" in text
    assert "Events from before 2026-11-22" in text
    assert "Import a + b: 600 of 1,000 events, begun 2026-11-22" in text
    assert "Interrupted. To continue, run: manage.py import_audit_log a b" in text
    with DatabaseLock("default"):
        text = words(page(reader, RUNS))
        assert "Interrupted" not in text
        assert re.search(rf"begun 2026-11-22 18:00\S* process {os.getpid()} on ", text)


@pytest.mark.proof
def test_shows_the_watermark_and_what_holds_it_back_since_when(reader: Client) -> None:
    assert "Watermark not set: no event is settled yet" in words(page(reader, RUNS))
    mark = Checkpoint.objects.create(settled_id=41)
    text = words(page(reader, RUNS))
    assert "Watermark 41" in text
    assert "held back" not in text
    mark.candidate_id, mark.candidate_at = 50, timezone.now() - timedelta(minutes=20)
    mark.candidate_evidence = {"server": "1", "transactions": ["3/77"]}
    mark.save()
    text = words(page(reader, RUNS))
    assert (
        "Watermark held back for 20 minutes by transactions that were open at the last check: 3/77"
        in text
    )


def test_shows_which_run_holds_the_lock_and_which_lock_is_stale(reader: Client) -> None:
    Lease.objects.update_or_create(
        name=DatabaseLock.NAME,
        defaults={
            "token": uuid4(),
            "holder": {"host": "here", "pid": 7, "since": "noon"},
            "expires_at": timezone.now() + timedelta(minutes=1),
        },
    )
    assert "Current run process 7 on here since noon" in words(page(reader, RUNS))
    Lease.objects.update(expires_at=timezone.now() - timedelta(minutes=1), holder={})
    assert "Expired lock of unknown" in words(page(reader, RUNS))


@pytest.mark.proof
def test_shows_the_round_and_its_workers_and_cancels_it(reader: Client) -> None:
    assert "Round" not in words(page(reader, RUNS))
    begin = timezone.now() - timedelta(minutes=1)
    for n in range(2):
        Share.objects.create(
            after_id=100 * n, upto_id=100 * n + 100, provable_id=200, command="backfill_reprs",
            planned=4, planned_ids=400, planned_at=begin,
        )  # fmt: skip
    holder = {"host": "here", "pid": 7, "since": "noon"}
    expires = timezone.now() + timedelta(minutes=1)
    Share.objects.filter(pk=0).update(token=uuid4(), holder=holder, expires_at=expires)
    event(1, occurred_at=timezone.now() - timedelta(hours=3))
    text = words(page(reader, RUNS))
    assert "Round 2 of 4 shares done, 1 held" in text
    assert "Pace of the round 3 event IDs per second, about 1 minute left" in text
    assert "Worker process 7 on here since noon events 1 to 100" in text
    assert "Several workers share the backlog" in text
    assert "is scheduled" not in text
    Share.objects.update(command="rebuild_reprs")
    assert "Several workers share a rebuild" in words(page(reader, RUNS))
    answer = reader.post(f"{RUNS}cancel/", follow=True)
    assert "Canceled the round (2 shares were left)." in words(answer.content.decode())
    assert not Share.objects.exists()
    assert "Cancel the round" not in words(page(reader, RUNS))
    answer = reader.post(f"{RUNS}cancel/", follow=True)
    assert "There is no round." in words(answer.content.decode())


@pytest.mark.proof
def test_a_round_of_which_a_worker_was_killed_continues(reader: Client) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    here = Process.current()
    dead, alive = {**asdict(here), "pid": process.pid}, asdict(here)
    begin = timezone.now() - timedelta(seconds=10)
    for n, holder in enumerate([dead, alive]):
        Share.objects.create(
            after_id=10000 * n, upto_id=10000 * n + 10000, provable_id=20000, token=uuid4(),
            command="backfill_reprs", planned=4, planned_ids=4_000_000, planned_at=begin,
            holder=holder, expires_at=timezone.now() + timedelta(minutes=1),
        )  # fmt: skip
        run = {"host": holder["host"], "pid": holder["pid"], "holder": holder}
        BackfillRun.objects.create(command="backfill_reprs", started_at=begin, **run)
    text = words(page(reader, RUNS))
    assert "A worker was killed, or its host failed; the others do its share." in text
    assert "Round 2 of 4 shares done, 1 held" in text
    assert "event IDs per second, less than a minute left" in text
    assert re.search(r"Pace of the round \d{1,3},\d{3} event IDs", text)
    assert f"Worker process {here.pid} on" in text
    assert f"process {process.pid} on" not in text
    Share.objects.filter(holder=alive).delete()
    assert "The last run of backfill_reprs did not record its end" in words(page(reader, RUNS))


def test_canceling_takes_a_post_and_the_permission(reader: Client) -> None:
    assert reader.get(f"{RUNS}cancel/").status_code == 405
    Share.objects.create(
        after_id=0, upto_id=9, provable_id=9, command="backfill_reprs", planned=1, planned_ids=9
    )
    viewer = staff("view_backfillrun")
    assert 'value="Cancel the round"' not in page(viewer, RUNS)
    assert viewer.post(f"{RUNS}cancel/").status_code == 403
    assert Share.objects.exists()


def test_trying_again_needs_no_messages(reader: Client, settings: Any) -> None:
    middleware = "django.contrib.messages.middleware.MessageMiddleware"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != middleware]
    fail(event(1))
    answer = reader.post(RETRY, {"table_name": "app_author", "error_class": "ValueError"})
    assert answer["Location"] == RUNS
    assert ReprFailure.objects.filter(next_attempt_at__lte=timezone.now()).exists()


def test_the_failures_stand_by_model_and_error_and_can_be_tried_again(reader: Client) -> None:
    for pk in (1, 2):
        fail(event(pk))
    fail(event(3, table_name="app_book"))
    assert "Author ValueError 2" in words(page(reader, RUNS))
    answer = reader.post(RETRY, {"table_name": "app_author", "error_class": "ValueError"})
    assert answer["Location"] == RUNS
    assert "2 representations will be retried in the next run." in words(page(reader, RUNS))
    due = ReprFailure.objects.filter(next_attempt_at__lte=timezone.now())
    assert sorted(due.values_list("pk", flat=True)) == [1, 2]


@pytest.mark.proof
def test_trying_again_takes_a_post_and_the_permission() -> None:
    fail(event(1))
    fail(event(2, table_name="app_book"))
    viewer = staff("view_backfillrun", "view_author", name="viewer")
    text = page(viewer, RUNS)
    assert "Author ValueError 1" in words(text)
    assert "Book" not in words(text)
    assert "Retry" not in text
    assert viewer.get(RETRY).status_code == 405
    assert viewer.post(RETRY, {}).status_code == 403
    changer = staff("view_backfillrun", "view_author", "change_reprfailure", name="changer")
    assert 'action="/admin/auditrepr/backfillrun/retry/"' in page(changer, RUNS)
    changer.post(RETRY, {"table_name": "app_book", "error_class": "ValueError"})
    changer.post(RETRY, {"table_name": "\0", "error_class": ""})
    assert not ReprFailure.objects.filter(next_attempt_at__lte=timezone.now()).exists()


def test_takes_the_permission_to_view_the_runs() -> None:
    assert staff("view_auditlog").get(RUNS).status_code == 403


def test_only_the_newest_failures_are_counted_and_the_page_says_so(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_page, "MOST_FAILURES", 2)
    for pk in (1, 2, 3):
        fail(event(pk))
    text = words(page(reader, RUNS))
    assert "Author ValueError 2" in text
    assert "Counts include only the newest 2 failures." in text


def test_of_many_failures_a_part_is_searched_for_those_that_a_reader_may_see(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_page, "LOOKED_AT", 5)
    for pk in range(1, 21):
        final = {"next_attempt_at": None} if pk <= 10 else {}
        fail(event(pk, table_name="app_tag" if pk in (2, 9, 19) else "app_author"), **final)
    text = words(page(staff("view_tag", "view_backfillrun"), RUNS))
    assert text.count("Tag ValueError 1") == 2
    assert "Failed representations were searched as far as event 15; there may be more." in text
    assert "Final events were searched as far as event 5; there may be more." in text
    assert "were searched as far" not in words(page(reader, RUNS))


def test_the_chart_spreads_a_runs_rows_over_its_time() -> None:
    rates = [bar.rate for bar in chart([run(30, 30, 900)], NOW)]
    assert len(rates) == BARS
    assert rates[-2:] == pytest.approx([30, 30])
    assert sum(rates[:-2]) == 0


def test_the_chart_leaves_out_what_was_before_it_and_counts_a_moment_too() -> None:
    rates = [bar.rate for bar in chart([run(24 * 60 + 15, 30, 60), run(60, 0, 15)], NOW)]
    assert rates[0] == pytest.approx(2)
    assert max(rates[1:]) == pytest.approx(1)


def test_the_chart_can_be_read_without_being_seen(reader: Client) -> None:
    now = timezone.now()
    BackfillRun.objects.create(
        started_at=now - timedelta(minutes=1), ended_at=now, rows=150, host="h", pid=1
    )
    html = page(reader, RUNS)
    assert 'role="img" aria-labelledby="rate-title rate-desc"' in html
    assert "The highest bar is 10 per minute" in words(html)
    assert "Hour starting at Per minute" in words(html)
    assert html.count("<rect") >= 1
    assert "<script" not in html[html.index('<svg viewBox="-2') : html.index("<h2>Runs")]


@pytest.mark.proof
def test_takes_as_many_queries_whatever_has_failed(reader: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as sent:
            page(reader, RUNS)
        return len(sent)

    fail(event(1))
    event(2)
    BackfillRun.objects.create(started_at=timezone.now(), host="h", pid=1)
    few = queries()
    for pk in range(3, 30):
        fail(event(pk)) if pk % 2 else event(pk)
        BackfillRun.objects.create(started_at=timezone.now(), host="h", pid=1, rows=pk)
    assert queries() == few


@pytest.mark.proof
def test_one_line_says_first_whether_all_is_well_and_what_to_do(reader: Client) -> None:
    never = "The job has never run. Schedule manage.py backfill_reprs to run every two minutes."
    assert never in words(page(reader, RUNS))
    ago = timezone.now() - timedelta(minutes=2)
    latest = BackfillRun.objects.create(started_at=ago, ended_at=ago, host="h", pid=1)
    assert "All is well. The job last ran 2 minutes ago." in words(page(reader, RUNS))
    fail(event(1))
    assert "1 representation could not be built" in words(page(reader, RUNS))
    latest.error = "OperationalError: <b>gone</b>"
    latest.save()
    html = page(reader, RUNS)
    failed = "The last run of backfill_reprs ended with an error: OperationalError: <b>gone</b>"
    assert failed in words(html)
    assert "<b>gone" not in html
    event(2, occurred_at=timezone.now() - timedelta(hours=3))
    late = "Events have been pending for 3 hours: check that manage.py backfill_reprs is scheduled."
    assert late in words(page(reader, RUNS))


def test_a_run_with_nothing_to_do_counts_as_a_run(reader: Client) -> None:
    Lease.objects.update_or_create(
        name=DatabaseLock.NAME,
        defaults={"token": None, "acquired_at": timezone.now() - timedelta(minutes=1)},
    )
    assert "All is well. The job last ran 1 minute ago." in words(page(reader, RUNS))


def test_each_run_names_its_command_and_how_long_it_took(reader: Client) -> None:
    now = timezone.now()
    began = now - timedelta(minutes=1, seconds=5)
    BackfillRun.objects.create(
        command="rebuild_reprs", started_at=began, ended_at=now, host="h", pid=1
    )
    assert "rebuild_reprs 00:01:05" in words(page(reader, RUNS))
