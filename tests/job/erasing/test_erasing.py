"""Tests erasing: nothing of the person is left, and what is left stays true."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

import auditrepr
from auditrepr import as_of, doubts
from auditrepr.capture import append_only, search_index
from auditrepr.exceptions import LockHeld, NothingToErase, StillCurrent
from auditrepr.job.erasing.needles import MARK, Needles, texts_in
from auditrepr.job.erasing.preview import preview
from auditrepr.job.erasing.run import Asked
from auditrepr.job.erasing.target import ActorTarget, ObjectTarget
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.management.erasing.report import forecast
from auditrepr.models import (
    AuditLog,
    BackfillRun,
    ChangedValues,
    Erasure,
    InstanceRepr,
    KnownFinding,
    ReprFailure,
)
from tests.app.fields import ByName
from tests.app.models import Author, Book, Tag
from tests.app.pairs import Club, Person
from tests.capturing import drop_append_only
from tests.erasing import actor_erased, backfill, dump, erased

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "Zoë O'Quill"


@pytest.fixture
def _with_index(settings: Any) -> Iterator[None]:
    """An index of all texts, and of old and new values."""
    settings.AUDITREPR = {**getattr(settings, "AUDITREPR", {}), "SEARCH": True}
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    search_index.install("default")
    yield
    settings.AUDITREPR = {**settings.AUDITREPR, "SEARCH": False}
    search_index.install("default")


def texts(**chosen: Any) -> list[tuple[str, str, str]]:
    rows = InstanceRepr.objects.filter(**chosen).order_by("pk")
    return list(rows.values_list("instance_repr", "fidelity", "reason"))


def deleted_author(name: str = NAME) -> int:
    author = Author.objects.create(name=name)
    Author.objects.filter(pk=author.pk).update(name=name.upper())
    key = author.pk
    author.delete()
    return key


def everywhere(name: str) -> int:
    """An author whose name is in all places that can hold one; gives the key."""
    author = Author.objects.create(name=name)
    book = Book.objects.create(title="Ink", author=author)
    copy = Book.objects.create(title=f"Letters to {name}")
    key, path = author.pk, f"/authors/{quote(name)}/"
    with auditrepr.context(user="admin", reason=f"{name} asked", path=path, who=[{"n": [name]}]):
        Book.objects.filter(pk=copy.pk).update(price=2)
    backfill()
    Author.objects.filter(pk=key).update(name=name.upper())
    Book.objects.filter(pk=book.pk).delete()
    Author.objects.filter(pk=key).delete()
    Book.objects.filter(pk=copy.pk).delete()
    backfill()
    failed = InstanceRepr.objects.filter(audit_log__table_name="app_book").latest("pk").pk
    InstanceRepr.objects.filter(pk=failed).delete()
    nested = json.dumps({"error": json.dumps({"name": name})})
    ReprFailure.objects.create(
        audit_log_id=failed,
        error_class="E",
        message=f"no {name!r} in {[repr(name)]!r}",
        traceback=f"{nested} {name!a} {html.escape(name)} {name.encode()!r}",
    )
    started = "2026-01-01T00:00Z"
    BackfillRun.objects.create(started_at=started, host="h", pid=1, error=nested)
    KnownFinding.objects.create(key=f"x:{name}", topic=name, first_seen_at=started)
    return key


@pytest.mark.proof
@pytest.mark.parametrize("name", [NAME, 'Ann "the\nPen" <b>\\', "Ünal Çelik 100%_", "ŻÓŁĆ Łódka"])
@pytest.mark.usefixtures("_with_index")
def test_nothing_of_the_person_is_left_in_a_dump(name: str):
    key = everywhere(name)
    assert ChangedValues.objects.exists()
    found = Needles([name])
    assert found.within(dump())
    done = erased(Author, key)
    parts = [part for part in name.lower().split() if len(part) > 3]
    parts += [ascii(part)[1:-1] for part in parts]
    assert parts
    left = dump()
    assert not found.within(left)
    assert [part for part in parts if part in left] == []
    assert done.record.finished_at is not None
    assert not done.stopped
    backfill(rescan=True)
    call_command("rebuild_reprs", verbosity=0)
    call_command("backfill_reprs", retry_failed=True, verbosity=0)
    assert not found.within(dump())


@pytest.mark.proof
def test_what_rests_on_it_is_mixed_with_that_reason():
    author = Author.objects.create(name=NAME)
    book = Book.objects.create(title="Ink", author=author)
    backfill()
    event = AuditLog.objects.get(table_name="app_book")
    key = author.pk
    Book.objects.all().delete()
    Author.objects.all().delete()
    erased(Author, key)
    day = f"erased on {Erasure.objects.get().finished_at:%Y-%m-%d}"
    shown, reason = f"[name: {day}]", f"name was {day}"
    assert texts(audit_log__table_name="app_author") == [(shown, "M", reason)]
    assert texts(audit_log=event) == [(f"Ink ({shown})", "M", reason)]
    past = as_of(Book, event, pk=book.pk)
    assert str(past) == f"Ink ({shown})"
    assert doubts(past) == [reason]
    backfill()
    assert {fidelity for _, fidelity, _ in texts()} == {"M"}
    assert {reason for *_, reason in texts()} == {reason}


def test_a_query_of_the_past_that_reads_it_is_mixed():
    key = deleted_author()
    later = Book.objects.create(title="Ink")
    erased(Author, key)
    event = AuditLog.objects.filter(table_name="app_author").earliest("pk")
    past = as_of(Author, event, pk=key)
    assert "erased" in past.name
    assert list(past.books.filter(title="x")) == []
    assert all("erased" in doubt for doubt in doubts(past))
    assert doubts(past)
    assert later.pk


@pytest.mark.proof
def test_other_texts_are_not_altered():
    key = deleted_author()
    Book.objects.create(title="Ink")
    backfill()
    other = InstanceRepr.objects.latest("pk").pk
    InstanceRepr.objects.filter(pk=other).update(instance_repr="as it was said then")
    erased(Author, key)
    assert InstanceRepr.objects.get(pk=other).instance_repr == "as it was said then"


@pytest.mark.proof
def test_only_named_columns_whatever_their_types():
    book = Book.objects.create(title="Ink", price=7, published=date(1815, 12, 10))
    Book.objects.update(price=8, published=date(1816, 12, 10))
    key = book.pk
    Book.objects.all().delete()
    erased(Book, key, "published", "price")
    backfill()
    for event in AuditLog.objects.all():
        assert event.row_data["title"] == "Ink"
        past = as_of(Book, event, pk=key)
        assert (str(past), doubts(past)) == ("Ink", [])
        assert "erased" in str(past.published)
        assert len(doubts(past)) == 1
        assert all("erased" in str(value) for value in event.changes.values() for value in value)
    assert "1815-12-10" not in dump()
    assert {fidelity for _, fidelity, _ in texts()} == {"E"}


def test_the_other_values_stay_digit_by_digit():
    book = Book.objects.create(title="Ink", price="0.10")
    key = book.pk
    book.delete()
    before = AuditLog.objects.latest("pk").row_data
    erased(Book, key)
    after = AuditLog.objects.latest("pk").row_data
    assert after.keys() == before.keys()
    same = {name: value for name, value in before.items() if name != "title"}
    assert {name: str(after[name]) for name in same} == {n: str(v) for n, v in same.items()}


@pytest.mark.proof
def test_short_and_shared_values_are_erased_only_in_its_own_events():
    Author.objects.create(name="Berlin")
    for name in ("Bo", "Berlin"):
        key = deleted_author(name)
        Book.objects.create(title=f"About {name}")
        backfill()
        target = ObjectTarget.of("default", Author, key, ())
        found = preview(Asked(target))
        assert found.known.short | found.known.shared == {name, name.upper()} - found.known.replaced
        erased(Author, key, but=frozenset({name.upper()}))
        assert f"About {name}" in {text for text, *_ in texts()}
        own = AuditLog.objects.filter(table_name="app_author", object_id=key)
        assert all(event.row_data["name"] != name for event in own)


def test_a_named_text_goes_everywhere_however_short():
    key = deleted_author("Bo")
    Book.objects.create(title="About Bo")
    backfill()
    erased(Author, key, also=frozenset({"Bo"}))
    assert "about bo" not in dump()


@pytest.mark.proof
def test_a_current_row_would_bring_it_back():
    author = Author.objects.create(name=NAME)
    with pytest.raises(StillCurrent, match="name"):
        erased(Author, author.pk)
    author.name = "Anonymous"
    author.save()
    with pytest.raises(StillCurrent):
        erased(Author, author.pk)
    erased(Author, author.pk, current=True)
    assert "quill" not in dump()
    last = AuditLog.objects.latest("pk")
    assert last.row_data["name"] == "Anonymous"
    assert str(as_of(author, last)) == "Anonymous"
    assert doubts(as_of(author, last)) == []


@pytest.mark.proof
def test_a_current_value_that_is_excluded_cannot_come_back():
    book = Book.objects.create(title=NAME, secret="hash")
    Book.objects.filter(pk=book.pk).update(title="")
    target = ObjectTarget.of("default", Book, book.pk, ())
    assert target.current() == {}
    erased(Book, book.pk)
    assert "quill" not in dump()


def test_the_dry_run_of_a_user_names_the_other_erasure():
    user = User.objects.create_user("wilma")
    key = str(user.pk)
    row = {"id": user.pk, "username": "wilma"}
    AuditLog.objects.create(table_name="auth_user", object_id=key, action="I", row_data=row)
    with auditrepr.context(user=user):
        Tag.objects.create(label="made by her")
    user.delete()
    actor = preview(Asked(ActorTarget("default", key)))
    assert actor.as_object == f"auth.User:{key}"
    assert f"run the command with --object auth.User:{key}, too." in list(forecast(actor))[-1]
    row_of_user = preview(Asked(ObjectTarget.of("default", User, key, ())))
    assert row_of_user.as_actor == 1
    assert "run the command with --actor, too." in list(forecast(row_of_user))[-1]


@pytest.mark.proof
def test_keys_that_name_the_person_are_replaced():
    ByName.objects.create(name="first@zoe.example")
    ByName.objects.filter(name="first@zoe.example").update(name="ada@zoe.example")
    ByName.objects.all().delete()
    club = Club.objects.create(name="zoe@clubs.example")
    club.guests.add(Person.objects.create(name="Guest"))
    backfill()
    Club.objects.all().delete()
    backfill()
    erased(ByName, "ada@zoe.example")
    erased(Club, "zoe@clubs.example")
    assert "zoe" not in dump()
    keys = set(AuditLog.objects.filter(table_name="app_byname").values_list("object_id", flat=True))
    assert len(keys) == 2
    assert all(key.startswith("[erased ") for key in keys)
    call_command("rebuild_reprs", verbosity=0)
    assert "zoe" not in dump()


@pytest.mark.proof
def test_an_actor_is_erased_in_contexts():
    with auditrepr.context(
        user="17", user_name="zoe.quill", remote_address="203.0.113.9", path="/x"
    ):
        Tag.objects.create(label="by zoe.quill")
    with auditrepr.context(user="18", reason="for ZOE.QUILL"):
        Tag.objects.create(label="other")
    done = actor_erased("17")
    assert "zoe.quill" not in dump()
    assert "203.0.113.9" not in dump()
    first, second = AuditLog.objects.order_by("pk")
    assert first.context == dict.fromkeys(first.context, MARK)
    assert first.actor == MARK
    assert second.context == {"user": "18", "reason": f"for {MARK}"}
    assert (done.record.contexts, done.record.events) == (2, 1)
    with pytest.raises(NothingToErase):
        actor_erased("17")


@pytest.mark.proof
def test_what_was_erased_is_counted_and_not_kept():
    key = everywhere(NAME)
    done = erased(Author, key).record
    assert (done.events, done.contexts, done.failures, done.others) == (6, 1, 1, 2)
    assert done.representations > 2
    assert (done.table_name, done.secret) == ("app_author", None)
    assert erased(Author, key).record.events == 0
    assert Erasure.objects.count() == 2


@pytest.mark.proof
def test_a_run_that_was_stopped_is_continued():
    key = everywhere(NAME)
    for _ in range(60):
        if not (done := erased(Author, key, batch_size=1, stop=lambda: True)).stopped:
            break
        assert Erasure.objects.get().finished_at is None
    assert "quill" not in dump()
    assert Erasure.objects.get().finished_at is not None
    assert done.record.events == 6


@pytest.mark.proof
def test_a_preview_changes_nothing():
    key = everywhere(NAME)
    before = dump()
    found = preview(Asked(ObjectTarget.of("default", Author, key, ())))
    assert dump() == before
    assert (found.own, found.contexts, found.failures) == (3, 1, 1)
    assert found.columns == {"app_author.name": 3}
    assert found.elsewhere == {"app_book.title": 3}
    assert found.known.replaced == {NAME, NAME.upper()}
    assert sum(found.others.values()) == 2


@pytest.mark.proof
def test_an_append_only_log_is_erased_in_by_its_owner():
    key = deleted_author()
    append_only.install("default")
    try:
        erased(Author, key)
        assert "quill" not in dump()
        assert append_only.install("default") is False  # they are all there
    finally:
        drop_append_only()


def test_nothing_is_erased_beside_a_run():
    key = deleted_author()
    with DatabaseLock("default") as lock:
        assert lock
        with pytest.raises(LockHeld):
            erased(Author, key)
    assert "quill" in dump()


def test_a_text_is_found_in_nested_values():
    assert list(texts_in({"a": ["x y", 1, None, ""], "b": '{"c": "z"}'})) == [
        "x y",
        '{"c": "z"}',
        "z",
    ]
    assert Needles(["Zoë"]).replaced({"Zoë": ["a zoë b", 5]}) == {MARK: [f"a {MARK} b", 5]}


def test_a_long_text_is_found_by_its_beginning_and_replaced_as_a_whole():
    text = "My name is Zoë Quill, and I have lived in this street for forty years."
    needles = Needles([text])
    assert needles.replaced(f"He said: {text} Then he left.") == f"He said: {MARK} Then he left."
    assert needles.replaced(f"{text[:50]}…") == MARK
    assert needles.replaced("Something else, and longer than all of this") == (
        "Something else, and longer than all of this"
    )


def test_a_number_is_not_found_within_another_one():
    needles = Needles(["10017", "Elm Street 17", "1701234567"])
    kept = ["R110017", "100170", "elm street 170", "17012345678"]
    assert needles.replaced(kept) == kept
    found = ["in 10017.", "R10017", "%2010017", r"\u00e910017", "Elm Street 17b", "+491701234567"]
    assert needles.replaced(found) == [
        f"in {MARK}.", f"R{MARK}", f"%20{MARK}", rf"\u00e9{MARK}", f"{MARK}b", f"+49{MARK}",
    ]  # fmt: skip


def test_numbers_are_told_apart_in_the_database_too():
    author = Author.objects.create(name="10017")
    key = author.pk
    author.delete()
    other = Author.objects.create(name="R110017")
    Author.objects.create(name="R10017 of Mill Road")
    backfill()
    erased(Author, key)
    names = AuditLog.objects.filter(action="I").order_by("pk").values_list("row_data", flat=True)
    assert [type(row["name"]) for row in names] == [dict, str, dict]
    assert InstanceRepr.objects.get(audit_log__object_id=other.pk).instance_repr == "R110017"


def test_an_actor_s_key_and_address_are_not_searched_for_elsewhere():
    key, address = "6f3c9a10-0000-4000-8000-00000000000a", "203.0.113.9"
    with auditrepr.context(user=key, user_name="zoe.quill", remote_address=address):
        Tag.objects.create(label=f"of {key}")
    with auditrepr.context(user="18", remote_address=address):
        Tag.objects.create(label="other")
    actor_erased(key)
    assert AuditLog.objects.latest("pk").context["remote_address"] == address
    assert AuditLog.objects.earliest("pk").row_data["label"] == f"of {key}"


@pytest.mark.proof
def test_more_values_than_one_condition_may_have_are_found_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("auditrepr.vendors.postgresql.naming.MOST", 5)
    author = Author.objects.create(name="Zelda 0000")
    for n in range(1, 60):
        Author.objects.filter(pk=author.pk).update(name=f"Zelda {n:04}")
    key = author.pk
    author.delete()
    Book.objects.create(title="To zelda 0023 and others")
    erased(Author, key)
    assert "zelda" not in dump()
