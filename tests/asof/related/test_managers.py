"""Tests that a project's managers are called exactly when live code would call them."""

from __future__ import annotations

import sys

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import Manager, QuerySet
from django.db.models.sql import Query
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import auditrepr
from auditrepr.asof.related import relations
from auditrepr.asof.related.managers import is_plain
from auditrepr.asof.related.related_querysets import NO_ORDER
from auditrepr.asof.states.states import BESIDE, UNCLEAR
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.managing import (
    Hidden,
    Holder,
    Late,
    LateQuery,
    LateQuerySet,
    Made,
    OwnPart,
    PosingPart,
    Scoped,
    Shown,
    ShownPart,
    Tenanted,
    asked,
)
from tests.oracle import HISTORIES, Oracle

PARTS = [Late, ShownPart, OwnPart, PosingPart]
KINDS = [Tenanted, Hidden, Made, *PARTS]
NAME = st.sampled_from("abc")
NUMBER = st.integers(0, 3)


class MoreMethods(Manager.from_queryset(type("Q", (QuerySet,), {"few": lambda q: q[:3]}))):
    use_in_migrations = True


@pytest.mark.parametrize(
    ("manager", "plain"),
    [
        (Manager(), True),
        (MoreMethods(), True),
        (Shown(), False),
        (Scoped(), False),
        (Manager.from_queryset(LateQuerySet)(), False),
    ],
)
def test_what_a_manager_does_is_read_from_its_class(manager, plain):
    asked.clear()
    assert is_plain(manager) == plain
    assert asked == []


def test_a_changed_get_compiler_makes_every_manager_one_to_be_asked(monkeypatch):
    monkeypatch.setattr(Query, "get_compiler", LateQuery.get_compiler)
    is_plain.__globals__["_is_plain"].cache_clear()
    assert not is_plain(Manager())
    monkeypatch.undo()
    is_plain.__globals__["_is_plain"].cache_clear()
    assert is_plain(Manager())


@pytest.mark.django_db
def test_a_default_manager_that_raises_is_not_asked_for_what_a_key_leads_to():
    tenanted = Tenanted.everything.create(name="t")
    Holder.objects.create(name="h", tenanted=tenanted)
    asked.clear()
    (outcome,) = built()
    assert ("'t'" in outcome.text, outcome.fidelity, asked.count("scoped")) == (
        True,
        Fidelity.EXACT,
        0,
    )


@pytest.mark.django_db
def test_a_base_manager_is_asked_for_each_row_and_what_it_raises_is_what_str_meets(monkeypatch):
    hidden = Hidden.everything.create(name="h", gone=True)
    for _ in range(3):
        Holder.objects.create(hidden=hidden)
    monkeypatch.setattr(Holder, "__str__", lambda holder: str(holder.hidden))
    asked.clear()
    assert {one.failure.error_class for one in built()} == {"Hidden.DoesNotExist"}
    assert asked.count("shown") == 3


@pytest.mark.django_db
def test_an_error_of_a_resolver_is_remembered_for_its_peers(monkeypatch):
    tenanted = Tenanted.everything.create(name="t")
    for _ in range(27):
        Holder.objects.create(tenanted=tenanted)
    calls = []

    def refuse(_):
        calls.append(1)
        raise RuntimeError("cannot tell")

    monkeypatch.setattr(relations, "is_plain", refuse)
    monkeypatch.setattr(Holder, "__str__", lambda holder: str(holder.tenanted))
    assert {one.failure.message for one in built()} == {"cannot tell"}
    assert len(calls) == 1


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_as_of_reads_through_the_projects_managers_as_of_then():
    hidden, made = (kind.everything.create(name="then") for kind in (Hidden, Made))
    holder = Holder.objects.create(name="h", hidden=hidden, made=made)
    Late.everything.create(name="then", holder=holder)
    holder.save()
    moment = AuditLog.objects.latest("pk")
    live = str(Holder.objects.get())
    for kind in (Hidden, Made, Late):
        kind.everything.update(name="now")
    past = auditrepr.as_of(Holder, moment, pk=holder.pk)
    assert str(past) == live
    assert [one.holder.hidden.name for one in past.late.all()] == ["then"]


