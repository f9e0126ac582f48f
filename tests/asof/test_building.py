"""Tests the phases of a build: how a query is answered depends on whose code sends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.sessions.models import Session
from django.db import Error, connection
from django.db.models import Model

from auditrepr.asof.building import Building, StartOver, Transaction
from auditrepr.asof.history import History
from auditrepr.asof.lookups import Subject
from auditrepr.asof.phases import IDLE, READING, TODAY, Making, QueryRefused, Running
from auditrepr.asof.queries.past_tables import PastTables
from auditrepr.asof.substitution import NotAsOf
from auditrepr.models import AuditLog, Fidelity
from auditrepr.utils.time_limit import JobTimeLimit, TimeLimit, TimeLimitExceeded
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import Event, Moment
from tests.app.models import Author, Book
from tests.running import built_by_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def building() -> Iterator[Building]:
    made = _building(TimeLimit(10))
    with connection.execute_wrapper(made.intercept):
        yield made


def _building(limit: TimeLimit) -> Building:
    vendor = get_vendor("default")
    past_tables = PastTables(History(vendor, limit), [])
    return Building(vendor, limit, lambda: past_tables, lambda *instance: None)


@pytest.fixture
def subject() -> Subject:
    return Subject(Moment(1))


def ask() -> int:
    return Session.objects.count()  # which is not audited


@contextmanager
def running(building: Building, subject: Subject, *, careful: bool = False) -> Iterator[None]:
    building.run(subject, careful=careful)
    try:
        yield
    finally:
        building.rest()


def test_a_query_between_rows_belongs_to_no_row(building, subject):
    with running(building, subject):
        pass
    assert (ask(), building.phase, list(subject.notes)) == (0, IDLE, [])


def test_a_rows_own_query_reads_current_rows_and_is_noted(building, subject):
    with running(building, subject):
        ask()
    assert list(subject.notes) == [TODAY]


def test_a_rows_own_query_of_an_audited_table_reads_what_was_there(building):
    Author.objects.create(name="Ada")
    moment = Event.of(AuditLog.objects.latest("pk")).moment
    building.past_tables = lambda: PastTables(History(building.vendor, building.limit), [moment])
    Author.objects.create(name="Bob")
    with running(building, Subject(moment)):
        assert [author.name for author in Author.objects.order_by("pk")] == ["Ada"]


def test_what_auditrepr_reads_for_it_is_not_and_then_its_code_goes_on(building, subject):
    with running(building, subject):
        with building.reading():
            ask()
            assert building.phase is READING
        assert isinstance(building.phase, Running)
        assert list(subject.notes) == []


def test_an_incomplete_instance_may_not_ask_and_a_whole_one_is_noted(building, subject):
    refused, noted = Making(subject, incomplete=True), Making(subject)
    with pytest.raises(QueryRefused), building.during(refused):
        ask()
    assert (refused.asked, list(subject.notes), building.phase) == (True, [], IDLE)
    with building.during(noted):
        ask()
    assert (noted.asked, list(subject.notes)) == (True, [TODAY])


def test_one_query_is_answered_and_those_after_it_are_the_rows_own(building, subject):
    Author.objects.create(name="Ada")
    with running(building, subject), building.answering({Author: []}, otherwise=subject):
        assert Author.objects.count() == 0, "no author was there"
        assert list(subject.notes) == []
        assert ask() == 0
    assert list(subject.notes) == [TODAY]


def test_one_that_reads_more_reads_current_rows_or_nothing(building, subject):
    with running(building, subject), building.answering({Author: []}, otherwise=subject):
        assert ask() == 0
    assert list(subject.notes) == [TODAY]
    with pytest.raises(NotAsOf), building.reading(), building.answering({Author: []}):
        ask()
    assert building.phase is IDLE


def test_an_error_of_ours_that_a_row_swallows_is_its_failure_all_the_same(building, subject):
    error = Error("of ours")
    with running(building, subject, careful=True):
        with pytest.raises(Error), building.reading():
            raise error
        with pytest.raises(Error, match="of ours"):
            building.check()
        assert building.failure(ValueError("of its own")) is error
    with running(building, subject, careful=True):
        building.check()
        raised = ValueError("of its own")
        assert building.failure(raised) is raised
    assert building.transaction is Transaction.WHOLE


@pytest.mark.parametrize("error", [Error("in a query"), TimeLimitExceeded("too long")])
def test_what_costs_the_transaction_breaks_it_off(subject, error):
    building = _building(JobTimeLimit(10))
    with running(building, subject):
        assert building.failure(error) is error
    assert building.transaction is Transaction.BROKEN


def test_what_is_lost_is_lost_whatever_the_row_makes_of_it(building, subject):
    lost = StartOver()
    with running(building, subject):
        building.lose(lost)
        with pytest.raises(StartOver):
            building.check()
        with pytest.raises(StartOver):
            building.failure(ValueError("of its own"))
    assert building.transaction is Transaction.LOST


def test_what_an_instance_reads_of_another_while_it_is_made_is_as_of_the_event(monkeypatch):
    """Our own queries are not taken for those of the model's code that waits for them."""
    author = Author.objects.create(name="Ada")
    for title in ("one", "two"):
        Book.objects.create(title=title, author=author)
    made: list[Book] = []

    def __init__(book: Book, *values: object, **options: object) -> None:
        Model.__init__(book, *values, **options)
        book.beside = made[0].author.name if made else ""
        made.append(book)

    monkeypatch.setattr(Book, "__init__", __init__)
    monkeypatch.setattr(Book, "__str__", lambda book: f"{book.title} {book.beside} {book.author}")
    events = [
        Event.of(row) for row in AuditLog.objects.filter(table_name="app_book").order_by("pk")
    ]
    first, second = built_by_job(events)
    assert [first.text, second.text] == ["one  Ada", "two Ada Ada"]
    assert second.fidelity == Fidelity.EXACT, second.reason
