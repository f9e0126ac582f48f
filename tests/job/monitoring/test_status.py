"""Tests the job's status: its facts, at a cost that does not depend on the log's size."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.capture.state import Status as TriggerStatus
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.monitoring import failure_counts, status, summary
from auditrepr.models import AuditLog, Checkpoint, Coverage, Lease, ReprFailure
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.running import _empty_log, run
from tests.sizes import PARTITIONED

__all__ = ["_empty_log"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_the_lag_is_the_age_of_the_oldest_pending_row():
    assert status.of("default").lag == 0
    Author.objects.create(name="old")
    AuditLog.objects.update(occurred_at=timezone.now() - timedelta(hours=1))
    Author.objects.create(name="new")
    found = status.of("default")
    assert str(found.pending) == "2"
    assert 3600 <= found.lag < 3700
    run()
    assert status.of("default").lag == 0


def test_the_watermark_and_what_holds_it_back():
    Author.objects.create(name="a")
    run()
    settled = AuditLog.objects.latest("pk").pk
    assert status.of("default").mark == summary.Watermark(settled)
    since = timezone.now()
    Checkpoint.objects.update(
        candidate_evidence={"server": "x", "transactions": ["3/17"]}, candidate_at=since
    )
    assert status.of("default").mark == summary.Watermark(settled, ("3/17",), since)


def test_who_holds_the_lock_and_whether_it_is_left_behind():
    assert status.of("default").lease is None
    with DatabaseLock("default"):
        held = status.of("default").lease
        assert held.holder.pid > 0
        assert not held.expired
        Lease.objects.update(expires_at=get_vendor("default").clock(-1))
        assert status.of("default").lease.expired


def test_the_latest_runs_come_first_and_skips_are_counted():
    for name in "ab":
        Author.objects.create(name=name)
        run()
    with DatabaseLock("default"):
        run()
    found = status.of("default")
    assert found.runs[0].pk > found.runs[1].pk
    assert found.skipped == 1


def test_failures_are_told_by_error(monkeypatch):
    def fail(author):
        raise {"a": ValueError, "b": KeyError}[author.name]

    Author.objects.bulk_create(Author(name=name) for name in "aab")
    monkeypatch.setattr(Author, "__str__", fail)
    run()
    ReprFailure.objects.filter(error_class="KeyError").update(next_attempt_at=timezone.now())
    found = status.of("default").failures
    assert found.by_error == (("ValueError", 2), ("KeyError", 1))
    assert (str(found.rows), str(found.due)) == ("3", "1")


def test_failures_are_counted_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(failure_counts, "MOST_FAILURES", 2)
    ReprFailure.objects.bulk_create(
        ReprFailure(audit_log_id=pk, error_class="E", next_attempt_at=timezone.now())
        for pk in (1, 2, 3)
    )
    assert str(status.of("default").failures.rows) == "at least 2"


@pytest.mark.proof
def test_triggers_that_are_not_in_order_and_gaps_are_named():
    assert status.of("default").broken == ()
    Coverage.objects.filter(table_name="app_author").update(since_event=None, reason="missing")
    with connection.cursor() as cursor:
        for sql in get_vendor("default").remove_sql("app_author"):
            cursor.execute(sql)
    try:
        found = status.of("default")
    finally:
        from auditrepr import capture

        capture.install("default")
    assert [(s.name, s.status) for s in found.broken] == [("app_author", TriggerStatus.MISSING)]
    assert "app_author" in [gap.table_name for gap in found.gaps]


def test_its_cost_does_not_depend_on_the_log_and_it_writes_nothing():
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            status.of("default")
        return [query["sql"] for query in captured]

    Author.objects.create(name="a")
    few = queries()
    Author.objects.bulk_create(Author(name="a") for _ in range(500))
    assert len(queries()) == len(few) <= 25 + 2 * PARTITIONED
    assert not [sql for sql in few if sql.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert not [s for s in few if "COUNT(" in s and '"auditrepr_auditlog"."id" >' not in s]
