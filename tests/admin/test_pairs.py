"""Tests many-to-many changes in the list, in both histories, and on the event's page."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path

from auditrepr.admin import AuditHistoryMixin, timeline
from auditrepr.models import AuditLog, Checkpoint, RelatedObject
from auditrepr.tracking import related as tracking
from tests.app.models import Book, Tag
from tests.app.pairs import Person
from tests.app.relations import Line, Order
from tests.pages import LOG, ids, link, page, reader, staff, words

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


class OrderAdmin(AuditHistoryMixin, admin.ModelAdmin):
    related = ["lines"]


_declared = set(tracking._declared)
site = admin.AdminSite()
site._registry.update(admin.site._registry)
site.register([Book, Tag, Person], AuditHistoryMixin)
site.register(Order, OrderAdmin)
tracking._declared -= tracking._declared - _declared  # other tests have no such admin class
urlpatterns = [path("admin/", site.urls)]

BY_ORDER = {"RELATED": {"app.Order": ["lines"]}}


def history(instance) -> str:
    return f"/admin/app/{instance._meta.model_name}/{instance.pk}/history/"


def backfill() -> None:
    call_command("backfill_reprs", verbosity=0)


@pytest.fixture
def emma() -> Book:
    """A book that has two tags at once, and is renamed; one of them is taken away."""
    book = Book.objects.create(title="Emma")
    # Django inserts the tags in the order of a set of their keys: 7 and 8 would be the other way.
    old, new = (
        Tag.objects.create(pk=pk, label=label) for pk, label in [(1001, "old"), (1002, "new")]
    )
    book.tags.set([old, new])
    Book.objects.update(title="Emma, again")
    Tag.objects.filter(pk=old.pk).update(label="gold")
    book.tags.remove(old)
    return book


@pytest.mark.proof
@pytest.mark.parametrize("stored", [True, False])
def test_both_histories_tell_it_by_the_names_of_the_event(reader: Client, emma, stored) -> None:
    if stored:
        backfill()
    html = page(reader, history(emma))
    text = words(html)
    assert "Emma: tags + old, + new" in text
    assert "tags: + old, + new" in text
    assert "Emma: tags +\xa0old, +\xa0new" in html  # no line ends after a sign
    assert "tags: +\xa0old, +\xa0new" in html
    minus = '<span class="nowrap">-\xa0</span>'  # after which lines end in spite of the blank
    assert f"Emma, again: tags {minus}gold" in html
    assert f"tags: {minus}gold" in html
    assert "Emma, again: tags - gold" in text
    old, new = Tag.objects.order_by("pk")
    text = words(page(reader, history(old)))
    assert "Emma: tags + old" in text
    assert "Emma, again: tags - gold" in text
    assert "+ new" not in text
    assert "Emma: tags + new" in words(page(reader, history(new)))


@pytest.mark.proof
def test_the_list_tells_pairs_of_one_transaction_in_one_line(reader: Client, emma) -> None:
    backfill()
    text = words(page(reader))
    assert "Emma: tags + old, + new" in text
    assert text.count("Emma: tags") == 1
    own = AuditLog.objects.filter(table_name="app_book_tags").order_by("-pk")
    shown = [pk for pk in ids(reader) if pk in own.values_list("pk", flat=True)]
    assert shown == [own[0].pk, own[1].pk]


@pytest.mark.proof
def test_what_was_put_together_and_separated_at_once_is_a_change(reader: Client) -> None:
    book = Book.objects.create(title="Emma")
    old, new = (Tag.objects.create(label=label) for label in ("old", "new"))
    book.tags.add(old)
    with transaction.atomic():
        book.tags.set([new])
    backfill()
    if connection.vendor == "sqlite":  # which has no transaction's name: the request stands for it
        last = AuditLog.objects.order_by("-pk").values("pk")[:2]
        AuditLog.objects.filter(pk__in=list(last.values_list("pk", flat=True))).update(
            context={"request_id": "a"}
        )
    assert "changed Emma: tags - old, + new" in words(page(reader, history(book)))


@pytest.mark.proof
def test_other_objects_fields_and_transactions_have_lines_of_their_own(reader: Client) -> None:
    ann, bob, cid = (Person.objects.create(name=name) for name in ("Ann", "Bob", "Cid"))
    with transaction.atomic():
        ann.friends.add(bob)
        ann.mentors.add(bob)
    ann.friends.add(cid)
    backfill()
    text = words(page(reader, history(ann)))
    for line in ("Ann: friends + Bob (", "Bob: friends + Ann", "Ann: taught by + Bob"):
        assert line.rstrip(" (") in text
    assert "+ Bob, + Cid" not in text


@pytest.mark.proof
def test_many_are_counted_and_the_next_page_leaves_none_out(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book.objects.create(title="Emma")
    book.tags.set([Tag.objects.create(label=f"tag {n:02}") for n in range(15)])
    backfill()
    assert ", and 5 more" in words(page(reader, history(book)))
    monkeypatch.setattr(timeline, "PAGE", 4)
    url, seen = history(book), ""
    for _ in range(4):
        html = page(reader, url)
        seen += words(html)
        url = history(book) + (link(html, "Later") or "")
    assert all(f"+ tag {n:02}" in seen for n in range(15))


@pytest.mark.proof
def test_the_page_of_an_event_leads_to_both(reader: Client, emma) -> None:
    event = AuditLog.objects.filter(table_name="app_book_tags").earliest("pk")
    html = page(reader, f"{LOG}{event.pk}/change/")
    tag = Tag.objects.earliest("pk")
    for table, name, key in (("app_book", "Book", emma.pk), ("app_tag", "Tag", tag.pk)):
        url = str(link(html, f"History of {name} {key}"))
        assert f"table_name={table}" in url
        assert "Emma: tags + old" in words(page(reader, url))


@pytest.mark.proof
def test_who_may_not_see_the_model_with_the_field_sees_none_of_it(emma) -> None:
    backfill()
    client = staff("view_tag", "view_auditlog")
    tag = Tag.objects.earliest("pk")
    assert "Emma" not in words(page(client, history(tag)))
    assert "Emma" in words(page(staff("view_tag", "view_book", name="both"), history(tag)))


def test_an_emptied_table_is_in_the_history_of_objects_that_were_there(reader: Client) -> None:
    event = {"action": "T", "row_data": None, "object_id": None}
    early = AuditLog.objects.create(table_name="app_book_tags", **event)
    book = Book.objects.create(title="Emma")
    book.tags.add(Tag.objects.create(label="old"))
    late = AuditLog.objects.create(table_name="app_book_tags", **event)
    html = page(reader, history(book))
    assert f"/{late.pk}/change/" in html
    assert "tags: emptied" in words(html)
    assert f"/{early.pk}/change/" not in html


@pytest.mark.proof
def test_a_history_says_which_older_events_it_may_lack(reader: Client, emma) -> None:
    backfill()
    assert "may be missing here" not in words(page(reader, history(emma)))
    last = AuditLog.objects.latest("pk").pk
    RelatedObject.objects.all()._raw_delete("default")  # as before an upgrade
    Checkpoint.objects.update(related=None)
    backfill()
    text = words(page(reader, history(emma)))
    assert f"Book-tag relationship: events up to {last} may be missing here" in text
    assert "manage.py rebuild_reprs" in text
    call_command("rebuild_reprs", verbosity=0)
    text = words(page(reader, history(emma)))
    assert "may be missing here" not in text
    assert "Emma: tags + old, + new" in text


def test_what_an_admin_class_names_is_in_the_history(reader: Client) -> None:
    order = Order.objects.create(ref="A7")
    with override_settings(AUDITREPR=BY_ORDER):  # as the class does once it is registered
        line = Line.objects.create(order=order, item="cup")
        backfill()
        line.delete()
        text = words(page(reader, history(order)))
    assert "added 1xcup of A7" in text
    assert "deleted 1xcup of A7" in text
    assert f"History of Order {order.pk} A7<-:" in text  # and no line's name stands there


@pytest.mark.proof
def test_more_events_take_no_more_queries(reader: Client) -> None:
    def queries(number: int) -> int:
        book = Book.objects.create(title="Emma")
        for n in range(number):
            book.tags.add(Tag.objects.create(label=f"{number}/{n}"))
        backfill()
        page(reader, history(book))  # what is known for a minute
        with CaptureQueriesContext(connection) as captured:
            page(reader, history(book))
        return len(captured)

    assert queries(2) == queries(9)
