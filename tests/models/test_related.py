"""Tests the events of an object, including those that are about other objects too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.test import override_settings

from auditrepr.lineage import renames
from auditrepr.lineage.migration_walk import ColumnChanged, TableRenamed
from auditrepr.models import AuditLog, Checkpoint, related
from tests.app.models import Book, Tag
from tests.app.pairs import Basket, Person
from tests.app.relations import Line, Order, Pin, Remark

pytestmark = pytest.mark.django_db(transaction=True)


def backfill() -> None:
    call_command("backfill_reprs", verbosity=0)


def tables(instance, **options) -> list[str]:
    rows = AuditLog.objects.for_object(instance, **options).order_by("pk")
    return list(rows.values_list("table_name", flat=True))


@pytest.mark.parametrize("stored", [True, False])
def test_changes_of_many_to_many_fields_are_events_of_both_ends(stored):
    book = Book.objects.create(title="Emma")
    old, new, other = (Tag.objects.create(label=label) for label in ("old", "new", "other"))
    book.tags.set([old, new])
    book.tags.remove(old)
    if stored:
        backfill()
        Checkpoint.objects.update(settled_id=AuditLog.objects.latest("pk").pk)
    else:
        assert not related.RelatedObject.objects.exists()
    assert tables(book) == ["app_book"] + ["app_book_tags"] * 3
    assert tables(old) == ["app_tag"] + ["app_book_tags"] * 2
    assert tables(new) == ["app_tag", "app_book_tags"]
    assert tables(other) == ["app_tag"]


@pytest.mark.parametrize("stored", [True, False])
def test_what_belongs_to_an_object_is_among_its_events_if_asked_for(stored):
    one, other = (Order.objects.create(ref=ref) for ref in ("a", "b"))
    with override_settings(AUDITREPR={"RELATED": {"app.Order": ["lines", "remarks"]}}):
        Line.objects.create(order=one, item="x")
        Line.objects.update(order=other)
        Remark.objects.create(target=one, text="late")
        Remark.objects.create(target=Person.objects.create(id=one.pk, name="Ann"), text="late")
        if stored:
            backfill()
            Checkpoint.objects.update(settled_id=AuditLog.objects.latest("pk").pk)
        assert tables(one, related=True) == ["app_order", "app_line", "app_line", "app_remark"]
        assert tables(other, related=True) == ["app_order", "app_line"]
        assert tables(one) == ["app_order"]


@pytest.mark.parametrize("stored", [True, False])
def test_a_generic_key_may_be_written_in_another_way(stored):
    basket = Basket.objects.create(pk="00000000-0000-0000-0000-000000000007")
    basket.refresh_from_db()
    with override_settings(AUDITREPR={"RELATED": {"app.Basket": ["pins"]}}):
        Pin.objects.create(target=basket)
        if stored:
            backfill()
            Checkpoint.objects.update(settled_id=AuditLog.objects.latest("pk").pk)
        assert tables(basket, related=True) == ["app_basket", "app_pin"]


@pytest.mark.proof
def test_of_what_is_pending_the_newest_are_looked_at(monkeypatch):
    monkeypatch.setattr(related, "LOOKED_AT", 2)
    book = Book.objects.create(title="Emma")
    book.tags.add(Tag.objects.create(label="old"))
    other = Book.objects.create(title="Persuasion")
    other.tags.add(Tag.objects.create(label="new"))
    assert len(tables(book)) == 2
    other.tags.add(Tag.objects.create(label="newer"))
    assert tables(book) == ["app_book"]
    backfill()
    assert len(tables(book)) == 2


def test_the_selection_can_be_narrowed_and_continued():
    book = Book.objects.create(title="Emma")
    book.tags.add(Tag.objects.create(label="old"))
    backfill()
    log = AuditLog.objects.filter(action="I").for_object(book)
    assert log.count() == 2
    assert log.exclude(table_name="app_book").get().table_name == "app_book_tags"
    assert [row.pk for row in log.order_by("-pk")[:1]] == [log.latest("pk").pk]
    assert log.with_reprs().order_by("pk")[0].instance_repr.instance_repr == "Emma"


AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def renamed(monkeypatch) -> Book:
    """A book from when books were tomes, in a table of their own, with a tag of that time."""
    known = [
        TableRenamed(AT, "app_tome", "app_book"),
        TableRenamed(AT, "app_tome_tags", "app_book_tags"),
        ColumnChanged(AT, "app_book_tags", "tome_id", "book_id"),
    ]
    monkeypatch.setattr(renames, "changes", lambda connection: known)
    monkeypatch.setattr(renames, "_KNOWN", {})
    monkeypatch.setattr(renames, "_RECENT", {})
    book, tag = Book.objects.create(title="Emma"), Tag.objects.create(label="old")
    AuditLog.objects.filter(table_name="app_book").update(
        table_name="app_tome", occurred_at=AT - timedelta(days=2)
    )
    AuditLog.objects.create(
        table_name="app_tome_tags",
        object_id="1",
        action="I",
        row_data={"id": 1, "tome_id": book.pk, "tag_id": tag.pk},
        occurred_at=AT - timedelta(days=1),
    )
    return book


@pytest.mark.parametrize("stored", [True, False])
def test_tables_and_columns_that_were_renamed_since_are_followed(renamed, stored):
    if stored:
        backfill()
        Checkpoint.objects.update(settled_id=AuditLog.objects.latest("pk").pk)
        told = AuditLog.objects.get(table_name="app_tome_tags").instance_repr
        assert told.instance_repr == "Emma: tags + old"
        names = related.RelatedObject.objects.values_list("table_name", flat=True)
        assert set(names) == {"app_book", "app_tag"}
    assert tables(renamed) == ["app_tome", "app_tome_tags"]
    assert tables(Tag.objects.get()) == ["app_tag", "app_tome_tags"]
