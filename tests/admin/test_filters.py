from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.test import Client

from auditrepr.models import AuditLog, Checkpoint
from auditrepr.models.log import first_id
from tests.pages import LOG, event, fail, ids, link, page, reader, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def test_by_what_became_of_the_representation(reader: Client) -> None:
    event(1, text="x")
    event(2, text="x", mixed="read live")
    fail(event(3))
    event(4)
    fail(event(5), next_attempt_at=None)
    assert ids(reader, f"{LOG}?state=mixed") == [2]
    assert ids(reader, f"{LOG}?state=failed") == [3]
    assert ids(reader, f"{LOG}?state=final") == [5]
    assert ids(reader, f"{LOG}?state=pending") == [4]


def test_by_who_caused_it_and_by_object_shown_while_they_hold(reader: Client) -> None:
    event(1, text="x", context={"user": "5", "user_name": "grace"})
    event(2, text="x", object_id="1", context={"user": "6"})
    html = page(reader, f"{LOG}1/change/")
    assert link(html, "Other events by this actor") == f"{LOG}?actor=5"
    assert ids(reader, f"{LOG}?actor=5") == [1]
    assert ids(reader, f"{LOG}?object_id=1") == [2, 1]
    assert "By actor All 5 By action" in words(page(reader, f"{LOG}?actor=5"))
    assert "By actor" not in words(page(reader))


def test_by_transaction_shown_while_it_holds(reader: Client) -> None:
    event(1, text="x", transaction_id=7)
    event(2, text="x", transaction_id=8)
    assert ids(reader, f"{LOG}?transaction_id=7") == [1]
    assert "By transaction All 7 By action" in words(page(reader, f"{LOG}?transaction_id=7"))
    assert "By transaction" not in words(page(reader))


def test_pending_is_searched_only_above_the_watermark(reader: Client) -> None:
    for pk in range(1, 5):
        event(pk)
    Checkpoint.objects.create(settled_id=2)
    assert ids(reader, f"{LOG}?state=pending") == [4, 3]


def test_by_day_both_ends_included(reader: Client) -> None:
    for pk in range(1, 11):
        event(10 * pk, text="x", occurred_at=NEW_YEAR + timedelta(hours=12 * pk))
    assert ids(reader, f"{LOG}?since=2026-01-02&until=2026-01-03") == [50, 40, 30, 20]
    assert ids(reader, f"{LOG}?until=2026-01-01") == [10]
    assert ids(reader, f"{LOG}?since=2026-01-06") == [100]
    assert ids(reader, f"{LOG}?since=2027-01-01") == []


@pytest.mark.parametrize("since", ["x", "2026-02-30", "0001-01-01", "9999-12-31"])
def test_a_day_that_is_none_leaves_the_log_as_it_is(reader: Client, since: str) -> None:
    event(1, text="x")
    for name in ("since", "until"):
        assert reader.get(f"{LOG}?{name}={since}").status_code == 200


def test_its_form_keeps_the_other_filters(reader: Client) -> None:
    event(1, text="x")
    html = page(reader, f'{LOG}?action__exact=I&table_name="<b>&since=2026-01-01')
    assert '<input type="hidden" name="action__exact" value="I">' in html
    assert 'name="table_name" value="&quot;&lt;b&gt;"' in html
    assert 'name="since" value="2026-01-01"' in html
    assert "Any date Today Past 7 days" in words(html)


def test_an_event_that_is_a_little_older_than_the_one_before_it_is_found(reader: Client) -> None:
    for pk, minutes in enumerate([0, 10, 5, 20], start=1):
        event(pk, text="x", occurred_at=NEW_YEAR + timedelta(minutes=minutes - 8))
    assert ids(reader, f"{LOG}?since=2026-01-01") == [4, 2]
    assert ids(reader, f"{LOG}?until=2025-12-31") == [3, 1]


def test_the_first_event_of_a_time_is_found_over_gaps(django_assert_max_num_queries) -> None:
    made = [event(pk, occurred_at=NEW_YEAR + timedelta(days=pk)) for pk in (3, 500, 501, 90_000)]
    log = AuditLog.objects.all()
    with django_assert_max_num_queries(2 + 17):
        assert first_id(log, NEW_YEAR) <= 3
    for before, one in pairwise(made):
        assert before.pk < first_id(log, one.occurred_at) <= one.pk
    assert first_id(log, made[-1].occurred_at + timedelta(days=1)) > made[-1].pk
    assert first_id(log.filter(pk__lt=0), NEW_YEAR) == 0
