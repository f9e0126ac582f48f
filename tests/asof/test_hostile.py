"""Tests that a model whose code breaks while an instance is made costs only its own row."""

from __future__ import annotations

import pytest
from django.db import connection

from auditrepr import capture
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import Outcome
from auditrepr.vendors.types import Event
from tests.app import hostile
from tests.app.hostile import (
    ERRORS,
    HOSTILE,
    LEADING,
    HostileDescriptor,
    HostileFromDb,
    HostileInit,
    HostileToRead,
    Remembering,
    raise_what_it_names,
)
from tests.capturing import insert, next_moment
from tests.running import built_by_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_log():
    AuditLog.objects.all().delete()


def outcomes() -> list[Outcome]:
    return built_by_job([Event.of(row) for row in AuditLog.objects.order_by("id")])


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("model", HOSTILE)
def test_it_costs_its_own_row(model, error):
    for pk, name in enumerate(["a", error, "b"]):
        insert(model, id=pk, name=name)
    first, bad, last = outcomes()
    assert (first.text, last.text) == ("a", "b")
    assert {first.fidelity, last.fidelity} == {Fidelity.EXACT}
    assert bad.failure is not None
    assert error in bad.failure.error_class + bad.failure.message


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("model", HOSTILE)
def test_only_what_refers_to_it_fails_and_never_shows_the_current_row(model, error):
    for pk, name in enumerate(["a", error, "b"]):
        insert(model, id=pk, name=name)
    for pk in range(3):
        insert(LEADING[model], id=pk, to_id=pk)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model._meta.db_table} SET name = 'today'")
    first, bad, last = outcomes()[3:6]
    assert (first.text, last.text) == ("to a", "to b")
    assert bad.failure is not None, bad.text
    assert error in bad.failure.error_class + bad.failure.message


def test_what_is_no_instance_at_all_costs_its_own_row():
    for pk, name in enumerate(["a", "None", "b"]):
        insert(HostileFromDb, id=pk, name=name)
    first, bad, last = outcomes()
    assert (first.text, last.text) == ("a", "b")
    assert bad.failure is not None


MAKING = [HostileDescriptor, HostileInit, HostileFromDb]


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("model", "way"),
    [(model, way) for model in [HostileToRead, *MAKING] for way in ("hangs", "queries wrongly")]
    + [(HostileInit, "queries for long")],
)
def test_what_hangs_or_fails_in_the_database_while_an_instance_is_made_costs_its_own_row(
    model, way, settings
):
    settings.AUDITREPR = {"ROW_SECONDS": 0.3}
    names = ["a", way, "b"]
    for pk, name in enumerate(names):
        insert(model, id=pk, name=name)
    for pk in range(3):
        insert(LEADING[model], id=pk, to_id=pk)
    first, bad, last, to_first, to_bad, to_last = outcomes()
    assert (first.text, last.text, to_first.text, to_last.text) == ("a", "b", "to a", "to b")
    assert bad.failure is not None
    assert to_bad.failure is not None
    expected = "nowhere" if way == "queries wrongly" else ""
    assert expected in bad.failure.message
    assert connection.is_usable()


@pytest.mark.django_db(transaction=True)
def test_a_query_while_an_instance_is_made_is_answered_as_of_the_event():
    insert(Remembering, id=1, name="one", secret="s", asks=True)
    next_moment()
    insert(Remembering, id=2, name="two", secret="s", asks=False)
    asking, other = outcomes()
    assert (asking.text, asking.reason) == ("one of 1", "")
    assert (other.text, other.reason) == ("two", "")


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_an_excluded_column_that_is_read_while_an_instance_is_made_does_not_show(settings):
    settings.AUDITREPR = {"EXCLUDE": {"app.Remembering": ["secret"]}}
    capture.install("default")
    try:
        insert(Remembering, id=1, name="shows", secret="secret", asks=False)
        insert(Remembering, id=2, name="two", secret="secret", asks=False)
        showing, other = outcomes()
    finally:
        settings.AUDITREPR = {}
        capture.install("default")
    assert (showing.text, showing.reason) == (
        "shows [secret: not recorded]",
        "secret is not in the log",
    )
    assert (other.text, other.reason) == ("two", "")


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_what_breaks_while_an_incomplete_instance_is_made_is_not_tried_again(settings, monkeypatch):
    tried = []

    def noting(name):
        tried.append(name)
        return raise_what_it_names(name)

    settings.AUDITREPR = {"EXCLUDE": {"app.Remembering": ["secret"]}}
    capture.install("default")
    try:
        insert(Remembering, id=1, name="KeyError", secret="s", asks=False)
        insert(Remembering, id=2, name="two", secret="s", asks=False)
        monkeypatch.setattr(hostile, "raise_what_it_names", noting)
        bad, other = outcomes()
    finally:
        settings.AUDITREPR = {}
        capture.install("default")
    assert bad.failure is not None
    assert "KeyError" in bad.failure.message
    assert (other.text, tried) == ("two", ["KeyError", "two"])


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_a_model_begins_while_it_is_made_asks_nothing():
    insert(Remembering, id=1, name="begins", secret="s", asks=False)
    (outcome,) = outcomes()
    assert (outcome.text, outcome.reason) == ("begins", "")


@pytest.mark.django_db(transaction=True)
def test_code_that_hides_a_lost_related_object_is_that_rows_own(monkeypatch):
    """The model asks the database for nonsense, and who leads to it takes that for nothing."""

    def said(leading):
        try:
            return f"to {leading.to}"
        except BaseException:
            return "to nobody"

    monkeypatch.setattr(LEADING[HostileInit], "__str__", said)
    for pk, name in enumerate(["a", "queries wrongly", "b"]):
        insert(HostileInit, id=pk, name=name)
    AuditLog.objects.all().delete()
    for pk in range(3):
        insert(LEADING[HostileInit], id=pk, to_id=pk)
    assert [one.text for one in outcomes()] == ["to a", "to nobody", "to b"]


def leading_to_rows_of_today() -> list[Outcome]:
    """What leads to three rows that the log has never mentioned."""
    AuditLog.objects.all().delete()
    for pk in range(3):
        insert(LEADING[HostileToRead], id=pk, to_id=pk)
    return outcomes()


@pytest.mark.django_db(transaction=True)
def test_a_current_row_that_its_fields_cannot_read_fails_what_refers_to_it():
    for pk, name in enumerate(["a", "ValueError", "b"]):
        insert(HostileToRead, id=pk, name=name)
    first, bad, last = leading_to_rows_of_today()
    assert (first.text, last.text) == ("to a", "to b")
    assert bad.failure is not None
    assert bad.failure.error_class == "ValueError"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_table_that_cannot_be_read_costs_what_leads_to_it():
    insert(HostileToRead, id=0, name="a")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE app_hostiletoread RENAME COLUMN name TO hidden")
        try:
            AuditLog.objects.all().delete()
            insert(LEADING[HostileToRead], id=0, to_id=0)
            insert(LEADING[HostileToRead], id=1, to_id=None)
            insert(HostileDescriptor, id=1, name="other")
            bad, nothing, other = outcomes()
        finally:
            cursor.execute("ALTER TABLE app_hostiletoread RENAME COLUMN hidden TO name")
    assert bad.failure is not None
    assert "name" in bad.failure.message
    assert (nothing.text, other.text) == ("to None", "other")
