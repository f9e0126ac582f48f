"""Tests that code which reads all attributes of an object finds what it would find live."""

from __future__ import annotations

import json
from operator import attrgetter

import pytest

import auditrepr
from auditrepr.models import AuditLog, Fidelity
from tests.app.conversion import Owner
from tests.app.making import (
    InnerPart,
    InnerSide,
    Looking,
    Mapped,
    Mapping,
    Marked,
    Shared,
    Sharing,
    Single,
    Touching,
    Whole,
    WithSide,
)
from tests.oracle import Oracle, assert_true, built

pytestmark = pytest.mark.django_db(transaction=True)


def plainly(attributes):
    return {name: value for name, value in attributes.items() if name != "_state"}


#: What reads all attributes.
ALL = {
    "items": lambda one: str(plainly(vars(one))),
    "dict": lambda one: str(plainly(dict(vars(one)))),
    "unpacked": lambda one: str(plainly({**vars(one)})),
    "copy": lambda one: str(plainly(vars(one).copy())),
    "or": lambda one: str(plainly(vars(one) | {"more": 1})),
    "ror": lambda one: str(plainly({"more": 1} | vars(one))),
    "keys": lambda one: str(list(one.__dict__.keys())),
    "names": lambda one: str(list(one.__dict__)),
    "reversed": lambda one: str(list(reversed(one.__dict__))),
    "values": lambda one: str(list(one.__dict__.values())[1:]),
    "json": lambda one: json.dumps(vars(one), default=lambda _: ""),
    "format": lambda one: "{first} {hidden}".format(**vars(one)),
    "len": lambda one: str(len(vars(one))),
    "equal": lambda one: str(vars(one) == dict(vars(one)) != {}),
    "unequal": lambda one: str(vars(one) != dict(vars(one))),
    "repr": lambda one: repr(vars(one)).partition(">")[2],
}
#: What reads the attribute that has no value in the log.
ONE = {
    "item": lambda one: vars(one)["hidden"],
    "get": lambda one: vars(one).get("hidden", "nothing"),
    "in": lambda one: str("hidden" in vars(one)),
    "%": lambda one: "%(name)s %(hidden)s" % vars(one),  # noqa: UP031
    "pop": lambda one: vars(one).pop("hidden", "nothing"),
    "setdefault": lambda one: vars(one).setdefault("hidden", "nothing"),
}
#: What reads it not, or not before it has a value.
NONE = {
    "other": lambda one: "%(name)s" % vars(one),  # noqa: UP031
    "set": lambda one: f"{setattr(one, 'hidden', 'x')} {plainly(vars(one))}",
    "deferred": lambda one: str(one.get_deferred_fields()),
    "refreshed": lambda one: f"{one.refresh_from_db()} {one.name}",
    "type": lambda one: f"{type(one)} {one.__class__}",
    "ours": lambda one: str([name in vars(one) for name in ("refresh_from_db", "name")]),
}


def looked(said, monkeypatch):
    monkeypatch.setattr(Looking, "__str__", said)
    oracle = Oracle([Looking])
    with oracle.listening():
        Looking.objects.create(name="a", owner=Owner.objects.create(name="o"))
    return oracle


@pytest.mark.parametrize("said", [*(ALL | ONE).values()], ids=[*(ALL | ONE)])
def test_a_value_that_the_log_lacks_is_shown_as_such(said, monkeypatch):
    oracle = looked(said, monkeypatch)
    ((event, live),) = oracle.expected.items()
    outcome = built()[event]
    assert not outcome.failure
    assert outcome.fidelity == Fidelity.MIXED
    assert outcome.text.replace("[hidden: not recorded]", "h") == live


@pytest.mark.parametrize("said", NONE.values(), ids=NONE)
def test_what_reads_no_such_value_is_exact(said, monkeypatch):
    assert_true(looked(said, monkeypatch))


@pytest.mark.parametrize("said", ALL.values(), ids=ALL)
def test_an_object_has_no_other_attributes_than_live(said, monkeypatch):
    monkeypatch.setattr(Whole, "__str__", said)
    oracle = Oracle([Whole])
    with oracle.listening():
        Whole.objects.create()
    assert_true(oracle)


def test_an_object_from_as_of_has_its_own_attributes_only():
    owner = Owner.objects.create(name="o")
    looking = Looking.objects.create(name="a", owner=owner)
    moment = AuditLog.objects.latest("pk")
    past = auditrepr.as_of(owner, moment)
    assert plainly(vars(past)) == plainly(vars(Owner.objects.get()))
    past = auditrepr.as_of(looking, moment)
    assert auditrepr.doubts(past) == []
    assert list(vars(past)) == list(vars(Looking.objects.get()))
    assert auditrepr.doubts(past) == ["hidden is not in the log"]


@pytest.mark.parametrize("model", [Marked, Touching, WithSide])
def test_what_a_model_adds_while_an_instance_is_made_stays(model):
    oracle = Oracle([model])
    with oracle.listening():
        one = model.objects.create(name="a")
        if model is Touching:
            Touching.objects.create(name="b", owner=Owner.objects.create(name="o"))
        if model is WithSide:
            InnerPart.objects.create(of=one, name="p")
            model.objects.update(name="b")
            InnerSide.objects.create(of=one, name="s")
        model.objects.update(name="c")
    Owner.objects.update(name="now")
    InnerSide.objects.update(name="now")
    InnerPart.objects.update(name="now")
    assert_true(oracle)


def test_an_instance_that_a_class_keeps_is_left_alone():
    oracle = Oracle([Shared])
    with oracle.listening():
        Shared.objects.create(name="a", owner=Owner.objects.create(name="o"))
        Shared.objects.update(name="b")
    Owner.objects.update(name="now")
    assert_true(oracle)
    kept = Sharing.last[Shared]
    assert type(kept.__dict__) is dict
    assert attrgetter("owner.name")(kept) == "now"


def test_an_identity_map_neither_answers_for_the_past_nor_learns_of_it():
    oracle = Oracle([Mapped])
    with oracle.listening():
        Mapped.objects.create(name="a", near=Mapped.objects.create(name="b"))
        b, a = Mapped.objects.order_by("pk")
        for one, name in ((a, "A"), (b, "B"), (a, "aa")):
            one.name = name
            one.save()
    assert_true(oracle)
    first = AuditLog.objects.earliest("pk")
    past = auditrepr.as_of(b, first)
    assert (past.name, past is b) == ("b", False)
    assert {kept.name for kept in Mapping.known.values()} == {"aa", "B"}
    assert a.near is b


def test_the_one_instance_of_a_class_is_left_alone():
    oracle = Oracle([Single])
    with oracle.listening():
        Single.objects.create(name="a")
        Single.objects.update(name="b")
    live = Single.objects.get()
    assert_true(oracle)
    first = AuditLog.objects.earliest("pk")
    assert (str(auditrepr.as_of(live, first)), str(live)) == ("a!", "b!")
