"""Tests representation search with and without an index: what it finds, and what it reads."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditrepr.capture import search_index
from auditrepr.models import AuditLog, InstanceRepr
from auditrepr.readers import search
from auditrepr.readers.export import Export, visible_now
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import SearchIndex, Window
from tests.app.models import Author
from tests.pages import LOG, event, ids, link, page, reader, staff, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db


def beginnings() -> SearchIndex:
    """The index for where neither extension is to be had."""
    from auditrepr.vendors.postgresql import search as postgresql
    from auditrepr.vendors.sqlite import search as sqlite

    vendors = {"postgresql": postgresql, "sqlite": sqlite}
    return vendors[connection.vendor].BEGINNINGS


@pytest.fixture
def extension() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")


@pytest.fixture(params=["no index", "trigrams", "beginnings"])
def index(request: pytest.FixtureRequest) -> SearchIndex | None:
    """Each of the indexes, and none."""
    return _make(request)


@pytest.fixture(params=["trigrams", "beginnings"])
def made(request: pytest.FixtureRequest) -> SearchIndex:
    """Each of the indexes."""
    index = _make(request)
    assert index is not None
    return index


def _make(request: pytest.FixtureRequest) -> SearchIndex | None:
    if request.param == "no index":
        return None
    settings = request.getfixturevalue("settings")
    settings.AUDITREPR = {**getattr(settings, "AUDITREPR", {}), "SEARCH": True}
    if request.param == "trigrams":
        request.getfixturevalue("extension")
        index = search_index.install("default")
        assert index is not None
        assert index.anywhere
    else:
        index = beginnings()
        with connection.cursor() as cursor:
            for sql in get_vendor("default").search_sql(index):
                cursor.execute(sql)
    assert search_index.index("default") == index
    return index


def found(text: str, after: int | None = None, before: int | None = None) -> list[int]:
    index = search_index.index("default")
    window = Window(after, before)
    return sorted(search.find("default", index, text, window, after is not None).ids)


def test_finds_text_in_capitals_or_not(index: SearchIndex | None) -> None:
    for pk, text in enumerate(["Order 17", "a border", "ORDER", "ordinary", "or"], 1):
        event(pk, text=text)
    assert found("order") == ([1, 2, 3] if index is None or index.anywhere else [1, 3])
    assert found("Order 1") == [1]
    assert found("or") == ([1, 2, 3, 4, 5] if index is None or index.anywhere else [1, 3, 4, 5])
    assert found("nothing") == []


def test_what_a_pattern_would_take_for_a_wildcard_or_an_operator_is_only_text(
    index: SearchIndex | None,
) -> None:
    texts = ["100% of it", "100 of it", "a_b_c", "aXbXc", "C:\\temp", 'a "b" c', "tab* OR x", "'"]
    for pk, text in enumerate(texts, 1):
        event(pk, text=text)
    for pk, text in enumerate(texts, 1):
        assert pk in found(text)
        assert len(found(text)) == 1
    assert found("1%%") == found("a_b_%") == found("%%") == found("__") == found("table") == []


def test_letters_of_other_scripts_are_found(index: SearchIndex | None) -> None:
    event(1, text="Ærøskøbing")
    event(2, text="東京都")
    event(3, text="Żółć 🎈🎈🎈")
    assert found("Ærøsk") == [1]
    assert found("東京都") == found("東") == [2]
    assert found("Żółć 🎈🎈🎈") == [3]
    if index is None or index.anywhere:
        assert found("京") == [2]
        assert found("🎈🎈🎈") == [3]


def test_capitals_of_other_scripts_are_found_where_the_database_knows_them(
    index: SearchIndex | None,
) -> None:
    """PostgreSQL knows what its locale knows; SQLite's LIKE knows A to Z, and FTS5 knows all."""
    event(1, text="ÄRÖSKÖ")
    knows = connection.vendor == "postgresql" or (index is not None and index.in_order)
    assert found("ärös") == ([1] if knows else [])


def test_the_longest_representations_are_stored_and_found(index: SearchIndex | None) -> None:
    event(1, text="x" * 9_990 + "the end")
    event(2, text="x" * 10_000)
    assert found("x" * 150) == [1, 2]
    if index is None or index.anywhere:
        assert found("xThe End") == [1]


def test_only_the_window_is_searched(index: SearchIndex | None) -> None:
    for pk in range(1, 8):
        event(pk, text=f"Order {pk}")
    assert found("order", before=4) == [1, 2, 3]
    assert found("order", after=4) == [5, 6, 7]
    assert found("order", after=2, before=5) == [3, 4]


