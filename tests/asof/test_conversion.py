"""Tests that fields with their own way from the database read what was there as of the event."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection

import auditrepr
from auditrepr.asof.former import Asked, former_row
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.utils.time_limit import TimeLimit
from auditrepr.vendors.types import Event
from tests.app.conversion import (
    Asking,
    BrokenKey,
    CachedKey,
    Formatted,
    Hiding,
    Keyed,
    KeyedChild,
    KeyedName,
    Owner,
    OwnFields,
    PartlyFormatted,
    PartlyKeyed,
    Refusing,
    Secret,
    ToKeyed,
    Turning,
    TurningField,
    Untracked,
    UntrackedKey,
)
from tests.oracle import Oracle, assert_true, built

pytestmark = pytest.mark.django_db(transaction=True)


def names(manager):
    return ", ".join(str(one) for one in manager.all())


def first(manager):
    return str(manager.filter(rank__gte=0).order_by("rank", "pk").first())


def values(manager):
    return ", ".join(manager.filter(rank=0).values_list("name", flat=True))


@pytest.mark.parametrize("model", [Keyed, Hiding, PartlyKeyed])
def test_a_field_that_reads_its_key_from_a_table_has_the_key_of_then(model):
    Secret.objects.create(name="then")
    oracle = Oracle([model])
    with oracle.listening():
        one = model.objects.create(name="a")
        model.objects.create(name="b")
        Secret.objects.update(name="later")
        model.objects.filter(pk=one.pk).update(name="c")
    Secret.objects.update(name="now")
    assert_true(oracle)


def test_so_has_one_of_a_parents_table():
    Secret.objects.create(name="then")
    oracle = Oracle([Keyed, KeyedChild])
    with oracle.listening():
        KeyedChild.objects.create(name="a", extra="b")
    Secret.objects.update(name="now")
    assert_true(oracle)


def test_so_have_related_objects_of_the_log_and_those_of_today():
    Secret.objects.create(name="then")
    changed, kept = (Keyed.objects.create(name=name) for name in "ab")
    oracle = Oracle([ToKeyed])
    with oracle.listening():
        for keyed in (changed, kept):
            one = ToKeyed.objects.create(keyed=keyed)
            one.many.set([changed, kept])
            ToKeyed.objects.filter(pk=one.pk).update(keyed=keyed)
            Secret.objects.update(name="later")
    changed.delete()
    Secret.objects.update(name="now")
    assert_true(oracle)


@pytest.mark.parametrize("said", [names, first, values])
@pytest.mark.parametrize("model", [Keyed, Formatted])
def test_so_have_related_sets(model, said, monkeypatch):
    Secret.objects.create(name="then")
    owner = Owner.objects.create(name="o")
    manager = f"{model._meta.model_name}s"
    monkeypatch.setattr(Owner, "__str__", lambda owner: said(getattr(owner, manager)))
    one, *_ = (model.objects.create(name=name, owner=owner) for name in "ab")
    oracle = Oracle([Owner])
    with oracle.listening():
        Owner.objects.update(name="p")
    Secret.objects.update(name="now")
    model.objects.filter(pk=one.pk).update(name="now")
    assert_true(oracle)


OWN_FIELDS = {
    "day": [date(2024, 1, 2), date(2023, 12, 31)],
    "at": [datetime(2024, 1, 2, tzinfo=UTC), datetime(2023, 12, 31, 23, 0, 0, 5, tzinfo=UTC)],
    "hour": [time(13, 5), time(7)],
    "price": [Decimal("10.00"), Decimal("4.25")],
}
ASKED = {
    "filter": lambda owner, name, value: names(owner.ownfieldss.filter(**{f"{name}__gte": value})),
    "equal": lambda owner, name, value: names(owner.ownfieldss.filter(**{name: value})),
    "order": lambda owner, name, value: names(owner.ownfieldss.order_by(name)),
    "values": lambda owner, name, value: list(owner.ownfieldss.values_list(name, "name")),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("name", OWN_FIELDS)
@pytest.mark.parametrize("changed", [0, 1, 3])
def test_own_classes_of_fields_compare_as_their_columns_do(changed, name, asked, monkeypatch):
    """Whether the rows are those of today, of the log, or some of each."""
    default = OwnFields._meta.get_field(name).get_default()
    monkeypatch.setattr(Owner, "__str__", lambda owner: repr(asked(owner, name, default)))
    owner = Owner.objects.create(name="o")
    for n, value in enumerate([default, *OWN_FIELDS[name]]):
        OwnFields.objects.create(name=str(n), owner=owner, **{name: value})
    AuditLog.objects.all().delete()  # rows of today are those without an event
    oracle = Oracle([Owner])
    with oracle.listening():
        Owner.objects.update(name="p")
    for one in OwnFields.objects.order_by("pk")[:changed]:
        OwnFields.objects.filter(pk=one.pk).update(name="now", **{name: value})
    OwnFields.objects.create(name="later", owner=owner)
    assert_true(oracle)


@pytest.mark.sqlite
@pytest.mark.parametrize("model", [Keyed, OwnFields])
def test_a_set_may_have_more_rows_than_a_statement_takes(model, monkeypatch):
    manager = f"{model._meta.model_name}s"
    monkeypatch.setattr(Owner, "__str__", lambda o: names(getattr(o, manager).filter(name="a")))
    owner = Owner.objects.create(name="o")
    one, *_ = [model.objects.create(name=name, owner=owner) for name in "aba"]
    oracle = Oracle([Owner])
    with oracle.listening():
        Owner.objects.update(name="p")
    model.objects.filter(pk=one.pk).update(name="now")
    kind = sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER
    most = connection.connection.setlimit(kind, 12)
    assert_true(oracle)
    connection.connection.setlimit(kind, most)


def test_what_a_field_keeps_in_the_cache_is_of_one_event():
    for name in ("then", "later"):
        Secret.objects.update_or_create(pk=1, defaults={"name": name})
        CachedKey.objects.create(name="a")
    cache.set("key", "now")
    try:
        said = [one.text for one in built().values() if ":" in one.text]
        assert (said, cache.get("key")) == (["then:a", "later:a"], "now")
    finally:
        cache.clear()


def test_a_key_that_is_not_audited_is_mixed():
    Untracked.objects.create(name="then")
    UntrackedKey.objects.create(name="a")
    (outcome,) = built().values()
    assert (outcome.text, outcome.fidelity) == ("then:a", Fidelity.MIXED)


def test_a_query_that_fails_costs_its_own_row():
    for name in ("a", "broken", "b"):
        BrokenKey(name=name).save_base()
    before, broken, after = built().values()
    assert (before.text, after.text) == ("-:a", "-:b")
    assert broken.failure


def test_as_of_reads_it_with_the_key_of_then():
    Secret.objects.create(name="then")
    keyed = Keyed.objects.create(name="a")
    one = ToKeyed.objects.create(keyed=keyed)
    moment = AuditLog.objects.latest("pk")
    Secret.objects.update(name="now")
    assert auditrepr.as_of(Keyed, moment, pk=keyed.pk).name == "then:a"
    past = auditrepr.as_of(one, moment)
    assert past.keyed.name == "then:a"
    assert auditrepr.doubts(past) == []


def test_a_key_that_is_read_with_queries_is_mixed():
    Secret.objects.create(name="then")
    KeyedName.objects.create(name="a")
    Secret.objects.update(name="now")
    (outcome,) = (one for one in built().values() if ":" in one.text)
    assert (outcome.text, outcome.fidelity) == ("now:a", Fidelity.MIXED)
    assert outcome.reason == "name is read with queries"


def test_a_set_that_is_found_by_one_is_mixed_and_its_members_are_not(monkeypatch):
    Secret.objects.create(name="then")
    monkeypatch.setattr(Owner, "__str__", lambda owner: f"{owner.name} {owner.askings.count()}")
    owner = Owner.objects.create(name="o")
    Asking.objects.create(owner=owner)
    Owner.objects.update(name="p")
    *_, first, member, second = built().values()
    assert (member.text, member.fidelity) == ("of o 0", Fidelity.MIXED)
    assert (first.fidelity, second.fidelity) == (Fidelity.EXACT, Fidelity.MIXED)
    assert second.reason == "owner_id is read with queries"
    monkeypatch.setattr(Owner, "__str__", lambda owner: owner.name)
    *_, member, _ = built().values()
    assert (member.text, member.fidelity) == ("of o", Fidelity.EXACT)


def test_what_is_restored_is_read_with_the_key_of_then():
    Secret.objects.create(name="then")
    keyed = Keyed.objects.create(name="a")
    event = AuditLog.objects.latest("pk")
    Secret.objects.update(name="now")
    row = former_row(Asked(Keyed, keyed.pk, event), "default", TimeLimit(5))
    assert row.values["name"] == "then:a"
    assert row.known


@pytest.mark.parametrize("model", [BrokenKey, Refusing])
def test_an_error_of_a_field_that_sends_queries_is_one_of_the_former_row(model):
    one = model(name="broken", rank=3)
    one.save_base()
    event = AuditLog.objects.latest("pk")
    row = former_row(Asked(model, one.pk, event), "default", TimeLimit(5))
    assert (row.exists, row.known, len(row.errors)) == (True, False, 1)
    assert row.values["rank"] == 3
    assert "name" not in row.values


def test_a_field_that_only_sometimes_sends_queries_reads_nothing_of_today():
    Secret.objects.create(name="then")
    Turning.objects.create(name="a")
    Secret.objects.update(name="now")
    TurningField.calls = 0
    *_, outcome = [one for one in built().values() if ":" in one.text]
    assert outcome.text == "then:a"


def own_queries():
    """How many queries of our own build all events: those that no field sends."""
    sent = []

    def note(execute, sql, parameters, many, context):
        sent.append(sql)
        return execute(sql, parameters, many, context)

    events = [Event.of(row) for row in AuditLog.objects.order_by("id")]
    with connection.execute_wrapper(note):
        outcomes = list(build(events, "default"))
    assert {one.fidelity for one in outcomes} == {Fidelity.EXACT}
    return sum("app_secret" not in sql or "auditrepr_" in sql for sql in sent)


@pytest.mark.proof
def test_more_rows_take_no_more_queries_of_our_own():
    Secret.objects.create(name="then")
    for n in range(5):
        Keyed.objects.create(name=str(n))
    own_queries()  # what a process remembers
    few = own_queries()
    for n in range(45):
        Keyed.objects.create(name=str(n))
    assert own_queries() == few


@pytest.mark.parametrize("model", [Formatted, PartlyFormatted])
def test_a_column_that_is_selected_by_an_expression_is_what_that_gives(model):
    oracle = Oracle([model])
    with oracle.listening():
        one = model.objects.create(name="x")
        model.objects.create(name="y")
        model.objects.filter(pk=one.pk).update(name="z")
        one.delete()
    assert_true(oracle)


def test_such_columns_are_read_while_code_has_other_statements_open(monkeypatch):
    def said(owner):
        every = Formatted.objects.order_by("pk").iterator(chunk_size=1)
        return [f"{one.name} {names(owner.formatteds)}" for one in every]

    monkeypatch.setattr(Owner, "__str__", lambda owner: repr(said(owner)))
    owner = Owner.objects.create(name="o")
    for name in "abc":
        Formatted.objects.create(name=name, owner=owner)
    oracle = Oracle([Owner])
    with oracle.listening():
        for name in "pq":
            Owner.objects.update(name=name)
            Formatted.objects.filter(name="b").update(name=f"b{name}")
    assert_true(oracle)
