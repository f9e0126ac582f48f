"""The order of a set that nobody gave: the server's own, which an update may change."""

from __future__ import annotations

import pytest
from django.db import connection

from auditrepr.asof.related_querysets import NO_ORDER
from auditrepr.models import AuditLog
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.app.relations import Order

pytestmark = pytest.mark.django_db(transaction=True)

SHOWS = {
    "loop": lambda order: [child.ref for child in order.children.all()],
    "sorted": lambda order: sorted(child.ref for child in order.children.all()),
    "first by place": lambda order: order.children.all()[0].ref,
    "values": lambda order: list(order.children.filter(ref__gt="a").values_list("ref")),
}
HIDES = {
    "count": lambda order: (order.children.count(), order.children.exists()),
    "order": lambda order: [child.ref for child in order.children.order_by("pk")],
    "first": lambda order: order.children.first().ref,
    "one": lambda order: [child.ref for child in order.children.filter(ref="c")],
}


def reasons(question, monkeypatch) -> list[str]:
    """Why what is said of an order is not certain, before and after one of its two was updated."""
    monkeypatch.setattr(Order, "__str__", lambda order: str(question(order)))
    order = Order.objects.create(ref="a")
    first, _ = (Order.objects.create(ref=ref, parent=order) for ref in "bc")
    Order.objects.filter(pk=order.pk).update(ref="a1")
    Order.objects.filter(pk=first.pk).update(ref="b1")
    Order.objects.filter(pk=order.pk).update(ref="a2")
    rows = AuditLog.objects.filter(table_name="app_order", object_id=str(order.pk)).order_by("pk")
    _, before, after = build([Event.of(row) for row in rows], "default")
    assert (before.failure, after.failure) == (None, None)
    return [before.reason, after.reason]


@pytest.mark.postgresql
@pytest.mark.parametrize("question", SHOWS.values(), ids=SHOWS)
def test_where_a_member_was_updated_the_order_of_a_set_is_in_doubt(question, monkeypatch):
    assert reasons(question, monkeypatch) == ["", NO_ORDER]


@pytest.mark.parametrize("question", HIDES.values(), ids=HIDES)
def test_what_does_not_show_the_order_is_not(question, monkeypatch):
    assert NO_ORDER not in reasons(question, monkeypatch)
    if connection.vendor == "postgresql":
        assert reasons_are_empty(question, monkeypatch)


def reasons_are_empty(question, monkeypatch) -> bool:
    AuditLog.objects.all().delete()
    Order.objects.all().delete()
    return reasons(question, monkeypatch) == ["", ""]


@pytest.mark.postgresql
def test_a_set_of_what_was_updated_in_bulk_is_in_doubt_likewise(monkeypatch):
    monkeypatch.setattr(Author, "__str__", lambda a: str([book.title for book in a.books.all()]))
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(Book(title=title, author=author) for title in "xy")
    Book.objects.filter(title="x").update(title="z")
    Author.objects.update(name="b")
    (outcome,) = build([Event.of(AuditLog.objects.latest("pk"))], "default")
    assert outcome.reason == NO_ORDER
