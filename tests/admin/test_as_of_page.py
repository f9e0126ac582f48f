"""Tests the page of an object as of one moment, or of two side by side."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.models import AuditLog
from auditrepr.readers import past_objects
from auditrepr.utils.time_limit import PageTimeLimit
from tests.app.models import Author, Book, Tag
from tests.app.relations import Order
from tests.app.saving import Notice
from tests.capturing import next_moment
from tests.pages import LOG, link, page, reader, staff, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db


def as_of(table_name: str, object_id: object, **more: object) -> str:
    given = "".join(f"&{name}={str(value).replace('+', '%2B')}" for name, value in more.items())
    return f"{LOG}object/as-of/?table_name={table_name}&object_id={object_id}{given}"


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(PageTimeLimit, "SECONDS", 60.0)


@pytest.fixture
def book() -> Book:
    """A book whose title, author, author's name and tags have changed since the first day."""
    ann = Author.objects.create(name="Ann")
    book = Book.objects.create(title="Old", author=ann, price=5)
    book.tags.add(Tag.objects.create(label="late"), Tag.objects.create(label="early"))
    backdate()
    next_moment()
    Author.objects.update(name="Anna")
    Book.objects.update(title="New", author=Author.objects.create(name="Bob"))
    book.tags.all().delete()
    return book


YESTERDAY = timedelta(days=1)


def backdate() -> None:
    """All that has happened so far happened yesterday."""
    AuditLog.objects.update(occurred_at=timezone.now() - YESTERDAY)


@pytest.mark.proof
def test_shows_the_whole_object_with_the_names_of_then(reader: Client, book: Book) -> None:
    when = timezone.now() - YESTERDAY / 2
    text = words(page(reader, as_of("app_book", book.pk, at=when.isoformat())))
    assert f"Book {book.pk} as it was" in text
    assert "Old (Ann)" in text
    assert "Title Old Author Ann Price 5.00" in text
    assert "Secret (not recorded)" in text
    assert "Tags early, late" in text or "Tags late, early" in text
    assert "Anna" not in text
    assert "mixed: partly current, guessed or missing data" in text
    assert "secret: not recorded" in text