def test_more_matches_than_a_page_chooses_from_are_given_piece_by_piece(
    index: SearchIndex | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST", 3)
    monkeypatch.setattr(search, "LOOKED_AT", 5)
    for pk in range(1, 12):
        event(pk, text=f"Order {pk}" if pk > 1 else "nothing")
    index = search_index.index("default")
    back = search.find("default", index, "order", Window(before=10), False)
    assert (list(back.ids), back.last) == ([9, 8, 7], 7)
    forward = search.find("default", index, "order", Window(after=3), True)
    assert (list(forward.ids), forward.last) == ([4, 5, 6], 6)


def test_without_an_index_a_search_stops_after_a_part_and_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 5)
    event(1, text="rare")
    for pk in range(2, 14):
        event(pk, text="common")
    stopped = search.find("default", None, "rare", Window(), False)
    assert (list(stopped.ids), stopped.last) == ([], 9)
    last = search.find("default", None, "rare", Window(before=4), False)
    assert (list(last.ids), last.last) == ([1], None)


def test_an_index_finds_what_is_rare_however_far_back_it_is(
    made: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 5)
    event(1, text="rare")
    for pk in range(2, 14):
        event(pk, text="common")
    result = search.find("default", made, "rare", Window(), False)
    assert (list(result.ids), result.last) == ([1], None)


@pytest.mark.proof
def test_the_page_lists_what_was_found_newest_first_and_goes_on(
    reader: Client, index: SearchIndex | None
) -> None:
    for pk in range(1, 121):
        event(pk, text=f"Order {pk}" if pk % 2 else "else")
    first = page(reader, f"{LOG}?text=order")
    assert ids(reader, f"{LOG}?text=order") == list(range(119, 20, -2))
    older = link(first, "Older")
    assert older is not None
    assert "text=order" in older
    assert ids(reader, LOG + older) == list(range(19, 0, -2))
    newer = link(page(reader, LOG + older), "Newer")
    assert newer is not None
    assert ids(reader, LOG + newer) == list(range(119, 20, -2))
    assert ids(reader, f"{LOG}?text=order&q=117") == [117]
    assert ids(reader, f"{LOG}?text=order&action__exact=D") == []
    assert ids(reader, f"{LOG}?text=order&until=2001-01-01") == []


@pytest.mark.parametrize("period", ["since=2020-01-01", "until=2020-01-01"])
def test_an_empty_log_is_searched_within_a_period(
    reader: Client, index: SearchIndex | None, period: str
) -> None:
    assert not AuditLog.objects.exists()
    assert ids(reader, f"{LOG}?text=abc&{period}") == []
    exported = reader.get(f"{LOG}?text=abc&{period}&export=jsonl")
    [last] = b"".join(exported).splitlines()  # type: ignore[arg-type]
    assert b"complete" in last


def test_the_page_says_how_it_searches(reader: Client, index: SearchIndex | None) -> None:
    said = words(page(reader, LOG))
    assert ("Beginning of a representation only" in said) == (
        index is not None and not index.anywhere
    )
    assert ("Searches the newest" in said) == (index is None)
    assert ("Any part of a representation" in said) == (index is None or index.anywhere)


def test_the_search_form_is_labeled_and_keeps_what_was_asked_for(reader: Client) -> None:
    html = page(reader, f"{LOG}?text=%22%3E%3Cb%3E&action__exact=I&q=1")
    assert '<label for="search-text">Text</label>' in html
    assert 'aria-describedby="search-text-help"' in html
    assert 'name="text" value="&quot;&gt;&lt;b&gt;"' in html
    assert 'type="hidden" name="action__exact" value="I"' in html
    form = html[html.index('id="changelist-search"') :]
    assert 'type="hidden" name="text"' not in form[: form.index("</form>")]
    assert reader.get(f"{LOG}?text=%00", follow=True).status_code == 200


def test_a_search_finds_nothing_that_the_reader_may_not_see(index: SearchIndex | None) -> None:
    event(1, text="Order 1")
    event(2, text="Order 2", table_name="app_tag")
    assert ids(staff("view_auditlog", "view_tag"), f"{LOG}?text=order") == [2]


@pytest.mark.proof
def test_a_search_takes_as_many_queries_whatever_it_finds(
    reader: Client, index: SearchIndex | None
) -> None:
    for pk in range(1, 4):
        event(pk, text=f"Order {pk}")
    with CaptureQueriesContext(connection) as few:
        page(reader, f"{LOG}?text=order")
    for pk in range(4, 300):
        event(pk, text=f"Order {pk}")
    with CaptureQueriesContext(connection) as many:
        page(reader, f"{LOG}?text=order")
    assert len(many) <= len(few)
    asked = [query["sql"].upper() for query in many]
    # Whether the triggers are there is counted in the catalog.
    assert [sql for sql in asked if "COUNT(" in sql and "PG_TRIGGER" not in sql] == []


def in_step() -> None:
    """FTS5 compares its index with the table, and complains."""
    if connection.vendor == "sqlite" and "auditrepr_repr_trigrams" in tables():
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO auditrepr_repr_trigrams (auditrepr_repr_trigrams, rank)"
                " VALUES ('integrity-check', 1)"
            )


def tables() -> list[str]:
    with connection.cursor() as cursor:
        return connection.introspection.table_names(cursor)


