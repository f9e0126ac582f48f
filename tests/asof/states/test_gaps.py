"""Tests fidelity after a gap in capture: exact only where the state is certain again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

import auditrepr
from auditrepr import capture, doubts
from auditrepr.asof.states.states import BESIDE
from auditrepr.models import AuditLog, Coverage, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.app.moment import Node
from tests.app.relations import Line, Order
from tests.capturing import next_moment, sql
from tests.oracle import Oracle

pytestmark = pytest.mark.django_db(transaction=True)

GAP = "capture of app_author was interrupted or started later"


@contextmanager
def uncaptured(*tables: str) -> Iterator[None]:
    """Inside, the tables have no triggers; afterwards, coverage begins again."""
    vendor = get_vendor("default")
    for table in tables:
        vendor.execute(vendor.remove_sql(table))
    capture.note_gaps("default")
    try:
        yield
    finally:
        capture.install("default")


def last_book() -> tuple[str, list[str]]:
    """What is built of the last event of a book."""
    row = AuditLog.objects.filter(table_name="app_book").latest("pk")
    (outcome,) = build([Event.of(row)], "default")
    assert outcome.failure is None, outcome.failure
    return outcome.text, outcome.reason.splitlines()


@pytest.mark.proof
def test_what_a_gap_has_changed_is_what_is_there_today_and_exact():
    author = Author.objects.create(name="before")
    book = Book.objects.create(title="t", author=author)
    with uncaptured("app_author"):
        Author.objects.update(name="in the gap")
    Book.objects.filter(pk=book.pk).update(title="u")
    assert last_book() == ("u (in the gap)", [])


def test_what_a_gap_has_changed_is_what_the_next_event_found_and_exact():
    author = Author.objects.create(name="before")
    book = Book.objects.create(title="t", author=author)
    with uncaptured("app_author"):
        Author.objects.update(name="in the gap")
    Book.objects.filter(pk=book.pk).update(title="u")
    Author.objects.update(name="after")
    Author.objects.update(name="long after")
    assert last_book() == ("u (in the gap)", [])


def test_what_came_before_the_end_of_the_gap_stays_in_doubt():
    author = Author.objects.create(name="before")
    with uncaptured("app_author"):
        Author.objects.update(name="in the gap")
        Book.objects.create(title="t", author=author)
    assert last_book() == ("t (before)", [GAP])


@pytest.mark.proof
def test_what_a_gap_has_deleted_is_gone_and_what_it_brought_is_there(monkeypatch):
    author, other = (Author.objects.create(name=name) for name in "ab")
    monkeypatch.setattr(
        Book, "__str__", lambda book: f"{Author.objects.count()} {[a.name for a in sets(book)]}"
    )

    def sets(book):
        return [book.author] if book.author else []

    with uncaptured("app_author"):
        other.delete()
        Author.objects.filter(pk=author.pk).delete()
        sql(f"INSERT INTO app_author (id, name) VALUES ({author.pk}, 'new')")
    Book.objects.create(title="t", author=author)
    Author.objects.filter(pk=author.pk).delete()
    row = AuditLog.objects.filter(table_name="app_book", action="I").get()
    (outcome,) = build([Event.of(row)], "default")
    assert (outcome.text, outcome.reason) == ("1 ['new']", "")


@pytest.mark.proof
def test_a_set_whose_members_came_and_went_in_a_gap_is_exact_again():
    order, other = (Order.objects.create(ref=ref) for ref in "ab")
    for item in ("ink", "pen"):
        Line.objects.create(order=order, item=item)
    with uncaptured("app_line"):
        Line.objects.filter(item="ink").update(order=other)
        Line.objects.create(order=order, item="cap")
    Order.objects.filter(pk=order.pk).update(ref="c")
    moment = AuditLog.objects.latest("pk")
    Line.objects.all().update(order=other)
    past = auditrepr.as_of(order, moment)
    assert ([line.item for line in past.lines.all()], doubts(past)) == (["cap", "pen"], [])


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_table_that_was_emptied_before_coverage_began_is_not_emptied_after_it():
    author = Author.objects.create(name="before")
    sql("TRUNCATE app_author CASCADE")
    with uncaptured("app_author"):
        sql(f"INSERT INTO app_author (id, name) VALUES ({author.pk}, 'again')")
    book = Book.objects.create(title="t", author=author)
    assert last_book() == ("t (again)", [])
    Author.objects.all().update(name="later")
    Book.objects.filter(pk=book.pk).update(title="u")
    sql("TRUNCATE app_author CASCADE")
    rows = AuditLog.objects.filter(table_name="app_book").exclude(object_id=None)
    said = [(one.text, one.reason) for one in build([Event.of(row) for row in rows], "default")]
    assert said[:2] == [("t (again)", ""), ("u (later)", "")]


@pytest.mark.postgresql
def test_a_change_that_was_under_way_when_coverage_began_is_seen_by_nobody_before_its_end():
    """Its event is from before coverage, and after the moment."""
    author = Author.objects.create(name="before")
    book = Book.objects.create(title="t", author=author)
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE app_author SET name = 'late'")
    Coverage.objects.filter(table_name="app_author").update(since_event=None)
    capture.note_gaps("default")
    since = Coverage.objects.get(table_name="app_author").since_event
    Book.objects.filter(pk=book.pk).update(title="u")
    with other.cursor() as cursor:
        cursor.execute("COMMIT")
    other.close()
    assert AuditLog.objects.filter(table_name="app_author").latest("pk").pk <= since
    assert last_book() == ("u (before)", [])


@pytest.mark.proof
def test_a_thousand_moments_after_a_gap_take_as_many_queries_as_ten(django_assert_max_num_queries):
    def queries(count: int) -> int:
        authors = Author.objects.bulk_create(Author(name=f"a{n}") for n in range(count))
        with uncaptured("app_author"):
            Author.objects.update(name="in the gap")
        Book.objects.bulk_create(Book(title="t", author=author) for author in authors)
        rows = AuditLog.objects.filter(table_name="app_book").order_by("-pk")[:count]
        events = [Event.of(row) for row in rows]
        with django_assert_max_num_queries(200) as captured:
            outcomes = build(events, "default")
        assert {(o.text, o.fidelity) for o in outcomes} == {("t (in the gap)", Fidelity.EXACT)}
        return len(captured)

    queries(1)  # fills Django's caches
    assert queries(10) == queries(1000)


# --- events that do not tell statements apart ----------------------------------------------------


def as_another_log_has_them(**values: object) -> None:
    """Events of one transaction, which share its time, and nothing tells their statements."""
    at = AuditLog.objects.order_by("pk").first().occurred_at
    AuditLog.objects.update(occurred_at=at, statement_at=None, **values)


def test_two_changes_of_a_tree_at_one_time_are_exact_only_where_a_statement_is_known():
    oracle = Oracle([Node])
    with oracle.listening():
        root = Node.objects.create(name="r")
        leaf = Node.objects.create(name="l", parent=root)
        next_moment()
        before = AuditLog.objects.latest("pk").pk
        with transaction.atomic():
            Node.objects.filter(pk=leaf.pk).update(name="m")
            Node.objects.filter(pk=root.pk).update(name="s")
        Node.objects.filter(pk=leaf.pk).delete()
    AuditLog.objects.filter(pk__lte=before).delete()
    as_another_log_has_them()
    found = build([Event.of(row) for row in AuditLog.objects.order_by("pk")], "default")
    untrue = [one for one in found if one.text != oracle.expected[one.id]]
    assert untrue, "nothing is told apart here"
    assert {one.reason for one in untrue} == {BESIDE}


def test_two_deletions_at_one_time_may_have_been_two_statements():
    root = Node.objects.create(name="r")
    leaf = Node.objects.create(name="l", parent=root)
    sql(f"UPDATE app_node SET parent_id = NULL WHERE id = {leaf.pk}")
    AuditLog.objects.all().delete()
    with transaction.atomic():
        Node.objects.filter(pk=root.pk)._raw_delete("default")
        Node.objects.filter(pk=leaf.pk)._raw_delete("default")
    as_another_log_has_them(transaction_id=None, snapshot=None)
    AuditLog.objects.filter(object_id=leaf.pk).update(
        row_data=AuditLog.objects.get(object_id=leaf.pk).row_data | {"parent_id": root.pk}
    )
    row = AuditLog.objects.get(object_id=leaf.pk)
    (outcome,) = build([Event.of(row)], "default")
    assert BESIDE in outcome.reason.splitlines()
