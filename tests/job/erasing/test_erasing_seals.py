"""Tests erasing in a sealed log: all else is still checked, also against older exports."""

from __future__ import annotations

import re
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.utils import timezone

from auditrepr.exceptions import SealBroken
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.retention import prune
from auditrepr.job.seals import export, form, sealing
from auditrepr.models import AuditLog, Checkpoint, SealEntry
from tests.app.models import Author, Book
from tests.erasing import dump, erased
from tests.sealing import ids, kept_now, verify

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    AuditLog.objects.all().delete()
    monkeypatch.setattr(sealing, "EVENTS", 3)


def seal() -> None:
    top = AuditLog.objects.latest("pk").pk
    Checkpoint.objects.update_or_create(pk=1, defaults={"settled_id": top})
    with DatabaseLock("default") as lock:
        sealing.seal("default", lock, lambda progress: None, lambda: False)


def sealed_author() -> tuple[int, list[export.Kept]]:
    """An author with events in several ranges, among others; gives the key and an export."""
    author = Author.objects.create(name="Ada Quill")
    for n in range(3):
        Book.objects.create(title=f"Book {n}")
        Author.objects.filter(pk=author.pk).update(name=f"Ada Quill {n}")
    key = author.pk
    author.delete()
    Book.objects.create(title="Last")
    seal()
    return key, kept_now()


def differences(kept: Any = None) -> list[str]:
    return verify(against=kept).differences


def test_what_was_erased_verifies_against_an_older_export():
    key, kept = sealed_author()
    erased(Author, key)
    assert "quill" not in dump()
    assert differences(kept) == []
    found = verify(against=kept)
    assert (found.erased, found.erased_since) == (5, 5)
    assert verify(against=kept_now()).erased_since == 0


@pytest.mark.parametrize("which", ["erased", "other"])
@pytest.mark.parametrize("how", ["changed", "deleted"])
def test_each_row_of_the_range_is_still_checked(which: str, how: str):
    key, kept = sealed_author()
    erased(Author, key)
    table = "app_author" if which == "erased" else "app_book"
    event = AuditLog.objects.filter(table_name=table).earliest("pk")
    pk = event.pk
    if how == "changed":
        AuditLog.objects.filter(pk=event.pk).update(writer="somebody")
    else:
        event.delete()
    (found,) = differences(kept)
    assert f"event {pk} was " in found
    assert how in found


def test_the_record_of_an_erasure_cannot_be_changed():
    key, kept = sealed_author()
    erased(Author, key)
    entry = SealEntry.objects.filter(kind="erased").earliest("number")
    (one, *_) = form.read_touched(bytes(entry.touched), entry.kind)
    changed = form.replaced_of([((one.event, one.former), (one.event, sha256(b"x").digest()))])
    SealEntry.objects.filter(pk=entry.pk).update(touched=changed)
    (found,) = differences(kept)
    assert re.search(r"what seal \d+ says was erased has been changed", found)


@pytest.mark.proof
def test_erasing_again_and_pruning_compose():
    key, kept = sealed_author()
    erased(Author, key, "name", batch_size=1)
    book = Book.objects.earliest("pk")
    title, pk = book.title, book.pk
    book.delete()
    seal()
    erased(Book, pk)
    assert title.lower() not in dump()
    assert differences(kept) == []
    middle = AuditLog.objects.order_by("pk")[3].occurred_at + timedelta(microseconds=1)
    prune.prune("default", middle, lock=DatabaseLock("default"), keep_last=True)
    assert differences(kept) == []
    prune.prune("default", timezone.now(), lock=DatabaseLock("default"), batch_size=1)
    assert differences(kept) == []
    assert ids() == []


@pytest.mark.proof
def test_a_range_that_differs_is_not_erased_in():
    key, kept = sealed_author()
    wrong = AuditLog.objects.filter(table_name="app_book").earliest("pk")
    AuditLog.objects.filter(pk=wrong.pk).update(writer="somebody")
    with pytest.raises(SealBroken, match=f"event {wrong.pk} was changed"):
        erased(Author, key)
    assert "quill" in dump()
    erased(Author, key, ignore_seals=True)
    assert "quill" not in dump()
    assert len(differences(kept)) == 1


def test_what_is_not_sealed_yet_is_sealed_as_it_was_left():
    _, kept = sealed_author()
    author = Author.objects.create(name="Bea Pen")
    key = author.pk
    author.delete()
    erased(Author, key)
    assert not SealEntry.objects.filter(kind="erased").exists()
    seal()
    assert differences(kept) == []
