"""Tests that the queryset of a related set behaves like Django's, as of the event."""

from __future__ import annotations

import json
import pickle
from functools import wraps
from inspect import unwrap

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.utils import ConnectionRouter

from auditrepr.asof.phases import TODAY
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.racks import Color, Folio, Good, Loaned, Mark, Page, Rack, Slip, Stamped, TurnedGood
from tests.oracle import Oracle, assert_true, built

pytestmark = pytest.mark.django_db(transaction=True)


def each(objects, change):
    return [change(one) or one.name for one in objects]


def louder(one):
    one.name = one.name.upper()


def names(objects):
    return [one.name for one in objects]


def twice(objects):
    """Changes all members that one queryset gives, and tells those of the next."""
    return each(objects(), louder), names(objects())


def of_colors(rack):
    """Changes what members refer to, and tells what the next ones do."""
    return [
        (louder(one.color), one.color.shades.append("new"), [*one.color.shades][:1], one.color.name)
        for one in [*rack.folios.all(), *rack.folios.all()]
    ]


def evaluated(rack):
    folios = rack.folios.all()
    first = each(folios, louder)
    return first, names(folios), folios[0] is folios[0], type(folios[:2]), folios.count()


SLICES = {
    "values": lambda s: list(s.folios.all()[:2].values_list("name", flat=True)),
    "count": lambda s: (s.folios.all()[:2].count(), s.folios.all()[1:].count()),
    "exists": lambda s: (s.folios.all()[:2].exists(), s.folios.all()[9:].exists()),
    "repr": lambda s: (repr(s.folios.all()[:2]), repr(s.folios.all()), repr(s.friends.all()[:0])),
    "in": lambda s: names(Folio.objects.filter(pk__in=s.folios.all()[:2]).order_by("pk")),
    "slice of a slice": lambda s: names(s.folios.all()[1:][:1]),
    "step": lambda s: s.folios.all()[::2],
    "stepped from": lambda s: s.folios.all()[1::2],
    "one": lambda s: (s.folios.all()[1].name, s.folios.all()[1:][0].name),
    "filter": lambda s: s.folios.all()[:2].filter(rank=0),
    "last": lambda s: s.folios.all()[:2].last(),
    "contains": lambda s: s.folios.all()[:2].contains(Folio(pk=1)),
    "out of reach": lambda s: s.folios.all()[99],
    "negative": lambda s: s.folios.all()[-1],
    "negative slice": lambda s: s.folios.all()[:-1],
    "other key": lambda s: s.folios.all()["a"],
    "aggregate": lambda s: s.folios.all()[:2].aggregate(n=F("rank")),
    "after evaluation": lambda s: (lambda every: (len(every), type(every[:2])))(s.folios.all()),
    "reversed": lambda s: names(reversed(s.folios.all())),
    "first": lambda s: (s.folios.first(), s.folios.last(), s.folios.all()[:1].first()),
    "pickle": lambda s: names(pickle.loads(pickle.dumps(s.folios.all()[:2]))),
    "manager that filters": lambda s: (s.pages.all()[:1].count(), names(s.pages.all()[:1])),
    "of the project's own": lambda s: (
        lambda goods: (goods.count(), goods.exists(), names(goods[:2]), goods[1].name)
    )(s.goods(manager="short").all()),
}
FRESH = {
    "all": lambda s: twice(s.folios.all),
    "filter": lambda s: twice(lambda: s.folios.filter(rank=0)),
    "filter after all": lambda s: (each(s.folios.all(), louder), names(s.folios.filter(rank=0))),
    "slices": lambda s: twice(lambda: s.folios.all()[:2]),
    "one": lambda s: (louder(s.folios.all()[0]), s.folios.all()[0].name, s.folios.first().name),
    "iterator": lambda s: twice(s.folios.iterator),
    "same": lambda s: s.folios.all()[0] is s.folios.all()[0],
    "three times": lambda s: [twice(s.folios.all) for _ in range(3)],
    "back": lambda s: [one.rack is s for _ in range(2) for one in s.folios.all()],
    "evaluated": evaluated,
    "another attribute": lambda s: [
        (hasattr(one, "mine"), setattr(one, "mine", 1)) for _ in "ab" for one in s.folios.all()
    ],
    "deleted attribute": lambda s: [
        (one.name, delattr(one, "rank")) for _ in "ab" for one in s.folios.all()
    ],
    "key": lambda s: [
        (one.pk, setattr(one, "pk", None)) for _ in "abc" for one in s.folios.filter(rank=0)
    ],
    "foreign key": lambda s: [
        (str(one.color), setattr(one, "color", None)) for _ in "ab" for one in s.folios.all()
    ],
    "in place": lambda s: [
        (str(one.data), one.data.append(1)) for _ in "abc" for one in s.folios.all()
    ],
    "what they refer to": of_colors,
    "one to one": lambda s: [
        (louder(one.slip), one.slip.name, one.slip.folio is one)
        for _ in "ab" for one in s.folios.filter(slip__isnull=False)
    ] + [twice(lambda: [one.slip for one in s.folios.all() if hasattr(one, "slip")])],
    "sets of members": lambda s: [
        twice(lambda one=one: one.friends.order_by("pk"))
        for _ in "ab" for one in s.friends.order_by("pk")
    ],
    "many to many": lambda s: (twice(lambda: s.friends.order_by("pk"))),
    "made by the model": lambda s: [
        (one.shown, one.data.append(1), one.data, louder(one), setattr(one, "shown", ""))
        for _ in "abc" for one in s.loaned.all()
    ],
    "changed by the model": lambda s: [
        (one.shown, one.data) for _ in "abc" for one in s.stamped.all()
    ],
    "manager that prefetches": lambda s: [
        (each(one.marks.all(), louder), names(one.marks.all()))
        for _ in "ab" for one in s.pages.all()
    ],
    "united": lambda s: (
        each(s.folios.all(), louder),
        names((s.folios.filter(rank=0) | s.folios.filter(rank=1)).order_by("pk")),
        names((s.pages.filter(pk=1) | s.pages.filter(pk__gt=1)).order_by("pk")),
    ),
}  # fmt: skip
PREFETCHED = {
    "some": lambda s: [names(page.marks.all()) for page in s.pages.all()],
    "filtered": lambda s: [names(page.marks.all()) for page in s.pages.filter(pk__gt=0)],
    "first": lambda s: names(s.pages.first().marks.all()),
    "apart": lambda s: [names(one.last_first) for one in s.pages(manager="apart").all()],
    "all": lambda s: [names(page.marks.all()) for page in s.pages(manager="with_all").all()],
    "kept": lambda s: [
        (each(page.marks.all(), louder), names(page.marks.all()), page.marks.all()[0].name)
        for page in s.pages(manager="with_all").all()[:1]
    ],
    "deeply": lambda s: [
        (each(page.rack.folios.all(), louder), names(page.rack.folios.all()))
        for page in s.pages(manager="deeply").all()[:1]
    ],
    "deeply many": lambda s: [
        (names(page.marks.all()), names(page.rack.folios.all()))
        for page in s.pages(manager="deeply").all()
    ],
    "no such relation": lambda s: list(s.pages(manager="with_nothing").all()),
    "none": lambda s: list(s.pages(manager="with_nothing").filter(pk=0)),
    "filter of it": lambda s: [names(p.marks.filter(hidden=True)) for p in s.pages.all()],
}
ITERATED = {
    "iterator": lambda s: names(s.goods(manager="iterating").iterator()),
    "filtered": lambda s: names(s.goods(manager="iterating").filter(rank=0).iterator(5)),
    "slice": lambda s: names(s.goods(manager="iterating").all()[1:].iterator()),
    "values": lambda s: list(s.goods(manager="few").values_list("name").iterator()),
    "private": lambda s: names(s.goods(manager="few").iterator(chunk_size=1)),
    "all": lambda s: names(s.goods(manager="iterating").all()),
    "relations": lambda s: [one.rack.name for one in s.goods(manager="iterating").iterator()],
    "usual": lambda s: names(s.goods.iterator(chunk_size=1)),
}
TURNED = {
    "all": lambda s: names(s.turned.all()),
    "manager": lambda s: names(s.goods(manager="turned").all()),
    "filter": lambda s: names(s.turned.filter(name__gt="a")),
    "back": lambda s: names(s.turned.reverse()),
    "slice": lambda s: names(s.turned.all()[:2]),
    "first": lambda s: s.turned.first().name,
}


