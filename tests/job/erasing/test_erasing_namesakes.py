"""Tests that erasing one who has much in common with another leaves the other one's texts."""

from __future__ import annotations

import base64
from typing import Any

import pytest

import auditrepr
from auditrepr.job.erasing.needles import MARK
from auditrepr.job.erasing.preview import preview
from auditrepr.job.erasing.run import Asked
from auditrepr.job.erasing.target import ActorTarget, ObjectTarget
from auditrepr.models import AuditLog, BackfillRun, InstanceRepr
from tests.app.fields import ByName, Everything
from tests.app.models import Author, Book
from tests.capturing import sql
from tests.erasing import actor_erased, backfill, dump, erased

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]


def gone(thing: Any) -> Any:
    """Delete an object, and represent what it was; gives the key."""
    backfill()
    key = thing.pk
    thing.delete()
    backfill()
    return key


def shown(thing: Any) -> list[tuple[str, str]]:
    """What its own events show, and how far that can be trusted."""
    own = {"audit_log__table_name": thing._meta.db_table, "audit_log__object_id": str(thing.pk)}
    rows = InstanceRepr.objects.filter(**own).order_by("pk")
    return list(rows.values_list("instance_repr", "fidelity"))


@pytest.mark.parametrize("title", ["Emma", "EMMA"])
def test_the_representations_of_a_namesake_stay(title: str):
    author = Author.objects.create(name="Jane Doe")
    one = Book.objects.create(title="Emma", author=author)
    other = Book.objects.create(title=title, author=author)
    key = gone(one)
    found = preview(Asked(ObjectTarget.of("default", Book, key, ()))).known
    assert found.shared == {"Emma", "Emma (Jane Doe)"}
    erased(Book, key)
    assert shown(other) == [(f"{title} (Jane Doe)", "E")]
    assert (
        AuditLog.objects.get(table_name="app_book", object_id=other.pk).row_data["title"] == title
    )
    assert not [text for text, _ in shown(Book(pk=key)) if "emma" in text.lower()]


def test_what_shows_the_object_is_erased_by_a_run_that_was_interrupted_too(monkeypatch: Any):
    """The object's own representation, which no other value has, is what finds it elsewhere."""
    author = Author.objects.create(name="Jane Doe")
    one = Book.objects.create(title="Emma", author=author)
    Book.objects.create(title="Emma", author=None)
    key = gone(one)
    later = Author.objects.create(name="later")
    backfill()
    InstanceRepr.objects.filter(audit_log__object_id=later.pk).update(
        instance_repr="by Emma (Jane Doe)"
    )
    monkeypatch.setattr("auditrepr.job.windows.WINDOW", 2)
    while erased(Book, key, batch_size=1, stop=lambda: True).stopped:
        pass
    assert "emma (jane doe)" not in dump()


def test_what_shows_the_object_is_no_namesake():
    Author.objects.create(name="Emma")
    first = Author.objects.create(name="Jane Doe")
    one = Book.objects.create(title="Emma", author=first)
    Book.objects.create(title="Emma", author=None)
    other = Book.objects.create(title="Letters", author=first)
    backfill()
    text = f"Emma ({first.name})"
    InstanceRepr.objects.filter(audit_log__object_id=other.pk).update(instance_repr=text)
    erased(Book, gone(one))
    assert "emma (jane doe)" not in dump()


def test_a_value_in_another_case_is_shared():
    other = Author.objects.create(name="ann smith")
    key = gone(Author.objects.create(name="Ann Smith"))
    erased(Author, key)
    assert shown(other) == [("ann smith", "E")]
    assert AuditLog.objects.get(object_id=other.pk).row_data["name"] == "ann smith"


def test_a_value_that_only_its_field_can_read_is_shared():
    other = Everything.objects.create(scrambled="Zoe Quill")
    raw = base64.b64encode(b"Zoe Quill").decode()
    sql(f"UPDATE app_everything SET scrambled = '{raw[:4]} {raw[4:]}' WHERE id = {other.pk}")
    AuditLog.objects.filter(action="I").delete()
    key = gone(Everything.objects.create(scrambled="Zoe Quill"))
    erased(Everything, key)
    assert shown(other) == [("Zoe Quill None", "E")]


def test_the_name_of_another_actor_stays():
    for user in ("17", "18"):
        with auditrepr.context(user=user, user_name="Ann Smith"):
            Author.objects.create(name="some")
    assert preview(Asked(ActorTarget("default", "17"))).known.shared == {"Ann Smith"}
    actor_erased("17")
    assert AuditLog.objects.get(actor="18").context["user_name"] == "Ann Smith"
    assert AuditLog.objects.get(actor=MARK).context == {"user": MARK, "user_name": MARK}
    actor_erased("18")
    assert "ann smith" not in dump()


def test_a_name_without_a_user_is_the_actor_s():
    with auditrepr.context(user="17", user_name="Ann Smith"):
        Author.objects.create(name="some")
    with auditrepr.context(user_name="Ann Smith"):
        Author.objects.create(name="other")
    actor_erased("17")
    assert "ann smith" not in dump()


@pytest.mark.parametrize("name", ["User", "reason", "title"])
def test_names_of_entries_and_columns_stay(name: str):
    said = {"user": "18", "reason": "May"}
    with auditrepr.context(**said):
        book = Book.objects.create(title="Ink")
    erased(Author, gone(Author.objects.create(name=name)))
    event = AuditLog.objects.get(table_name="app_book")
    assert (event.actor, event.context, event.row_data["title"]) == ("18", said, "Ink")
    assert shown(book) == [("Ink", "E")]


def test_names_of_what_runs_note_of_their_processes_stay():
    backfill()
    before = list(BackfillRun.objects.values_list("holder", flat=True))
    assert all("namespace" in holder for holder in before)
    done = erased(ByName, gone(ByName.objects.create(name="Namespace")))
    assert before == list(BackfillRun.objects.values_list("holder", flat=True))[: len(before)]
    assert done.record.others == 0
