"""Tests when an event in quarantine is retried, and what the check costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models.functions import Now

from auditrepr.job.storing import quarantine
from auditrepr.models import AuditLog, ReprFailure
from auditrepr.vendors import get_vendor
from tests.app.models import Author

pytestmark = pytest.mark.django_db


def fill(count: int) -> list[int]:
    """So many entries, due in the order in which they are given."""
    Author.objects.bulk_create(Author(name="a") for _ in range(count))
    ids = list(AuditLog.objects.order_by("-pk").values_list("pk", flat=True)[:count])
    clock = get_vendor("default").clock
    ReprFailure.objects.bulk_create(
        ReprFailure(audit_log_id=pk, error_class="E", next_attempt_at=clock(n - count))
        for n, pk in enumerate(ids)
    )
    return ids


def test_delays_double_from_five_minutes_to_a_day():
    delays = [quarantine.delay(attempts) for attempts in (1, 2, 3, 9, 10, 11, 10_000)]
    assert delays == [300, 600, 1200, 76_800, 86_400, 86_400, 86_400]


def test_the_longest_overdue_comes_first():
    ids = fill(5)
    assert [event.id for event in quarantine.due("default", 3)] == ids[:3]


def test_what_is_not_due_is_not_given():
    fill(2)
    ReprFailure.objects.update(next_attempt_at=get_vendor("default").clock(60))
    assert quarantine.due("default", 3) == []
    ReprFailure.objects.update(next_attempt_at=Now())
    assert len(quarantine.due("default", 3)) == 2


def test_a_failure_whose_event_was_deleted_is_in_no_ones_way():
    ids = fill(3)
    AuditLog.objects.filter(pk=ids[0])._raw_delete("default")
    assert [event.id for event in quarantine.due("default", 1)] == ids[1:2]


@contextmanager
def as_if_large() -> Iterator[None]:
    """Have the server read small partitions as it reads large ones."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        yield
        cursor.execute("RESET enable_seqscan")


@pytest.mark.postgresql
def test_finding_what_is_due_costs_the_same_however_many_are_not():
    Author.objects.create(name="a")
    last = AuditLog.objects.latest("pk").pk
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO auditrepr_reprfailure (audit_log_id, error_class, message, traceback,"
            " attempts, next_attempt_at) SELECT %s + n, 'E', '', '', 1, now() + n * interval '1 s'"
            " FROM generate_series(1, 20000) n",
            [last],
        )
        cursor.execute("ANALYZE auditrepr_reprfailure")
    due = ReprFailure.objects.filter(next_attempt_at__lte=Now()).order_by("next_attempt_at")[:10]
    with as_if_large():
        plan = due.values_list("audit_log__id").explain(analyze=True, buffers=True)
    assert "Index Cond: (next_attempt_at" in plan
    assert "Rows Removed by Filter" not in plan