def story() -> None:
    rack = Rack.objects.create(name="s")
    friend = Rack.objects.create(name="f")
    other = Rack.objects.create(name="o")
    color = Color.objects.create(name="red", shades=["dark"])
    for n, name in enumerate("xab"):
        folio = Folio.objects.create(name=name, rack=rack, color=color, data=[n])
        page = Page.objects.create(name=name, rack=rack)
        for mark in "cd":
            Mark.objects.create(name=f"{name}{mark}", page=page, hidden=mark == "c")
        Good.objects.create(name=name, rack=rack)
        TurnedGood.objects.create(name=name, rack=rack)
    TurnedGood.objects.create(name="top", rack=rack, rank=1)
    Loaned.objects.create(name="l", rack=other, on=rack, color=color, data=["l"])
    Slip.objects.create(name="p", folio=folio)
    for name in "mn":
        Stamped.objects.create(name=name, rack=rack, data=[name])
    rack.friends.add(friend)
    friend.friends.add(other)
    Rack.objects.filter(pk=rack.pk).update(name="s2")
    Folio.objects.filter(name="a").update(rank=1)
    Mark.objects.filter(name="ad").update(hidden=True)
    Rack.objects.filter(pk=rack.pk).update(name="s3")
    Folio.objects.filter(name="x").delete()
    Folio.objects.filter(name="b").update(name="now", data=["now"])
    Color.objects.update(name="now")
    Mark.objects.all().delete()
    Good.objects.update(name="now")
    Stamped.objects.filter(name="m").update(data=["now"])


