"""Tests rows of truncated tables as of an earlier moment."""

from __future__ import annotations

import pytest

import auditrepr
from auditrepr import doubts
from auditrepr.asof.states.truncations import EMPTIED
from auditrepr.models import AuditLog
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.app.relations import Line, Order
from tests.capturing import sql

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def latest() -> AuditLog:
    return AuditLog.objects.latest("pk")


def lines(order: Order, moment: AuditLog) -> tuple[list[str], list[str]]:
    past = auditrepr.as_of(order, moment)
    return [line.item for line in past.lines.order_by("item")], doubts(past)


def test_a_set_is_as_it_was_before_its_table_was_emptied():
    order, other = (Order.objects.create(ref=ref) for ref in ("a", "b"))
    for item in ("ink", "pen"):
        Line.objects.create(order=order, item=item)
    Line.objects.create(order=other, item="lid")
    moment = latest()
    Line.objects.filter(item="pen").update(item="pencil")
    sql("TRUNCATE app_line")
    Line.objects.create(order=order, item="cap")
    assert lines(order, moment) == (["ink", "pen"], [EMPTIED])
    assert lines(order, latest()) == (["cap"], [])


def test_what_came_after_an_earlier_emptying_is_known_whole():
    order = Order.objects.create(ref="a")
    sql("TRUNCATE app_line")
    Line.objects.create(order=order, item="ink")
    moment = latest()
    sql("TRUNCATE app_line")
    assert lines(order, moment) == (["ink"], [])


def test_a_row_older_than_the_log_is_not_called_absent_for_a_later_one_with_its_key():
    author = Author.objects.create(name="old")
    AuditLog.objects.all().delete()
    Book.objects.create(title="t", author_id=author.pk)
    moment = latest()
    sql("TRUNCATE app_author CASCADE")
    sql(f"INSERT INTO app_author (id, name) VALUES ({author.pk}, 'new')")
    with pytest.raises(Author.DoesNotExist):
        auditrepr.as_of(Author, moment, pk=author.pk)
    book = auditrepr.as_of(Book, moment, pk=moment.object_id)
    with pytest.raises(Author.DoesNotExist):
        assert book.author
    assert EMPTIED in doubts(book)


@pytest.mark.parametrize("ask", ["set", "query"])
def test_the_log_may_begin_with_any_id(ask, monkeypatch):
    """What another log has recorded before lies before the first event of the triggers."""
    shown = {
        "set": lambda order: [line.item for line in order.lines.order_by("item")],
        "query": lambda order: [line.item for line in Line.objects.order_by("item")],
    }[ask]
    monkeypatch.setattr(Order, "__str__", lambda order: str(shown(order)))
    sql("TRUNCATE app_line")
    order = Order.objects.create(ref="a")
    for item in ("ink", "pen"):
        Line.objects.create(order=order, item=item)
    sql("UPDATE auditrepr_auditlog SET id = id - 1000000000000")
    sql("UPDATE auditrepr_coverage SET since_event = (SELECT min(id) - 1 FROM auditrepr_auditlog)")
    Order.objects.filter(pk=order.pk).update(ref="b")
    moment = latest()
    sql("TRUNCATE app_line")
    (outcome,) = build([Event.of(moment)], "default")
    assert (outcome.text, outcome.reason) == ("['ink', 'pen']", "")
