"""Tests that ``__str__`` reads and writes a cache of its own event, which live code never sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.cache import BaseCache, cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks.registry import registry
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.sql import compiler
from django.test import Client, modify_settings

import auditrepr
from auditrepr.exceptions import CacheOutOfReach
from auditrepr.isolation import isolated
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import Outcome, build
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.app.relations import Line, Order
from tests.cache_backends import Shelf
from tests.examples import examples
from tests.pages import LOG, page, reader  # noqa: F401
from tests.running import run, texts

pytestmark = pytest.mark.django_db(transaction=True)

BACKENDS = "django.core.cache.backends"
#: Made by hand, and held by a module since its import.
BY_HAND = LocMemCache("by hand", {})
(EXAMPLE,) = examples("docs/exact-and-mixed.md", "python")


@pytest.fixture(autouse=True)
def _caches(settings: Any, tmp_path: Any) -> Iterator[None]:
    settings.CACHES = {
        "default": {"BACKEND": f"{BACKENDS}.locmem.LocMemCache", "KEY_PREFIX": "p", "VERSION": 3},
        "files": {"BACKEND": f"{BACKENDS}.filebased.FileBasedCache", "LOCATION": str(tmp_path)},
        "table": {"BACKEND": f"{BACKENDS}.db.DatabaseCache", "LOCATION": "cached"},
        "nothing": {"BACKEND": f"{BACKENDS}.dummy.DummyCache"},
        "shelf": {"BACKEND": "tests.cache_backends.Shelf", "LOCATION": "here"},
        "slow": {"BACKEND": "tests.cache_backends.Slow", "LOCATION": "here"},
        "bag": {"BACKEND": "tests.cache_backends.Bag"},
    }
    call_command("createcachetable", verbosity=0)
    for one in [*caches.all(), BY_HAND]:
        one.clear()
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE cached")


@pytest.fixture
def said_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has authors, or objects of another model, say this of themselves."""
    return lambda text, model=Author: monkeypatch.setattr(model, "__str__", text)


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Any]]:
    """Calls a function in a thread of live code, which goes on beside the one that builds."""
    with ThreadPoolExecutor(1) as thread:
        yield lambda function, *args: thread.submit(function, *args).result()


def story() -> Author:
    """Four events, of an author and a book, whose texts differ."""
    author = Author.objects.create(name="old")
    book = Book.objects.create(title="b", author=author)
    author.name = "new"
    author.save()
    book.title = "c"
    book.save()
    return author


TEXTS = ["old", "b (old)", "new", "c (new)"]


def built() -> list[str]:
    """The texts of all events, which have to be exact."""
    outcomes = all_outcomes()
    assert [(o.failure, o.reason) for o in outcomes] == [(None, "")] * len(outcomes)
    return [o.text for o in outcomes]


def all_outcomes() -> list[Outcome]:
    return build([Event.of(row) for row in AuditLog.objects.order_by("pk")], "default")


def ends_clean() -> None:
    """Nothing stands before the live caches any more."""
    assert "__getattribute__" not in vars(BaseCache)


HELD = {
    **{alias: lambda alias=alias: caches[alias] for alias in ("files", "table", "shelf", "slow")},
    "default": lambda: cache,
    "bag": lambda: caches["bag"],
    "by hand": lambda: BY_HAND,
    "held": lambda: held_by_a_module,
}
held_by_a_module: Any = None


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("kind", HELD)
def test_each_kind_of_cache_is_the_events_own(
    kind: str, warm: bool, said_by: Any, elsewhere: Any
) -> None:
    """Whoever made it, and whether it holds today's value or nothing."""
    global held_by_a_module
    held_by_a_module = caches["default"]
    live = HELD[kind]()
    seen = set()

    def text(author: Author) -> str:
        said = HELD[kind]().get_or_set(f"author-{author.pk}", author.name)
        if kind != "table":  # which would take another connection
            seen.add(elsewhere(lambda: live.get(f"author-{author.pk}")))
        return said

    said_by(text)
    author = story()
    live.set("mine", "kept")
    if warm:
        live.set(f"author-{author.pk}", "today")
    assert built() == TEXTS
    today = "today" if warm else None
    assert (live.get(f"author-{author.pk}"), live.get("mine")) == (today, "kept")
    assert seen <= {today}
    ends_clean()