@pytest.mark.proof
def test_says_that_all_of_it_is_exact(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    event = AuditLog.objects.latest("pk")
    Author.objects.update(name="Anna")
    text = words(page(reader, as_of("app_author", author.pk, event=event.pk)))
    assert "exact: built only from data as of this moment" in text
    assert "Name Ann" in text
    assert f"after event {event.pk}" in text


@pytest.mark.proof
def test_two_moments_stand_side_by_side(reader: Client, book: Book) -> None:
    then, now = timezone.now() - YESTERDAY / 2, timezone.now()
    url = as_of("app_book", book.pk, at=then.isoformat(), to=now.isoformat())
    text = words(page(reader, url))
    differences, same = text.split("Fields without differences")
    assert "Title Old New Author Ann Bob" in differences
    assert "Tags" in differences
    assert "Price 5.00 5.00" in same
    both = page(reader, as_of("app_book", book.pk, at=now.isoformat(), to=now.isoformat()))
    assert "No differences." in words(both)


@pytest.mark.proof
def test_what_has_the_same_name_and_is_not_the_same_is_told_apart(reader: Client) -> None:
    """Two authors, and two tags."""
    authors = [Author.objects.create(name="Ann") for _ in range(2)]
    old, new = (Tag.objects.create(label=label) for label in ("novel", "other"))
    book = Book.objects.create(title="x", author=authors[0])
    book.tags.add(old)
    first = AuditLog.objects.latest("pk")
    next_moment()
    Book.objects.update(author=authors[1])
    book.tags.set([new])
    Tag.objects.filter(pk=old.pk).update(label="former")
    Tag.objects.filter(pk=new.pk).update(label="novel")
    given = f"table_name=app_book&object_id={book.pk}&event={first.pk}&to=2100-01-01"
    text = words(page(reader, f"{LOG}object/as-of/?{given}"))
    assert f"Author Ann ({authors[0].pk}) Ann ({authors[1].pk})" in text
    assert f"Tags novel ({old.pk}) novel ({new.pk})" in text


@pytest.mark.proof
def test_leads_from_the_history_and_the_event_and_on_to_putting_back(
    reader: Client, book: Book
) -> None:
    history = page(reader, f"{LOG}object/?table_name=app_book&object_id={book.pk}")
    assert f'action="{LOG}object/as-of/?"' in history
    assert 'type="datetime-local"' in history
    event = AuditLog.objects.for_object(book).earliest("pk")
    url = link(page(reader, f"{LOG}{event.pk}/change/"), "The whole object as of this event")
    assert url == as_of("app_book", book.pk, event=event.pk)
    html = page(reader, url)
    back = link(html, "Put the object back to this state")
    assert "excluded from the log" in words(page(reader, str(back)))
    compared = link(html, "Compare with now")
    assert "Differences" in words(page(reader, f"{LOG}object/as-of/{compared}"))


def test_says_that_there_was_no_such_object(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    added = AuditLog.objects.latest("pk")
    url = as_of("app_author", author.pk, at="2001-02-03")
    html = page(reader, url)
    assert f"It did not exist yet: event {added.pk} added it." in words(html)
    assert link(html, f"Event {added.pk}") == f"{LOG}{added.pk}/change/"
    pk = author.pk
    author.delete()
    text = words(page(reader, as_of("app_author", pk, at="2101-02-03")))
    deleted = AuditLog.objects.latest("pk")
    assert f"It had been deleted by event {deleted.pk}." in text
    text = words(page(reader, as_of("app_author", 4711, at="2101-02-03")))
    assert "The log has no event of this object." in text


def test_a_time_is_one_of_the_current_time_zone(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    AuditLog.objects.update(occurred_at="2021-03-01T12:00:00+00:00")
    with timezone.override("Asia/Tokyo"):
        html = page(reader, as_of("app_author", author.pk, at="2021-03-01T20:59"))
        assert "did not exist yet" in words(html)
        html = page(reader, as_of("app_author", author.pk, at="2021-03-01T21:00"))
        assert "Name Ann" in words(html)
        assert 'value="2021-03-01T21:00:00"' in html
        assert "Asia/Tokyo" in words(html)


@pytest.mark.proof
@pytest.mark.parametrize("text", ["2100-01-01", "2999-12-31T12:00"])
def test_a_time_in_the_future_is_not_passed_off_as_known(reader: Client, text: str) -> None:
    book = Book.objects.create(title="x")
    said = "is in the future: what is shown is the object as it is now."
    for given in ({"at": text}, {"at": "2020-01-01", "to": text}):
        shown = words(page(reader, as_of("app_book", book.pk, **given)))
        before, _, after = shown.partition(said)
        assert f"{text[:10]} " in before[-30:]
        assert text[:4] not in after
        assert "now x" in after, "that is what it is shown as"
    assert "future" not in words(page(reader, as_of("app_book", book.pk)))
    now = timezone.now().isoformat()
    assert "future" not in words(page(reader, as_of("app_book", book.pk, at=now)))


@pytest.mark.parametrize("text", ["yesterday", "2021-02-31", "0001-01-01", "9999-12-31", "<b>x"])
def test_what_is_no_time_says_so(reader: Client, text: str) -> None:
    author = Author.objects.create(name="Ann")
    html = page(reader, as_of("app_author", author.pk, at=text))
    problem = f"“{text}” is not a time. Use the form 2026-01-31 12:00."
    assert problem in words(html)
    assert "<b>x" not in html


@pytest.mark.parametrize(
    "given",
    [
        ("nowhere", 1),
        ("app_author", "x"),
        ("app_author", 10**30),
        ("app_author", -(10**30)),
        ("app_author", f"1&event={'9' * 30}"),
    ],
)
def test_what_cannot_be_meant_is_not_found(reader: Client, given: tuple[str, object]) -> None:
    assert reader.get(as_of(*given)).status_code == 404


@pytest.mark.proof
def test_a_key_that_only_the_database_refuses_does_no_harm(reader: Client) -> None:
    assert reader.get(as_of("app_hydrant", "x")).status_code == 200
    put_back = as_of("app_hydrant", "x", at="2026-01-01").replace("as-of", "put-back")
    assert reader.get(put_back).status_code in (200, 403)
    history = f"{LOG}object/?table_name=app_hydrant&object_id=x"
    assert "No events recorded" in words(page(reader, history))


@pytest.mark.proof
def test_takes_the_permissions_of_the_history(book: Book) -> None:
    url = as_of("app_book", book.pk)
    assert staff("view_book", name="a").get(url).status_code == 403
    assert staff("view_auditlog", "view_author", name="b").get(url).status_code == 403
    html = page(staff("view_auditlog", "view_book", name="c"), url)
    assert link(html, "Put the object back to this state") is None


def test_stops_in_time(reader: Client, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PageTimeLimit, "SECONDS", -1.0)
    text = words(page(reader, as_of("app_book", book.pk)))
    assert "Reading the object as it was takes too long." in text


@pytest.mark.proof
@pytest.mark.parametrize("slow", ["build_related", "_sets"])
def test_what_there_was_no_time_for_is_not_called_exact(
    reader: Client, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """The row is read; then the time is over."""
    order = Order.objects.create(ref="A")
    known = getattr(past_objects, slow)

    def late(*given, **options):
        monkeypatch.setattr(PageTimeLimit, "over", True)
        return known(*given, **options)

    url = as_of("app_order", order.pk, event=AuditLog.objects.latest("pk").pk)
    assert "exact: built" in words(page(reader, url))
    monkeypatch.setattr(past_objects, slow, late)
    text = words(page(reader, url))
    assert "There was not enough time to read all of it." in text
    assert "exact: built" not in text


@pytest.mark.proof
def test_takes_as_many_queries_whatever_the_log_holds(reader: Client, book: Book) -> None:
    url = as_of("app_book", book.pk, event=AuditLog.objects.for_object(book).earliest("pk").pk)

    def queries() -> int:
        with CaptureQueriesContext(connection) as sent:
            page(reader, url)
        return len(sent)

    Book.objects.update(title="x")
    few = queries()
    for n in range(30):
        Book.objects.update(title=str(n))
    assert queries() <= few


def test_hostile_texts_do_not_act(reader: Client) -> None:
    notice = Notice.objects.create(title="<script>x</script>", body="\u202e<b>now</b>")
    html = page(reader, as_of("app_notice", notice.pk))
    assert "<script>x" not in html
    assert "<b>now" not in html
    assert "\u202e" not in html
