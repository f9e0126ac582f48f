"""Tests that code which catches an error of the database goes on as it does when it is live."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import DatabaseError, transaction

from auditrepr.models import AuditLog, ReprFailure
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.capturing import next_moment, sql
from tests.running import run

pytestmark = pytest.mark.django_db(transaction=True)

TOO_BIG = "SELECT abs(-9223372036854775807 - 1)"


def fails() -> None:
    sql(TOO_BIG)


def misses() -> None:
    Author.objects.get(pk=-1)


def in_a_block(do: Callable[[], None], **options: bool) -> Callable[[], None]:
    def ask() -> None:
        with transaction.atomic(**options):
            do()

    return ask


def misses_in_a_block() -> None:
    sql("SELECT 1")
    with transaction.atomic():
        Author.objects.get(pk=-1).books.get()


#: What the code of a row does before it goes on.
CAUGHT = {
    "nothing": lambda: None,
    "a query": fails,
    "two queries": lambda: (caught(fails), fails()),
    "in a block": in_a_block(fails),
    "in a block without a savepoint": in_a_block(fails, savepoint=False),
    "in a durable block": in_a_block(fails, durable=True),
    "in two blocks": in_a_block(in_a_block(fails, savepoint=False)),
    "in two blocks without one": in_a_block(in_a_block(fails, savepoint=False), savepoint=False),
    "what is not there": misses,
    "what is not there, in a block": in_a_block(misses),
    "what is not there, in a block without one": in_a_block(misses, savepoint=False),
    "of a set": misses_in_a_block,
}


def caught(do: Callable[[], object]) -> str:
    try:
        do()
    except (DatabaseError, Author.DoesNotExist) as error:
        return type(error).__name__
    return "nothing"


def titles(author: Author) -> list[str]:
    return list(author.books.order_by("pk").values_list("title", flat=True))


def live_and_built(says: Callable[[Author], str], monkeypatch) -> list[tuple[str, str, str]]:
    """What the middle one of five authors says, and the others' names, live and as built."""
    monkeypatch.setattr(Author, "__str__", says)
    for n in range(5):
        author = Author.objects.create(name=f"{n}")
        Book.objects.create(title=f"of {n}", author=author)
    for author in Author.objects.all():
        next_moment()
        Author.objects.filter(pk=author.pk).update(name="changed")
    live = {str(one.pk): str(one) for one in Author.objects.all()}
    rows = AuditLog.objects.filter(table_name="app_author", action="U").order_by("pk")
    events = [Event.of(row) for row in rows]
    Book.objects.update(title="now")
    found = list(build(events, "default"))
    assert [one.failure for one in found] == [None] * 5
    keys = [event.object_id for event in events]
    return [(live[key or ""], one.text, one.reason) for key, one in zip(keys, found, strict=True)]


@pytest.mark.parametrize("which", [[1], [0, 1, 3], [0, 1, 2, 3, 4]], ids=len)
@pytest.mark.parametrize("do", CAUGHT.values(), ids=CAUGHT)
def test_what_it_reads_afterwards_is_there_and_so_is_what_the_next_rows_read(
    do, which, monkeypatch
):
    def says(author: Author) -> str:
        chosen = Author.objects.filter(pk__lt=author.pk).count() in which
        said = caught(do) if chosen else ""
        return f"{said} {titles(author)} {[one.title for one in author.books.all()]}"

    for live, text, reason in live_and_built(says, monkeypatch):
        assert (text, reason) == (live, "")


def test_code_that_catches_everything_does_not_hide_what_another_row_has_cost(monkeypatch):
    def says(author: Author) -> str:
        if Author.objects.filter(pk__lt=author.pk).count() == 1:
            caught(fails)
        try:
            return str(titles(author))
        except Exception:
            return "?"

    for live, text, reason in live_and_built(says, monkeypatch):
        assert (text, reason) == (live, "")


def test_an_error_after_one_that_was_caught_is_that_which_live_code_raises(monkeypatch):
    def says(author: Author) -> str:
        caught(fails)
        raise ValueError(titles(author))

    monkeypatch.setattr(Author, "__str__", says)
    author = Author.objects.create(name="a")
    Book.objects.create(title="of a", author=author)
    Author.objects.update(name="b")
    (event,) = AuditLog.objects.filter(table_name="app_author", action="U")
    (found,) = build([Event.of(event)], "default")
    assert found.failure is not None
    assert (found.failure.error_class, found.failure.message) == ("ValueError", "['of a']")


@pytest.mark.postgresql
def test_a_row_that_hides_the_end_of_its_time_is_not_given_more(monkeypatch, settings):
    settings.AUDITREPR = {"ROW_SECONDS": 0.3}
    tried = []

    def says(author: Author) -> str:
        tried.append(author.pk)
        return caught(lambda: sql("SELECT pg_sleep(60)"))

    author = Author.objects.create(name="a")
    monkeypatch.setattr(Author, "__str__", says)
    run()
    assert ReprFailure.objects.get().error_class == "TimeLimitExceeded"
    assert tried == [author.pk]