def test_a_cache_that_keeps_nothing_keeps_nothing_of_the_event_either(said_by: Any) -> None:
    def text(author: Author) -> str:
        nothing = caches["nothing"]
        nothing.set("name", author.name)
        added = [nothing.add("name", author.name) for _ in range(2)]
        return f"{nothing.get('name')} {added} {nothing.get_or_set('name', author.name)}"

    said_by(text)
    author = Author.objects.create(name="old")
    assert str(author) == "None [True, True] old"
    assert built() == [str(author)]


def test_every_method_works_on_what_is_the_events_own(said_by: Any) -> None:
    def text(author: Author) -> str:
        assert cache.get("n") is None
        assert "n" not in cache
        assert cache.add("n", 1)
        assert not cache.add("n", 5)
        assert cache.incr("n") == 2
        assert cache.decr("n") == 1
        assert cache.touch("n")
        assert cache.set_many({"a": [1], "b": 2}) == []
        assert cache.get_many(["a", "b", "live"]) == {"a": [1], "b": 2}
        cache.set("v", "two", version=2)
        assert (cache.get("v"), cache.get("v", version=2)) == (None, "two")
        assert cache.incr_version("v", version=2) == 3
        assert cache.get("v") == "two"
        cache.delete_many(["a"])
        assert cache.delete("b")
        assert cache.make_key("k") == "p:3:k"
        cache.set("gone", 1, 0)
        assert cache.get_or_set("gone", lambda: 3) == 3
        cache.clear()
        assert not cache.has_key("n")
        cache.close()
        return author.name

    said_by(text)
    Author.objects.create(name="a")
    cache.set_many({"live": 1, "n": 7})
    assert built() == ["a"]
    assert cache.get_many(["live", "n"]) == {"live": 1, "n": 7}


def test_asynchronous_code_has_the_same_cache(said_by: Any) -> None:
    async def ask(author: Author) -> str:
        await cache.aset("name", author.name)
        assert cache.get("name") == author.name
        return await cache.aget_or_set(f"author-{author.pk}", author.name)

    said_by(lambda author: async_to_sync(ask)(author))
    author = story()
    assert built() == TEXTS
    assert cache.get_many(["name", f"author-{author.pk}"]) == {}


def test_a_value_is_copied_and_an_object_of_the_past_stays_what_it_is(said_by: Any) -> None:
    """A copy of it would read today's relations."""

    def text(book: Book) -> str:
        names = cache.get_or_set("names", list)
        names.append(1)
        assert cache.get("names") == []
        cache.set("loose", lambda: "loose")
        assert cache.get("loose")() == "loose"
        return f"{book.title} by {cache.get_or_set('book', [book])[0].author.name}"

    said_by(text, Book)
    story()
    assert built() == ["old", "b by old", "new", "c by new"]


def test_an_event_whose_text_fails_leaves_nothing(said_by: Any) -> None:
    def text(author: Author) -> str:
        if cache.get("there"):
            return "the one before has left something"
        cache.set("there", True)
        raise ValueError

    said_by(text)
    Author.objects.create(name="a")
    Author.objects.create(name="b")
    assert [o.failure.error_class for o in all_outcomes() if o.failure] == ["ValueError"] * 2
    assert cache.get("there") is None
    ends_clean()


