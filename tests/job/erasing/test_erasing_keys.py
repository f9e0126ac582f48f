"""Tests that all of an object is erased under its keys, and nothing of another one."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models

import auditrepr
from auditrepr.exceptions import StillCurrent
from auditrepr.models import AuditLog, Erasure, InstanceRepr, RelatedObject
from tests.app.families import ByMail, Contact, Employee, Member, Reader, Subscriber
from tests.app.fields import ByName, Everything
from tests.app.models import Author, Book
from tests.app.pairs import Club, Person
from tests.erasing import actor_erased, backfill, dump, erased

pytestmark = pytest.mark.django_db(transaction=True)


def in_steps(model: type[models.Model], key: Any) -> None:
    """Erase an object in runs that end after each batch."""
    while erased(model, key, batch_size=1, stop=lambda: True).stopped:
        pass


BOTH_WAYS = pytest.mark.parametrize(
    "erase", [erased, pytest.param(in_steps, marks=pytest.mark.proof)]
)


def left_of(*texts: str) -> list[bool]:
    left = dump()
    return [text in left for text in texts]


@pytest.mark.proof
@BOTH_WAYS
def test_a_parent_with_another_key(erase: Any):
    Contact.objects.create(pk=7, phone="0301111111 of another").delete()
    one = Employee.objects.create(number=7, phone="0302222222 of the person", desk="in the cellar")
    assert one.contact_id != 7
    one.delete()
    erase(Employee, 7)
    assert left_of("0301111111", "0302222222", "cellar") == [True, False, False]


def test_a_child_with_another_key():
    Contact.objects.create(pk=8, phone="0301111111 of the person")
    Employee.objects.create(number=8, phone="0303333333 of another", desk="Room 12").delete()
    Employee.objects.create(
        number=9, contact_id=8, desk="in the cellar", phone="0304444444"
    ).delete()
    erased(Contact, 8)
    assert left_of("room 12", "0303333333") == [True, True]
    assert left_of("0301111111", "0304444444", "cellar") == [False, False, False]


def test_a_row_that_led_to_other_rows():
    first = Employee.objects.create(number=5, phone="0301111111", desk="in the cellar")
    second = Contact.objects.create(phone="0302222222")
    former = first.contact_id
    Employee.objects.filter(pk=5).update(contact=second.pk)
    Employee.objects.get(pk=5).delete()
    Contact.objects.filter(pk=former).delete()
    erased(Contact, former)
    assert left_of("0301111111", "cellar", "0302222222") == [False, False, True]
    erased(Employee, 5)
    assert left_of("0302222222") == [False]


def test_a_second_parent_with_another_key():
    Reader.objects.create(pk=9, nick="nick of another").delete()
    Subscriber.objects.create(
        payer_id=9, reader_id=10, iban="DE0012345678", nick="nick of the person"
    ).delete()
    erased(Subscriber, 9)
    assert left_of("nick of another", "nick of the person", "de0012") == [True, False, False]


def test_the_current_row_is_that_with_the_other_key():
    Employee.objects.create(number=70, phone="0302222222", desk="")
    Contact.objects.filter(employee__number=70).update(phone="0305555555")
    with pytest.raises(StillCurrent, match="phone"):
        erased(Employee, 70)
    Contact.objects.create(pk=70, phone="0301111111 of another")
    Contact.objects.filter(employee__number=70).update(phone="")
    erased(Employee, 70)
    assert left_of("0301111111", "0302222222", "0305555555") == [True, False, False]


@pytest.mark.proof
@BOTH_WAYS
def test_a_key_is_replaced_where_other_events_are_about_it(erase: Any):
    club = Club.objects.create(name="zoe@clubs.example")
    club.guests.add(Person.objects.create(name="Guest"))
    backfill()
    Club.objects.all().delete()
    backfill()
    assert RelatedObject.objects.filter(object_id=club.name).exists()
    erase(Club, "zoe@clubs.example")
    assert left_of("zoe@clubs") == [False]
    assert not Erasure.objects.filter(finished_at=None).exists()


@BOTH_WAYS
def test_an_inherited_text_key_is_replaced(erase: Any):
    Member.objects.create(mail="zoe@quill.example", note="first of all").delete()
    erase(Member, "zoe@quill.example")
    assert left_of("zoe@quill") == [False]


@BOTH_WAYS
def test_what_was_made_of_an_erased_key_is_built_again(erase: Any):
    ByMail.objects.create(mail="zoe@quill.example").delete()
    backfill()
    erase(ByMail, "zoe@quill.example")
    assert left_of("zo in le") == [False]


@pytest.mark.proof
@BOTH_WAYS
@pytest.mark.parametrize("key", ["zoe@a.example", "zoe@b.example", "zoe@c.example"])
def test_each_of_its_keys_leads_to_all_of_the_object(erase: Any, key: str):
    ByName.objects.create(name="zoe@a.example", note="lives in Elm Street")
    ByName.objects.filter(pk="zoe@a.example").update(name="zoe@b.example")
    ByName.objects.filter(pk="zoe@b.example").update(note="lives in Oak Street")
    ByName.objects.filter(pk="zoe@b.example").update(name="zoe@c.example")
    ByName.objects.filter(pk="zoe@c.example").update(note="lives in Ash Street")
    backfill()
    with pytest.raises(StillCurrent):
        erased(ByName, key)
    ByName.objects.all().delete()
    backfill()
    erase(ByName, key)
    assert left_of("elm street", "oak street", "ash street", "zoe@") == [False] * 4
    keys = set(AuditLog.objects.values_list("object_id", flat=True))
    assert len(keys) == 3
    assert Erasure.objects.filter(finished_at__isnull=False).count() == 1


def test_a_key_that_another_object_has_taken_is_that_objects():
    ByName.objects.create(name="zoe@a.example", note="lives in Elm Street")
    ByName.objects.filter(pk="zoe@a.example").update(name="zoe@b.example")
    ByName.objects.filter(pk="zoe@b.example").update(note="lives in Oak Street")
    ByName.objects.create(name="zoe@a.example", note="lives in Ash Street")
    ByName.objects.all().delete()
    erased(ByName, "zoe@a.example")
    assert left_of("ash street", "oak street") == [False, True]


def test_keys_that_went_in_a_circle_lead_to_the_object():
    ByName.objects.create(name="zoe@a.example", note="lives in Elm Street")
    ByName.objects.filter(pk="zoe@a.example").update(name="zoe@b.example")
    ByName.objects.filter(pk="zoe@b.example").update(name="zoe@a.example")
    ByName.objects.all().delete()
    erased(ByName, "zoe@b.example")
    assert left_of("elm street", "zoe@") == [False, False]


def test_what_only_begins_alike_stays():
    start = "https://media.example.com/uploads/avatars/"
    gone = Author.objects.create(name=f"{start}zoe.png")
    other = Author.objects.create(name=f"{start}bob.png")
    backfill()
    key = gone.pk
    gone.delete()
    erased(Author, key)
    event = AuditLog.objects.get(table_name="app_author", object_id=other.pk)
    shown = InstanceRepr.objects.get(audit_log=event).instance_repr
    assert (event.row_data["name"], shown) == (other.name, other.name)
    assert left_of("zoe.png") == [False]


def test_what_a_field_decrypts_is_found_in_texts():
    patient = Everything.objects.create(scrambled="Zoe Quill", char=None)
    book = Book.objects.create(title="Letters to Zoe Quill")
    backfill()
    key = patient.pk
    patient.delete()
    Book.objects.filter(pk=book.pk).update(title="")
    backfill()
    erased(Everything, key)
    assert left_of("zoe quill", "letters to") == [False, False]


def test_a_column_of_json_that_is_empty_brings_nothing_back():
    empty = Everything.objects.create(json={"name": "Zoe Quill"})
    Everything.objects.filter(pk=empty.pk).update(json={})
    erased(Everything, empty.pk)
    assert left_of("zoe quill") == [False]


def test_numbers_in_contexts_of_an_actor_are_erased():
    with auditrepr.context(user="17", phone=4915112345678, calls=[1, {"n": 4915112345679}]):
        Author.objects.create(name="x")
    actor_erased("17")
    assert left_of("49151123456") == [False]
