"""Tests that a finding is reported when it is first seen, and then hourly for all runs together."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import Error, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.job import reports
from auditrepr.job.reports import FAILURES, MIGRATIONS, RECORDING, Finding
from auditrepr.models import Checkpoint, KnownFinding
from tests.capturing import sql
from tests.knowing import earlier

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
ONE = Finding("missing", "one", "One is gone.", "Put it back.")
TWO = Finding("missing", "two", "So is two.", "Put it back.")
FAILED = Finding("failing", "app.One ValueError", "It failed.")
SLOW = Finding("slow", "", "It takes a while.", "Wait.", patience=10 * MINUTE)


def due(*found: Finding, topic: str = RECORDING) -> list[Finding]:
    return reports.due("default", {topic: found})


@pytest.mark.parametrize("topic", [RECORDING, MIGRATIONS, FAILURES])
def test_it_is_due_when_it_is_first_seen_and_then_once_an_hour(topic):
    assert due(ONE, topic=topic) == [ONE]
    assert due(ONE, topic=topic) == []
    earlier(59 * MINUTE)
    assert due(ONE, topic=topic) == []
    earlier(MINUTE)
    assert due(ONE, topic=topic) == [ONE]
    assert due(ONE, topic=topic) == []


def test_each_finding_has_an_hour_of_its_own():
    due(ONE)
    earlier(30 * MINUTE)
    assert due(TWO, ONE) == [TWO]
    earlier(30 * MINUTE)
    assert due(ONE, TWO) == [ONE]


def test_what_is_over_and_comes_back_is_due_again():
    due(ONE, TWO)
    assert due(TWO) == []
    assert due(ONE, TWO) == [ONE]


def test_a_failure_that_a_run_does_not_see_is_not_over():
    due(FAILED, topic=FAILURES)
    assert due(TWO, topic=FAILURES) == [TWO]
    assert due(FAILED, topic=FAILURES) == []
    earlier(60 * MINUTE)
    assert due(TWO, topic=FAILURES) == [TWO]
    assert [known.pk for known in KnownFinding.objects.all()] == [TWO.key], "it is forgotten then"


def test_a_topic_that_is_not_named_stays_as_it_is():
    due(ONE)
    due(topic=MIGRATIONS)
    due(TWO, topic=FAILURES)
    assert due(ONE) == []


def test_what_is_reported_once_is_not_due_again_while_it_lasts():
    view = Finding("unsupported", "v", "It is a view.", "Leave it out.", once=True)
    assert due(view) == [view]
    earlier(timedelta(days=9))
    assert due(view) == []


def test_what_has_patience_is_due_when_it_is_over():
    assert due(SLOW) == []
    earlier(9 * MINUTE)
    assert due(SLOW) == []
    earlier(MINUTE)
    assert due(SLOW) == [SLOW]
    assert due(SLOW) == []


def test_since_when_there_is_one_is_known_once_it_lasts():
    began = timezone.now()
    due(SLOW, topic=MIGRATIONS)
    assert reports.first_seen("default", MIGRATIONS, 10 * MINUTE) is None
    earlier(11 * MINUTE)
    since = reports.first_seen("default", MIGRATIONS, 10 * MINUTE)
    assert since is not None
    assert abs(began - since - 11 * MINUTE) < MINUTE
    assert reports.first_seen("default", RECORDING, 10 * MINUTE) is None


def test_where_all_is_well_one_query_reads_and_nothing_is_written(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert reports.due("default", {RECORDING: [], MIGRATIONS: []}) == []
    assert not KnownFinding.objects.exists()


@pytest.mark.proof
def test_the_number_of_queries_does_not_grow_with_the_findings():
    asked = []
    for number in (1, 200):
        many = [Finding("kind", f"{n}", "") for n in range(number)]
        with CaptureQueriesContext(connection) as captured:
            due(*many)
        asked.append(len(captured))
    assert asked[0] == asked[1] < 10


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_noted_is_an_error_and_nothing_is_forgotten():
    sql("ALTER TABLE auditrepr_knownfinding RENAME TO elsewhere")
    try:
        with pytest.raises(Error):
            due(ONE)
        assert reports.at_once({RECORDING: [ONE, SLOW], FAILURES: [FAILED]}) == [ONE, FAILED]
    finally:
        sql("ALTER TABLE elsewhere RENAME TO auditrepr_knownfinding")


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_of_runs_at_the_same_time_one_reports_it():
    start, told = Barrier(4), []

    def run() -> None:
        try:
            start.wait()
            told.extend(due(ONE, TWO))
        finally:
            connection.close()

    for _ in range(3):
        KnownFinding.objects.all().delete()
        threads = [Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(finding.name for finding in told) == ["one", "two"]
        told.clear()


@pytest.mark.django_db(transaction=True)
def test_the_watermark_is_not_touched():
    Checkpoint.objects.all().delete()
    due(ONE)
    assert not Checkpoint.objects.exists()


def test_a_known_finding_is_called_by_its_key():
    due(ONE)
    assert str(KnownFinding.objects.get()).startswith("missing one since 2")