@pytest.mark.django_db
def test_a_manager_that_returns_the_objects_of_a_proxy_returns_them_as_of_then(monkeypatch):
    monkeypatch.setattr(Holder, "__str__", lambda self: str([*self.posing.all()]))
    holder = Holder.objects.create(name="h")
    part = PosingPart.everything.create(name="p", holder=holder)
    Holder.objects.update(name="g")
    PosingPart.everything.filter(pk=part.pk).update(name="q")
    assert [(one.text, one.reason) for one in built()] == [
        ("[]", ""),
        ("[<Pose: pose of g p>]", ""),
    ]
    old = auditrepr.as_of(holder, AuditLog.objects.get(table_name="app_holder", action="U"))
    assert str(old) == "[<Pose: pose of g p>]"
    assert auditrepr.doubts(old) == []


@pytest.mark.django_db
def test_a_generic_key_to_what_was_deleted_leads_to_none_and_is_exact():
    tenanted = Tenanted.everything.create(name="t")
    Holder.objects.create(name="h", target=tenanted)
    tenanted.delete()
    Holder.objects.update(name="i")
    first, second = built()
    assert "'t'" in first.text
    assert ("'None'" in second.text, second.reason) == (True, "")


def built():
    rows = AuditLog.objects.filter(table_name="app_holder").order_by("pk")
    return build([Event.of(row) for row in rows], "default")


class World(RuleBasedStateMachine):
    """Holders of what all these managers show, and changes of it all."""

    def __init__(self) -> None:
        super().__init__()
        for kind in (*PARTS, Holder, Tenanted, Hidden, Made):
            QuerySet(kind).delete()
        AuditLog.objects.all().delete()
        self.oracle = Oracle([Holder])
        self.listening = self.oracle.listening()
        self.listening.__enter__()
        Holder.objects.create(name="first")

    def any_of(self, kind: type[models.Model], number: int):
        rows = list(QuerySet(kind).order_by("pk"))
        return rows[number % len(rows)] if rows else None

    @rule(kind=st.sampled_from([Tenanted, Hidden, Made]), name=NAME, gone=st.booleans())
    def new(self, kind, name, gone):
        kind.everything.create(name=name, gone=gone)

    @rule(kind=st.sampled_from(PARTS), name=NAME, n=NUMBER, gone=st.booleans())
    def new_part(self, kind, name, n, gone):
        kind.everything.create(name=name, gone=gone, holder=self.any_of(Holder, n))

    @rule(name=NAME, n=NUMBER, generic=st.sampled_from([Tenanted, Hidden, Made]))
    def hold(self, name, n, generic):
        target = self.any_of(generic, n)
        Holder.objects.create(
            name=name,
            tenanted=self.any_of(Tenanted, n),
            hidden=self.any_of(Hidden, n),
            made=self.any_of(Made, n),
            type=ContentType.objects.get_for_model(generic),
            key=target.pk if target else 4711,
        )

    @rule(kind=st.sampled_from(KINDS), name=NAME, n=NUMBER, gone=st.booleans())
    def change(self, kind, name, n, gone):
        if one := self.any_of(kind, n):
            QuerySet(kind).filter(pk=one.pk).update(name=name, gone=gone)

    @rule(kind=st.sampled_from([Hidden, Made, *PARTS]), n=NUMBER)
    def delete(self, kind, n):
        if one := self.any_of(kind, n):
            QuerySet(kind).filter(pk=one.pk)._raw_delete(connection.alias)

    @rule(name=NAME)
    def touch_all(self, name):
        Holder.objects.update(name=name)

    def teardown(self) -> None:
        self.listening.__exit__(None, None, None)
        for one in built():
            assert one.failure is None, one
            if one.fidelity == Fidelity.EXACT:
                assert one.text == self.oracle.expected[one.id], one
            else:
                near = {BESIDE, UNCLEAR} if connection.vendor == "sqlite" else {NO_ORDER}
                assert set(one.reason.splitlines()) <= near, one
            seen.append(one.fidelity)


seen: list[str] = []


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_what_managers_show_is_as_of_the_event():
    seen.clear()
    run_state_machine_as_test(World, settings=HISTORIES)
    exact = seen.count(Fidelity.EXACT)
    sys.stderr.write(f"\n{connection.display_name}: {exact} exact of {len(seen)}\n")
    assert exact > len(seen) / 2
