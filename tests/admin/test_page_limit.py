"""Tests that a page stops building after two seconds, and counts the rest as pending."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from auditrepr.models import AuditLog, InstanceRepr, ReprFailure
from auditrepr.utils import time_limit
from auditrepr.utils.time_limit import PageTimeLimit
from tests.app import hostile
from tests.app.hostile import HostileInit, HostileToRead
from tests.app.models import Author, Book
from tests.app.troubled import hang_in_database
from tests.capturing import insert
from tests.pages import LOG, page, reader, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["Ada", "Bea", "Cid", "Dot"]


class Clock:
    """Goes on by what the code of rows does, and not by how busy the machine is."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time_limit, "time", made)
    return made


@pytest.fixture(autouse=True)
def _four_authors(transactional_db: None) -> None:
    AuditLog.objects.all().delete()
    for name in NAMES:
        Author.objects.create(name=name)


def taking(seconds: float, clock: Clock) -> Callable[[Any], str]:
    def said(author: Any) -> str:
        clock.now += seconds
        return str(author.name)

    return said


def test_the_list_shows_what_it_has_come_to(reader: Client, monkeypatch, clock):
    monkeypatch.setattr(Author, "__str__", taking(1, clock))
    text = words(page(reader))
    built = [name for name in NAMES if f"{name} (not stored yet)" in text]
    assert built == ["Cid", "Dot"], "the newest come first"
    assert text.count("(not stored yet)") == 4
    assert (InstanceRepr.objects.count(), ReprFailure.objects.count()) == (0, 0)


def test_the_history_of_an_object_does_so_too(reader: Client, monkeypatch, clock):
    author = Author.objects.get(name="Ada")
    for name in ("Ada 2", "Ada 3", "Ada 4"):
        Author.objects.filter(pk=author.pk).update(name=name)
    monkeypatch.setattr(Author, "__str__", taking(1, clock))
    text = words(page(reader, f"{LOG}object/?table_name=app_author&object_id={author.pk}"))
    assert "Ada (not stored yet)" in text
    assert "Ada 2 (not stored yet)" in text
    assert "Ada 3 (not stored yet)" not in text
    assert text.count("(not stored yet)") == 4


def test_an_event_comes_before_its_neighbors(reader: Client, monkeypatch, clock):
    AuditLog.objects.update(transaction_id=7)
    monkeypatch.setattr(Author, "__str__", taking(2, clock))
    event = AuditLog.objects.get(object_id=str(Author.objects.get(name="Cid").pk))
    text = words(page(reader, f"{LOG}{event.pk}/change/"))
    assert "Representation Cid Fidelity exact" in text
    assert "not yet: built for this page" in text
    assert text.count("(not stored yet)") == 3


def test_one_that_is_not_built_claims_nothing(reader: Client, monkeypatch):
    monkeypatch.setattr(PageTimeLimit, "SECONDS", 0.0)
    text = words(page(reader, f"{LOG}{AuditLog.objects.latest('pk').pk}/change/"))
    assert "Stored not stored yet" in text
    assert "Fidelity" not in text


@pytest.mark.proof
def test_what_related_objects_were_called_is_left_raw(reader: Client, monkeypatch):
    ada, bea = Author.objects.order_by("pk")[:2]
    Book.objects.create(title="Notes", author=ada)
    Book.objects.update(author=bea)
    assert "author: Ada → Bea" in words(page(reader))
    monkeypatch.setattr(PageTimeLimit, "SECONDS", 0.0)
    assert f"{ada.pk} → {bea.pk}" in words(page(reader))


@pytest.mark.parametrize("model", [HostileToRead, HostileInit])
def test_it_looks_at_the_time_while_rows_are_read_and_made(
    model, reader: Client, monkeypatch, clock
):
    did: list[str] = []

    def takes_a_second(value: str) -> str:
        did.append(value)
        clock.now += 1
        return value

    AuditLog.objects.all().delete()
    for pk in range(6):
        insert(model, id=pk, name=f"row {pk}")
    monkeypatch.setattr(hostile, "raise_what_it_names", takes_a_second)
    text = words(page(reader))
    assert text.count("(not stored yet)") == 6
    assert len(did) <= 3


@pytest.mark.proof
def test_a_query_that_does_not_end_costs_no_row_its_place(reader: Client, monkeypatch):
    monkeypatch.setattr(PageTimeLimit, "SECONDS", 0.5)
    monkeypatch.setattr(Author, "__str__", lambda author: str(hang_in_database()))
    text = words(page(reader))
    assert text.count("(not stored yet)") == 4
    assert "no representation" not in text
    assert connection.is_usable()
    Author.objects.create(name="still writable")


def test_the_database_is_told_how_much_time_is_left(clock):
    limit = PageTimeLimit(10)
    assert limit.query_seconds == 2
    clock.now = 1.2
    with limit.row():
        assert limit.query_seconds == 1
    clock.now = 3
    assert limit.query_seconds == 0.5, "never without end"


def test_a_row_may_take_no_more_than_its_setting_says(monkeypatch):
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=lambda: 0.0))
    limit = PageTimeLimit(0.3)
    with limit.row():
        assert limit.query_seconds == 0.3