def answered(question, rack) -> str:
    try:
        return str(question(rack))
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        return f"{type(error).__name__}: {error}"


def outcomes_of(questions, monkeypatch):
    """What live code answered to all questions in turn, and what is built of it, by question."""

    def said(rack):
        return json.dumps([answered(question, rack) for question in questions.values()])

    monkeypatch.setattr(Rack, "__str__", said)
    oracle = Oracle([Rack])
    with oracle.listening():
        story()
    rows = AuditLog.objects.filter(pk__in=oracle.expected)
    found = list(build([Event.of(row) for row in rows], "default"))
    assert len(found) == 5
    assert not [one.failure for one in found if one.failure]
    answers = [
        dict(zip(questions, zip(*map(json.loads, pair), strict=True), strict=True))
        for pair in ((oracle.expected[one.id], one.text) for one in found)
    ]
    return found, answers


def assert_said(questions, monkeypatch) -> None:
    """Everything is exact, and what live code said."""
    found, answers = outcomes_of(questions, monkeypatch)
    assert not [(name, *pair) for one in answers for name, pair in one.items() if len({*pair}) > 1]
    assert {one.reason for one in found} == {""}


@pytest.mark.proof
def test_a_slice_is_what_django_gives(monkeypatch):
    assert_said(SLICES, monkeypatch)


@pytest.mark.proof
def test_each_reading_of_a_set_gives_objects_of_its_own(monkeypatch):
    assert_said(FRESH, monkeypatch)


@pytest.mark.proof
def test_what_a_manager_prefetches_is_there(monkeypatch):
    assert_said(PREFETCHED, monkeypatch)


@pytest.mark.proof
def test_an_iterator_of_the_projects_own_is_asked(monkeypatch):
    assert_said(ITERATED, monkeypatch)


@pytest.mark.proof
@pytest.mark.parametrize("question", TURNED)
def test_equal_members_of_a_reversed_order_come_as_their_rows_lie(question, monkeypatch):
    found, answers = outcomes_of({question: TURNED[question]}, monkeypatch)
    for one, told in zip(found, answers, strict=True):
        [(live, then)] = told.values()
        assert live == then or one.fidelity == Fidelity.MIXED
        assert live == then or connection.vendor == "postgresql"  # its sort keeps no order


def test_durable_blocks_may_be_opened(monkeypatch):
    def said(rack):
        with transaction.atomic(durable=True):
            name = Rack.objects.get(pk=rack.pk).name
        with transaction.atomic():
            try:
                with transaction.atomic(durable=True):
                    pass
            except RuntimeError as error:
                return f"{name}: {error}"

    monkeypatch.setattr(Rack, "__str__", said)
    oracle = Oracle([Rack])
    Rack.objects.create(name="a")  # SQLite commits nothing while an INSERT returns its key
    AuditLog.objects.all().delete()
    with oracle.listening():
        Rack.objects.update(name="b")
        Rack.objects.update(name="c")
    assert_true(oracle)


class Replica:
    """Reads of racks and folios go there, writes do not."""

    def db_for_read(self, model, **hints):
        return "other" if model in (Rack, Folio) else None

    def db_for_write(self, model, **hints):
        return "default"


def wrapped_by_another(method):
    @wraps(method)
    def traced(*args, **kwargs):
        return method(*args, **kwargs)

    return traced


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.proof
@pytest.mark.parametrize("made", [lambda method: method, wrapped_by_another])
def test_what_a_router_sends_to_a_replica_is_read_as_of_the_event(made, settings, monkeypatch):
    djangos = unwrap(ConnectionRouter.db_for_read)
    monkeypatch.setattr(ConnectionRouter, "db_for_read", made(djangos))

    def said(rack):
        ours = rack.folios.filter(name="a").count(), rack.friends.order_by("pk").count()
        free = Folio.objects.count(), len(Folio.objects.raw("SELECT id FROM app_folio"))
        return f"{ours} {free} {Folio.objects.get(name='a').rack.name}"

    rack = Rack.objects.create(name="r")
    Folio.objects.create(name="a", rack=rack)
    rack.friends.add(Rack.objects.create(name="f"))
    AuditLog.objects.all().delete()
    monkeypatch.setattr(Rack, "__str__", said)
    oracle = Oracle([Rack])
    with oracle.listening():
        Rack.objects.filter(pk=rack.pk).update(name="s")
    Folio.objects.update(name="now")
    settings.DATABASE_ROUTERS = [Replica()]  # this replica lags: it is empty
    assert_true(oracle)
    assert Folio.objects.count() == 0
    monkeypatch.setattr(Rack, "__str__", lambda r: str(Folio.objects.using("other").count()))
    [outcome] = [one for pk, one in built().items() if pk in oracle.expected]
    assert (outcome.text, outcome.reason) == ("0", TODAY)
