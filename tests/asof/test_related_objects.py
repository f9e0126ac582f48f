"""Tests which other objects an event is about, according to its row in the log."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from auditrepr.asof.related_objects import LONGEST_KEY, related_objects
from auditrepr.models import AuditLog
from auditrepr.tracking import related
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book, Tag
from tests.app.pairs import Basket, Club, Membership, Person
from tests.app.relations import Line, Order, Pin, Remark
from tests.capturing import sql

pytestmark = pytest.mark.django_db


def about(table: str) -> list[tuple[str, set[tuple[str, str]]]]:
    """The events of a table: what happened, and the other objects that it is about."""
    events = [Event.of(row) for row in AuditLog.objects.filter(table_name=table).order_by("pk")]
    found = related_objects(events, "default")
    objects: dict[int, set[tuple[str, str]]] = {event.id: set() for event in events}
    for one in found:
        objects[one.event_id].add((one.table_name, one.object_id))
    return [(event.action, objects[event.id]) for event in events]


def belonging(**relations: list[str]):
    return override_settings(AUDITREPR={"RELATED": {f"app.{m}": n for m, n in relations.items()}})


def test_a_row_of_an_automatic_table_is_about_both_of_its_ends():
    book, tag = Book.objects.create(title="Emma"), Tag.objects.create(label="old")
    book.tags.add(tag)
    book.tags.remove(tag)
    both = {("app_book", str(book.pk)), ("app_tag", str(tag.pk))}
    assert about("app_book_tags") == [("I", both), ("D", both)]


def test_a_changed_row_is_about_what_it_was_about_before_too():
    book = Book.objects.create(title="Emma")
    old, new = (Tag.objects.create(label=label) for label in ("old", "new"))
    book.tags.add(old)
    sql(f"UPDATE app_book_tags SET tag_id = {new.pk}")
    ends = {("app_book", str(book.pk)), ("app_tag", str(old.pk)), ("app_tag", str(new.pk))}
    assert about("app_book_tags")[1] == ("U", ends)


def test_pairs_of_one_model_are_about_both_of_its_objects():
    ann, bob = (Person.objects.create(name=name) for name in ("Ann", "Bob"))
    ann.friends.add(bob)
    both = {("app_person", str(one.pk)) for one in (ann, bob)}
    assert about("app_person_friends") == [("I", both), ("I", both)]
    ann.friends.add(ann)
    assert about("app_person_friends")[2] == ("I", {("app_person", str(ann.pk))})


def test_what_nobody_names_is_about_its_own_object_alone():
    order = Order.objects.create(ref="a")
    Line.objects.create(order=order, item="x")
    club = Club.objects.create(name="chess")
    Membership.objects.create(club=club, person=Person.objects.create(name="Ann"), since=1)
    assert about("app_line") == about("app_membership") == [("I", set())]


def test_rows_that_the_settings_name_are_about_what_they_belong_to():
    one, other = (Order.objects.create(ref=ref) for ref in ("a", "b"))
    with belonging(Order=["lines", "invoice"]):
        line = Line.objects.create(order=one, item="x")
        Line.objects.update(order=other)
        line.delete()
        first, second = (("app_order", str(order.pk)) for order in (one, other))
        assert about("app_line") == [("I", {first}), ("U", {first, second}), ("D", {second})]


def test_relations_by_a_table_of_the_projects_own_and_generic_ones_can_be_named():
    club, ann = Club.objects.create(name="chess"), Person.objects.create(name="Ann")
    order = Order.objects.create(ref="a")
    with belonging(Club=["members"], Person=["clubs"], Order=["remarks"]):
        Membership.objects.create(club=club, person=ann, since=1)
        Remark.objects.create(target=order, text="late")
        Remark.objects.create(target=ann, text="late")
        assert about("app_membership") == [
            ("I", {("app_club", "chess"), ("app_person", str(ann.pk))})
        ]
        assert about("app_remark") == [("I", {("app_order", str(order.pk))}), ("I", set())]


def test_a_generic_key_of_text_is_found_by_the_keys_own_text():
    basket = Basket.objects.create(id=uuid.UUID(int=7))
    with belonging(Basket=["pins"]):
        Pin.objects.create(target=basket)
        pin = Pin.objects.create(target=basket)
        Pin.objects.filter(pk=pin.pk).update(object_id="no key")
        ours = {("app_basket", AuditLog.objects.get(table_name="app_basket").object_id)}
        assert about("app_pin") == [("I", ours), ("I", ours), ("U", ours)]


def test_an_admin_class_can_name_them(monkeypatch):
    monkeypatch.setattr(related, "_declared", set())
    related.declare(Order, ["lines"])
    order = Order.objects.create(ref="a")
    Line.objects.create(order=order, item="x")
    assert about("app_line") == [("I", {("app_order", str(order.pk))})]


def test_one_name_is_no_list_of_names():
    with pytest.raises(TypeError, match=r'such as \["lines"\]'):
        related.declare(Order, "lines")


def test_an_object_is_not_related_to_itself():
    order = Order.objects.create(ref="a")
    with belonging(Order=["children"]):
        Order.objects.update(parent=order)
        assert about("app_order") == [("I", set()), ("U", set())]


@pytest.mark.parametrize("key", ["c" * (LONGEST_KEY + 1), "ä" * (LONGEST_KEY - 1)])
def test_a_key_that_no_index_takes_is_left_out(key):
    club = Club.objects.create(name="chess")
    ann = Person.objects.create(name="Ann")
    club.guests.add(ann)
    row = AuditLog.objects.get(table_name="app_club_guests")
    row.row_data["club_id"] = key
    row.save()
    assert about("app_club_guests") == [("I", {("app_person", str(ann.pk))})]


@pytest.mark.sqlite
def test_a_key_that_no_database_takes_is_left_out():
    """Only the JSON of SQLite holds one."""
    club = Club.objects.create(name="chess")
    ann = Person.objects.create(name="Ann")
    club.guests.add(ann)
    sql("UPDATE auditrepr_auditlog SET row_data = replace(row_data, 'chess', '\\ud800')")
    assert about("app_club_guests") == [("I", {("app_person", str(ann.pk))})]


def test_the_number_of_queries_is_that_of_one_event():
    book = Book.objects.create(title="Emma")
    book.tags.add(*(Tag.objects.create(label=str(n)) for n in range(5)))
    ann, bob = (Person.objects.create(name=name) for name in ("Ann", "Bob"))
    ann.friends.add(bob)
    Line.objects.create(order=Order.objects.create(ref="a"), item="x")
    every = [Event.of(row) for row in AuditLog.objects.all()]
    with belonging(Order=["lines"]):
        one = [event for event in every if event.table_name == "app_line"]
        with CaptureQueriesContext(connection) as few:
            assert len(related_objects(one, "default")) == 1
        with CaptureQueriesContext(connection) as many:
            assert len(related_objects(every, "default")) == 1 + 10 + 4
    assert len(many) == len(few)


def test_nothing_is_asked_about_tables_that_have_no_such_columns():
    Author.objects.create(name="Ann")
    events = [Event.of(row) for row in AuditLog.objects.all()]
    related_objects(events, "default")  # the renames are known by now
    with CaptureQueriesContext(connection) as queries:
        assert related_objects(events, "default") == []
    assert not [query for query in queries if "auditrepr_auditlog" in query["sql"]]
