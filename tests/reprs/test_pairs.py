"""Tests that a row of an automatic many-to-many table reads as a change of the field's object."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import models, transaction
from django.test import override_settings
from django.utils.functional import lazystr

from auditrepr import capture
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import Outcome, build
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book, Tag
from tests.app.pairs import Club, Person
from tests.capturing import sql

pytestmark = pytest.mark.django_db(transaction=True)


def built(table: str) -> list[Outcome]:
    rows = AuditLog.objects.filter(table_name=table).order_by("pk")
    return build([Event.of(row) for row in rows], "default")


def exact(table: str) -> list[str]:
    """The representations of a table's events, all of which are exact."""
    outcomes = built(table)
    assert [(o.fidelity, o.reason, o.failure) for o in outcomes] == [
        (Fidelity.EXACT, "", None) for _ in outcomes
    ]
    return [outcome.text for outcome in outcomes]


def tagged(title: str, *labels: str) -> Book:
    book = Book.objects.create(title=title)
    book.tags.set([Tag.objects.create(label=label) for label in labels])
    return book


def test_both_objects_have_the_names_of_the_event():
    book = tagged("Emma", "old")
    Book.objects.update(title="Persuasion")
    Tag.objects.update(label="gold")
    book.tags.clear()
    Tag.objects.update(label="new")
    assert exact("app_book_tags") == ["Emma: tags + old", "Persuasion: tags - gold"]


def test_an_object_is_named_as_its_own_events_are():
    book = tagged("Emma", "old")
    Book.objects.update(author=Author.objects.create(name="Jane"))
    book.tags.clear()
    reprs = {"app.tag": lambda tag: lazystr(f"<{tag.label}>")}
    with override_settings(AUDITREPR={"REPR": reprs}):
        assert exact("app_book_tags") == ["Emma: tags + <old>", "Emma (Jane): tags - <old>"]


def test_objects_that_are_deleted_with_their_pairs_have_their_last_names():
    book = tagged("Emma", "old", "new")
    book.delete()
    Tag.objects.all().delete()
    texts = [f"Emma: tags {sign} {tag}" for sign in "+-" for tag in ("old", "new")]
    assert sorted(exact("app_book_tags")) == sorted(texts)


def test_pairs_of_one_model_are_told_from_the_side_that_has_the_field():
    ann, bob = (Person.objects.create(name=name) for name in ("Ann", "Bob"))
    ann.friends.add(bob)
    ann.pupils.add(bob)
    assert sorted(exact("app_person_friends")) == ["Ann: friends + Bob", "Bob: friends + Ann"]
    assert exact("app_person_mentors") == ["Bob: taught by + Ann"]


def test_a_key_may_be_a_text_and_the_other_side_have_no_name():
    Club.objects.create(name="chess").guests.add(Person.objects.create(name="Ann"))
    assert exact("app_club_guests") == ["chess: guests + Ann"]


def test_a_table_of_the_projects_own_keeps_its_text():
    club, ann = Club.objects.create(name="chess"), Person.objects.create(name="Ann")
    club.members.add(ann, through_defaults={"since": 1999})
    assert exact("app_membership") == ["Ann since 1999"]


@pytest.mark.parametrize(
    "way", [lambda row: f"{row.tag} on {row.book}", "tests.reprs.test_pairs.said"]
)
def test_what_the_project_uses_instead_wins(way):
    book = tagged("Emma", "old")
    book.tags.clear()
    with override_settings(AUDITREPR={"REPR": {"app.Book_tags": way}}):
        assert exact("app_book_tags") == ["old on Emma"] * 2


def said(row: models.Model) -> str:
    return f"{row.tag} on {row.book}"  # type: ignore[attr-defined]


def test_an_updated_row_separates_one_pair_and_makes_another():
    _, other = tagged("Emma", "old"), tagged("Persuasion")
    new = Tag.objects.create(label="new")
    sql(f"UPDATE app_book_tags SET tag_id = {new.pk}")
    Tag.objects.update(label=models.functions.Upper("label"))
    sql(f"UPDATE app_book_tags SET book_id = {other.pk}")
    assert exact("app_book_tags")[1:] == [
        "Emma: tags - old + new",
        "Emma: tags - NEW; Persuasion: tags + NEW",
    ]


@pytest.mark.proof
def test_the_language_is_that_of_all_representations():
    with override_settings(AUDITREPR={"MODELS": ["auth.User", "auth.Group"]}):
        capture.install("default")
        try:
            ann = User.objects.create_user("ann")
            ann.groups.add(Group.objects.create(name="editors"))
            permission = Permission.objects.get(codename="view_user")
            ann.user_permissions.add(permission)
        finally:
            texts = exact("auth_user_groups"), built("auth_user_user_permissions")
    with override_settings(AUDITREPR={"LANGUAGE": "de"}):
        german = built("auth_user_user_permissions")
    capture.install("default")
    assert texts[0] == ["ann: groups + editors"]
    assert [one.text for one in texts[1]] == [f"ann: user permissions + {permission}"]
    assert german[0].text.startswith("ann: Berechtigungen + ")


@pytest.mark.proof
def test_an_object_that_nothing_is_known_of_is_named_by_its_key_and_why():
    """Its table is not audited, and the object is gone."""
    with override_settings(AUDITREPR={"MODELS": ["auth.User", "-auth.Group"]}):
        capture.install("default")
        ann = User.objects.create_user("ann")
        group = Group.objects.create(name="editors")
        ann.groups.add(group)
        key = group.pk
        group.delete()
        outcomes = built("auth_user_groups")
    capture.install("default")
    assert [one.text for one in outcomes] == [f"ann: groups {s} group {key}" for s in "+-"]
    reason = f"group {key} no longer exists, and its events are not in the log"
    assert all(reason in one.reason for one in outcomes)
    assert {one.fidelity for one in outcomes} == {Fidelity.MIXED}


def test_an_object_that_cannot_be_named_fails_the_event(monkeypatch):
    tagged("Emma", "old")
    monkeypatch.setattr(Tag, "__str__", lambda self: 1 / 0)
    (outcome,) = built("app_book_tags")
    assert outcome.failure is not None
    assert outcome.failure.error_class == "ZeroDivisionError"


def test_a_pair_that_outlived_its_object_is_mixed():
    """A constraint that is checked at the end lets raw SQL delete them in this order."""
    tagged("Emma", "old")
    with transaction.atomic():
        sql("DELETE FROM app_book")
        sql("DELETE FROM app_book_tags")
    added, removed = built("app_book_tags")
    assert (added.text, added.fidelity) == ("Emma: tags + old", Fidelity.EXACT)
    assert (removed.text, removed.fidelity) == ("Emma: tags - old", Fidelity.MIXED)
    assert "had been deleted" in removed.reason