def test_what_makes_an_object_has_a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Related objects are made for all events together."""

    @classmethod  # type: ignore[misc]
    def from_db(cls: Any, db: str, names: Any, values: Any) -> Author:
        author: Author = super(Author, cls).from_db(db, names, values)
        author.name = cache.get_or_set("name", author.name)
        return author

    story()
    monkeypatch.setattr(Author, "from_db", from_db, raising=False)
    assert built() == TEXTS
    assert cache.get("name") is None


def test_a_method_that_a_project_adds_works_and_what_leads_outside_is_refused(
    said_by: Any,
) -> None:
    def text(author: Author) -> str:
        shelf: Any = caches["shelf"]
        assert isinstance(shelf, Shelf)
        assert not hasattr(shelf, "no_such_thing")
        for name in ("shelf", "place", "_place"):
            with pytest.raises(CacheOutOfReach, match="REPR"):
                getattr(shelf, name)
        return str(shelf.remembered(f"author-{author.pk}", lambda: author.name))

    said_by(text)
    story()
    Shelf.shelf["x"] = "live"
    assert built() == TEXTS
    assert Shelf.shelf == {"x": "live"}


def test_a_cache_that_is_made_meanwhile_is_whole_afterwards(
    said_by: Any, tmp_path: Any, settings: Any
) -> None:
    from django.core.cache.backends.filebased import FileBasedCache

    made: list[FileBasedCache] = []

    def text(author: Author) -> str:
        made.append(FileBasedCache(str(tmp_path / "made"), {}))
        made[-1].set("a", author.name)
        return str(made[-1].get("a"))

    said_by(text)
    Author.objects.create(name="a")
    settings.CACHES = {**settings.CACHES}  # its objects are made anew, by whoever asks first
    assert built() == ["a"]
    assert made[0].get("a") is None
    made[0].set("a", "live")
    assert made[0].get("a") == "live"


def test_hooks_on_commit_leave_nothing(said_by: Any) -> None:
    def text(author: Author) -> str:
        transaction.on_commit(lambda: cache.set("late", author.name))
        return author.name

    said_by(text)
    author = story()
    assert built() == TEXTS
    with transaction.atomic():
        assert built() == TEXTS
        with auditrepr.past():
            str(author)
            cache.set("in-the-block", 1)
    assert cache.get_many(["late", "in-the-block"]) == {}


def test_a_hook_of_live_code_around_the_past_is_still_done() -> None:
    done: list[Any] = []
    cache.set("live", "today")
    with transaction.atomic():
        transaction.on_commit(lambda: done.append(cache.get("live")))
        with auditrepr.past():
            transaction.on_commit(lambda: done.append(cache.get("live", "of nobody")))
    assert done == ["today", "of nobody"]


@pytest.mark.proof
def test_the_job_and_the_pages_leave_nothing(said_by: Any, reader: Client) -> None:  # noqa: F811
    said_by(lambda author: cache.get_or_set(f"author-{author.pk}", author.name))
    author = story()
    cache.set(f"author-{author.pk}", "today")
    first = AuditLog.objects.order_by("pk")[0]
    for url in (LOG, f"{LOG}{first.pk}/change/"):
        assert "today" not in page(reader, url)
    run()
    assert texts() == TEXTS
    assert cache.get(f"author-{author.pk}") == "today"


def test_an_object_as_of_a_moment_is_made_in_isolation_and_used_in_a_block(said_by: Any) -> None:
    said_by(lambda author: cache.get_or_set(f"author-{author.pk}", author.name))
    author = story()
    then = AuditLog.objects.filter(table_name="app_book").earliest("pk")
    cache.set(f"author-{author.pk}", "today")
    old = auditrepr.as_of(Book, then, pk=then.object_id)
    with auditrepr.past():
        assert str(old) == "b (old)"
        assert cache.get(f"author-{author.pk}") == "old"
    assert cache.get(f"author-{author.pk}") == "today"
    assert str(old) == "b (today)"  # as the docs say
    ends_clean()


def test_the_example_of_the_docs(said_by: Any, capsys: pytest.CaptureFixture[str]) -> None:
    said_by(lambda author: cache.get_or_set("author", author.name))
    story()
    event = AuditLog.objects.filter(table_name="app_book").earliest("pk")
    exec(EXAMPLE, {"book": Book.objects.get(), "event": event})
    assert capsys.readouterr().out == "b (old)\n"
    assert cache.get("author") is None


def test_a_thread_takes_the_isolation_along(elsewhere: Any) -> None:
    cache.set("a", "live")
    with auditrepr.past():
        assert elsewhere(lambda: cache.get("a")) == "live"
        assert elsewhere(copy_context().run, lambda: cache.get("a")) is None


def test_between_events_nothing_is_kept() -> None:
    with isolated() as isolation:
        cache.set("a", 1)
        assert cache.get("a") is None
        isolation.begin()
        cache.set("a", 1)
        assert cache.get("a") == 1
        isolation.end()
        assert cache.get("a") is None


# --- what Django itself keeps -------------------------------------------------------------------


def test_content_types_are_read_once_for_a_batch_and_not_kept(
    said_by: Any,
) -> None:
    said_by(lambda author: ContentType.objects.get_for_model(author).model + author.name)
    for number in range(3):
        Author.objects.create(name=str(number))
    ContentType.objects.clear_cache()
    events = [Event.of(row) for row in AuditLog.objects.order_by("pk")]
    with count_of("django_content_type") as asked:
        outcomes = build(events, "default")
    assert [(o.text, o.fidelity) for o in outcomes] == [
        (f"author{number}", Fidelity.EXACT) for number in range(3)
    ]
    assert len(asked) == 1
    assert ContentType.objects._cache == {}  # type: ignore[attr-defined]
    live = ContentType.objects.get_for_model(Author)
    assert ContentType.objects.get_for_id(live.pk) is live


@contextmanager
def count_of(table: str) -> Iterator[list[str]]:
    """The queries that name this table."""
    found: list[str] = []

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        if table in sql:
            found.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        yield found


def test_the_current_site_is_each_events_own(said_by: Any, settings: Any) -> None:
    settings.SITE_ID = 1
    with modify_settings(INSTALLED_APPS={"append": "django.contrib.sites"}):
        from django.contrib.sites import models as sites
        from django.contrib.sites.checks import check_site_id

        with connection.schema_editor() as editor:
            editor.create_model(sites.Site)
        try:
            sites.Site.objects.create(pk=1, name="live", domain="live.test")
            live = sites.Site.objects.get_current()
            sites.Site.objects.filter(pk=1).update(name="changed")

            def text(author: Author) -> str:
                first = sites.Site.objects.get_current()
                assert sites.Site.objects.get_current() is first
                seen.append(first)
                sites.Site.objects.clear_cache()
                return first.name

            seen: list[Any] = []
            said_by(text)
            Author.objects.create(name="a")
            Author.objects.create(name="b")
            assert [o.text for o in all_outcomes()] == ["changed", "changed"]
            assert seen[0] is not seen[1]
            assert sites.Site.objects.get_current() is live
        finally:
            sites.Site.objects.clear_cache()
            with connection.schema_editor() as editor:
                editor.delete_model(sites.Site)
            # No other test knows of it, nor of its check.
            registry.registered_checks.discard(check_site_id)
            apps.all_models.pop("sites")
            admin.site.unregister(sites.Site)
            for module in ("models", "admin"):
                del sys.modules[f"django.contrib.sites.{module}"]


# --- packages that cache queries ----------------------------------------------------------------


@pytest.fixture
def cached_queries(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """As packages do that patch Django's compiler and its querysets: nothing asks twice."""
    kept: dict[Any, Any] = {}
    execute_sql, fetch_all = compiler.SQLCompiler.execute_sql, QuerySet._fetch_all  # type: ignore[attr-defined]

    def cached_sql(asker: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(asker, compiler.SQLInsertCompiler | compiler.SQLUpdateCompiler):
            return execute_sql(asker, *args, **kwargs)
        key = str(asker.as_sql())
        if key not in kept:
            found = execute_sql(asker, *args, **kwargs)
            kept[key] = list(found) if hasattr(found, "__next__") else found
        return kept[key]

    def cached_rows(rows: Any) -> None:
        key = f"rows {rows.query}"
        if rows._result_cache is None and key in kept:
            rows._result_cache = kept[key]
        fetch_all(rows)
        kept[key] = rows._result_cache

    monkeypatch.setattr(compiler.SQLCompiler, "execute_sql", cached_sql)
    monkeypatch.setattr(QuerySet, "_fetch_all", cached_rows)
    return kept


@pytest.mark.proof
def test_queries_are_not_answered_from_a_cache_of_queries(
    said_by: Any, cached_queries: dict[Any, Any]
) -> None:
    """The same SQL has another answer at each event, and none of them is for live code."""
    said_by(lambda order: f"{order.lines.count()} {[n.item for n in order.lines.all()]}", Order)
    order = Order.objects.create(ref="o")
    Line.objects.create(order=order, item="a")
    order.save()
    order.ref = "p"
    order.save()
    Line.objects.create(order=order, item="b")
    assert str(order) == "2 ['a', 'b']"
    live = about_orders(cached_queries)
    run()
    said = [
        outcome.text
        for outcome, row in zip(all_outcomes(), AuditLog.objects.order_by("pk"), strict=True)
        if row.table_name == Order._meta.db_table
    ]
    assert said == ["0 []", "1 ['a']"]
    assert about_orders(cached_queries) == live != {}


def about_orders(kept: dict[Any, Any]) -> dict[Any, Any]:
    return {key: found for key, found in kept.items() if Line._meta.db_table in key}


@pytest.mark.proof
def test_the_page_of_the_log_shows_no_old_page(
    reader: Client,  # noqa: F811
    cached_queries: dict[Any, Any],
) -> None:
    Author.objects.create(name="first")
    assert "first" in page(reader, LOG)
    Author.objects.create(name="second")
    assert "second" in page(reader, LOG)
    run()
    assert texts() == ["first", "second"]
    Author.objects.create(name="third")
    assert len(AuditLog.objects.all()) == AuditLog.objects.count() == 3
    run()
    assert texts() == ["first", "second", "third"]


def test_live_code_keeps_its_cache_of_queries(cached_queries: dict[Any, Any]) -> None:
    AuditLog.objects.count()
    Author.objects.create(name="a")
    assert Author.objects.count() == 1
    Author.objects.create(name="b")
    assert Author.objects.count() == 1