def test_an_export_finds_what_no_page_reads_at_once(
    index: SearchIndex | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 4)
    monkeypatch.setattr(search, "MOST", 3)
    monkeypatch.setattr(search, "COMMON", 2)
    for pk in range(1, 21):
        event(pk, text=f"Order {pk}" if pk % 2 else f"Bill {pk}")
    made = Export(AuditLog.objects.all(), visible_now("default"), text="order", index=index)
    assert [one["id"] for page in made.pages() for one in page.records] == list(range(1, 21, 2))
    assert made.complete


@pytest.mark.sqlite
def test_an_index_that_is_out_of_step_would_be_noticed(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("settings").AUDITREPR = {"SEARCH": True}
    search_index.install("default")
    event(1, text="Order")
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER search_auditrepr_instancerepr_update")
    InstanceRepr.objects.update(instance_repr="Bill")
    with pytest.raises(DatabaseError, match="malformed"):
        in_step()


def test_the_index_follows_what_the_job_stores_rebuilds_and_prunes(
    made: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = Author.objects.create(name="Ada")
    call_command("backfill_reprs", verbosity=0)
    (pk,) = AuditLog.objects.filter(object_id=author.pk).values_list("pk", flat=True)
    assert found("Ada") == [pk]
    in_step()
    monkeypatch.setattr(Author, "__str__", lambda self: f"Countess {self.name}")
    call_command("rebuild_reprs", verbosity=0)
    assert found("Countess") == [pk]
    assert found("Ada") == ([pk] if made.anywhere else [])
    in_step()
    InstanceRepr.objects.all()._raw_delete("default")
    assert found("Countess") == []
    in_step()


def test_an_index_that_is_made_later_holds_what_was_stored_before(
    request: pytest.FixtureRequest, extension: None
) -> None:
    event(1, text="stored before")
    request.getfixturevalue("settings").AUDITREPR = {"SEARCH": True}
    assert search_index.install("default")
    assert found("before") == [1]
    in_step()


def test_migrate_creates_the_index_says_so_and_drops_it_with_the_setting(
    settings: Any, extension: None
) -> None:
    event(1, text="Order")
    assert migrate() == ""
    settings.AUDITREPR = {"SEARCH": True}
    assert "created an index that matches any part of the text" in migrate()
    assert get_vendor("default").search_index() is not None
    assert migrate() == ""
    settings.AUDITREPR = {}
    assert migrate() == ""
    assert get_vendor("default").search_index() is None
    assert found("order") == [1]


def test_where_neither_extension_is_there_migrate_makes_an_index_of_beginnings_and_says_so(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDITREPR = {"SEARCH": True}
    vendor = type(get_vendor("default"))
    with monkeypatch.context() as without:
        without.setattr(vendor, "best_search_index", lambda self: beginnings())
        assert "only the beginning of the text" in migrate()
    assert search_index.index("default") == beginnings()


@pytest.mark.postgresql
def test_without_the_extension_nobody_tries_to_create_it(settings: Any) -> None:
    settings.AUDITREPR = {"SEARCH": True}
    with connection.cursor() as cursor:
        cursor.execute("DROP EXTENSION IF EXISTS pg_trgm CASCADE")
    assert "only the beginning of the text" in migrate()
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION pg_trgm")
    assert "created an index that matches any part of the text" in migrate()


def migrate() -> str:
    """What migrate says of the index."""
    from auditrepr.receivers import after_migrate

    said = StringIO()
    after_migrate(using="default", verbosity=1, stdout=said)
    return "".join(line for line in said.getvalue().splitlines() if "search" in line)


def test_removing_the_triggers_removes_the_index(made: SearchIndex) -> None:
    event(1, text="Order")
    search_index.remove("default")
    search_index.remove("default")
    assert get_vendor("default").search_index() is None
    assert not [name for name in tables() if "trigrams" in name]
    assert found("order") == [1]


@pytest.mark.postgresql
def test_a_search_that_takes_too_long_looks_at_a_part_instead(
    made: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditrepr.vendors.postgresql import search as postgresql

    slow = postgresql.SEARCH.replace("WHERE", "WHERE pg_sleep(20) IS NOT NULL AND")
    monkeypatch.setattr(postgresql, "SEARCH", slow)
    settings = postgresql.SETTINGS.replace(postgresql.PATIENCE, "10ms")
    monkeypatch.setattr(postgresql, "SETTINGS", settings)
    monkeypatch.setattr(search, "LOOKED_AT", 2)
    for pk in range(1, 5):
        event(pk, text="Order")
    result = search.find("default", made, "order", Window(), False)
    assert (list(result.ids), result.last) == ([4, 3], 3)


@pytest.mark.postgresql
def test_a_search_leaves_the_settings_of_the_session_as_they_were(made: SearchIndex) -> None:
    event(1, text="Order")
    assert found("order") == [1]
    with connection.cursor() as cursor:
        for name, value in (("enable_seqscan", "on"), ("statement_timeout", "0")):
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == (value,)
