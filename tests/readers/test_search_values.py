"""Tests searches for old, new and pending values, with and without an index."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from auditrepr.capture import search_index
from auditrepr.job.storing import values
from auditrepr.models import AuditLog, ChangedValues, Checkpoint
from auditrepr.readers import search, search_pending
from auditrepr.utils.time_limit import PageTimeLimit
from auditrepr.vendors.types import Window
from tests.app.models import Author
from tests.pages import LOG, event, ids, link, page, reader, staff, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db


@pytest.fixture(params=["no index", "an index"])
def indexed(request: pytest.FixtureRequest) -> bool:
    """Each way to search."""
    if request.param == "an index":
        request.getfixturevalue("with_index")
    return request.param == "an index"


@pytest.fixture
def with_index(settings: Any) -> None:
    settings.AUDITREPR = {**getattr(settings, "AUDITREPR", {}), "SEARCH": True}
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    index = search_index.install("default")
    assert index is not None
    assert index.anywhere


def change(pk: int, old: Any, new: Any, text: str | None = "x", **values: Any) -> AuditLog:
    rows = {"row_data": {"id": pk, "name": new}, "changed_from": {"name": old}}
    return event(pk, text=text, action="U", **rows, **values)


def job() -> None:
    call_command("backfill_reprs", verbosity=0)


def found(client: Client, text: str) -> list[int]:
    return ids(client, f"{LOG}?text={quote(text)}")


@pytest.mark.proof
def test_the_old_and_the_new_value_are_found(reader: Client, indexed: bool) -> None:
    change(1, "Republic of Turkey", "Republic of Türkiye", "Türkiye")
    change(2, "Macedonia", "North Macedonia", "North Macedonia")
    job()
    for _ in ("stored", "again"):
        assert found(reader, "turkey") == [1]
        assert found(reader, "of Türk") == [1]
        assert found(reader, "macedonia") == [2]
        assert found(reader, "name") == [], "the field's own name is no value"
        assert found(reader, "nothing") == []
        job()


@pytest.mark.proof
def test_wildcards_and_quotes_are_only_text(reader: Client, indexed: bool) -> None:
    texts = ["100% of it", "a_b_c", "C:\\temp", 'say "hi" now', "it's"]
    for pk, text in enumerate(texts, 1):
        change(pk, text, "new")
    job()
    for pk, text in enumerate(texts, 1):
        assert found(reader, text) == [pk]
    assert found(reader, "a_b_%") == found(reader, "100%%") == []


def test_a_search_by_value_shows_nothing_that_the_reader_may_not_see(indexed: bool) -> None:
    change(1, "secret", "public", table_name="app_book")
    change(2, "secret", "public", table_name="app_tag")
    job()
    assert found(staff("view_auditlog", "view_tag"), "secret") == [2]


@pytest.mark.proof
def test_without_an_index_the_page_says_how_far_it_looked_and_goes_on(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 5)
    change(1, "rare", "common")
    for pk in range(2, 14):
        event(pk, text="x")
    address: str | None = "?text=rare"
    said = []
    while address and not ids(reader, LOG + address):
        said.append(words(page(reader, LOG + address)))
        address = link(page(reader, LOG + address), "Older")
    assert address
    assert ids(reader, LOG + address) == [1]
    assert len(said) == 2
    assert "Nothing found so far. Searched as far as event 9" in said[0]
    assert not any("No results" in text for text in said)


@pytest.mark.proof
def test_the_job_fills_the_index_from_new_to_old(
    reader: Client, with_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 2)
    monkeypatch.setattr(values, "EVENTS", 3)
    monkeypatch.setattr(values, "OLD", 2)
    for pk in range(1, 13):
        change(pk, f"old {pk}.", "new")
    Checkpoint.objects.create(settled_id=12)
    job()
    assert ChangedValues.objects.count() == 6
    html = page(reader, f"{LOG}?text=old 3.")
    assert "Up to event 6, only representations were searched" in words(html)
    assert found(reader, "old 8.") == [8]
    job()
    assert ChangedValues.objects.count() == 12
    assert found(reader, "old 3.") == [3]
    assert "only representations" not in words(page(reader, f"{LOG}?text=old 3."))


def test_the_index_follows_the_watermark(reader: Client, with_index: None) -> None:
    Checkpoint.objects.create()
    job()
    change(13, "old 13.", "new")
    assert found(reader, "old 13.") == [13], "what the index lacks is searched besides"
    Checkpoint.objects.update(settled_id=13)
    job()
    assert ChangedValues.objects.get(pk=13).text.split("\n") == ["old 13.", "new"]
    assert found(reader, "old 13.") == [13]


def test_imported_events_below_zero_are_indexed_too(with_index: None) -> None:
    change(-7, "imported", "new")
    change(5, "ours", "new")
    Checkpoint.objects.create(settled_id=5)
    job()
    assert ChangedValues.objects.count() == 2
    index = search_index.index("default")
    assert index is not None
    result = search.find("default", index, "imported", Window(), False)
    assert (result.ids, result.last, result.no_values_upto) == ([-7], None, None)


def test_without_the_setting_nothing_is_stored_and_what_was_is_forgotten(
    reader: Client, with_index: None, settings: Any
) -> None:
    change(1, "old one", "new")
    Checkpoint.objects.create(settled_id=1)
    job()
    assert ChangedValues.objects.count() == 1
    settings.AUDITREPR = {}
    search_index.install("default")
    assert not ChangedValues.objects.exists()
    assert Checkpoint.objects.get().values_upto is None
    job()
    assert not ChangedValues.objects.exists()
    assert found(reader, "old one") == [1]


@pytest.mark.proof
def test_of_pending_events_the_newest_are_searched_and_the_page_says_how_many_were_not(
    reader: Client, indexed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_pending, "MOST", 2)
    AuditLog.objects.all().delete()
    for name in ("Ada one", "Ada two", "Ada three", "Bea"):
        Author.objects.create(name=name)
    last = AuditLog.objects.latest("pk").pk
    assert found(reader, "ada") == [last - 1]
    html = page(reader, f"{LOG}?text=ada")
    assert "because the job has not stored it yet: 2." in words(html)
    monkeypatch.setattr(search_pending, "COUNTED", 1)
    html = page(reader, f"{LOG}?text=ada")
    assert "because the job has not stored it yet: at least 1." in words(html)
    job()
    assert found(reader, "ada") == [last - 1, last - 2, last - 3]
    assert "not stored it yet" not in words(page(reader, f"{LOG}?text=ada"))


def test_pending_events_are_built_within_the_pages_time(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    AuditLog.objects.all().delete()
    Author.objects.create(name="Ada")
    monkeypatch.setattr(PageTimeLimit, "SECONDS", 0.0)
    html = page(reader, f"{LOG}?text=ada")
    assert "because the job has not stored it yet: 1." in words(html)
