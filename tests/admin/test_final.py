"""Tests the pages of an event as of which ``str()`` raised."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from auditrepr.admin import job_page
from auditrepr.models import AuditLog, ReprFailure
from tests.app.relations import Line, Order
from tests.capturing import next_moment
from tests.pages import FAILURES, LOG, RUNS, event, fail, ids, link, page, reader, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

SENTENCE = "Author 5 (str() raised DoesNotExist as of the event)"


def final(pk: int, **values: Any) -> ReprFailure:
    known = {"error_class": "Title.DoesNotExist", "message": "No title.", "next_attempt_at": None}
    return fail(event(pk, **values), **known)


def test_it_is_shown_as_what_it_is(reader: Client) -> None:
    final(5)
    line = words(page(reader))
    assert SENTENCE in line
    assert "(failed)" not in line
    assert 'title="Title.DoesNotExist: No title."' in page(reader)
    html = page(reader, f"{LOG}5/change/")
    assert f"Representation {SENTENCE} Error Title.DoesNotExist: No title." in words(html)
    assert "Why there is no representation Error Title.DoesNotExist: No title." in words(html)
    assert "Next attempt never: str() raised as of the event, too. After you improve" in words(html)
    assert "Fidelity" not in html
    assert "Why mixed" not in words(html)


def test_it_is_shown_in_german(reader: Client) -> None:
    final(5)
    said = "Author 5 (str() löste zum Zeitpunkt des Ereignisses DoesNotExist aus)"
    with translation.override("de"):
        assert said in words(page(reader))
        assert said in words(page(reader, f"{LOG}5/change/"))


def test_one_that_is_pending_is_shown_likewise_and_not_stored(
    reader: Client, settings: Any
) -> None:
    settings.AUDITREPR = {"REPR": {"app.Order": lambda order: order.lines.get().item}}
    order = Order.objects.create(ref="A")
    next_moment()
    Line.objects.create(order=order, item="x")
    pk = AuditLog.objects.get(table_name="app_order").pk
    said = f"Order {order.pk} (str() raised DoesNotExist as of the event)"
    assert f"{said} (not stored yet)" in words(page(reader))
    assert said in words(page(reader, f"{LOG}{pk}/change/"))
    assert not ReprFailure.objects.exists()


def test_an_object_is_not_called_by_it(reader: Client) -> None:
    """Its history is called by the last text that there is."""
    event(1, text="Ada", object_id="5")
    final(5, object_id="5", action="D")
    html = page(reader, f"{reverse('admin:auditrepr_timeline')}?table_name=app_author&object_id=5")
    assert SENTENCE in words(html)
    assert "<h2>Ada</h2>" in html


def test_the_failures_are_listed_by_whether_they_are_retried(reader: Client) -> None:
    fail(event(1))
    final(5)
    assert "By representation status All failed final" in words(page(reader, FAILURES))
    for state, there, elsewhere in [("failed", 1, 5), ("final", 5, 1)]:
        html = page(reader, f"{FAILURES}?state={state}")
        assert f"{FAILURES}{there}/change/" in html
        assert f"{FAILURES}{elsewhere}/change/" not in html
    assert "No title." in page(reader, f"{FAILURES}5/change/")


def test_the_jobs_page_counts_it_by_itself_and_offers_no_retry(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(event(1))
    for pk in (5, 6):
        final(pk)
    html = page(reader, RUNS)
    assert "Author ValueError 1" in words(html)
    assert (
        "Final events: str() raised as of the event Model Error Count Author Title.DoesNotExist 2"
        " They are not retried. After you improve __str__(), run rebuild_reprs or backfill_reprs"
        " --retry-failed." in words(html)
    )
    assert html.count('value="Retry"') == 1
    assert link(html, "Show all final events") == f"{FAILURES}?state=final"
    assert link(html, "Show all failed representations") == f"{FAILURES}?state=failed"
    reader.post(f"{RUNS}retry/", {"table_name": "app_author", "error_class": "Title.DoesNotExist"})
    assert ReprFailure.objects.final().count() == 2
    monkeypatch.setattr(job_page, "MOST_FAILURES", 1)
    assert "Counts include only the newest 1 final events." in words(page(reader, RUNS))


def test_without_one_the_jobs_page_says_nothing_of_them(reader: Client) -> None:
    fail(event(1))
    assert "Final events" not in page(reader, RUNS)


def test_a_search_does_not_find_it_by_what_stands_in_place_of_its_text(reader: Client) -> None:
    event(1, text="raised beds")
    final(5)
    assert ids(reader, f"{LOG}?text=raised") == [1]
