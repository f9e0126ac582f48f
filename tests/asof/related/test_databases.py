"""Tests relations that lead to another database: of some objects, by a manager, by a connection."""

from __future__ import annotations

import pytest
from django.db import connections, transaction
from django.db.models import Manager, Value
from django.db.models.functions import Concat

import auditrepr
from auditrepr.asof.phases import TODAY
from auditrepr.asof.related.managers import is_plain
from auditrepr.models import AuditLog, Fidelity, InstanceRepr
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.managing import Holder, Shown, ShownPart
from tests.app.models import Author
from tests.app.racks import Folio, Rack, Slip

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

EXACT = ("near", Fidelity.EXACT, "")
MIXED = ("away", Fidelity.MIXED, TODAY)


class Sharded:
    """What belongs to an object whose name begins with an x is in the other database."""

    def db_for_read(self, model, instance=None, **hints):
        far = getattr(instance, "name", "").startswith("x")
        return "other" if far and model in (Folio, Slip, Rack) else None

    db_for_write = db_for_read

    def allow_relation(self, *objects, **hints):
        return True


@pytest.fixture
def racks():
    """A rack with a folio and a slip here, and one with an x; all have been renamed since.

    The other database has others under the same keys.
    """
    for number, name in enumerate(("near", "x"), 1):
        for alias in ("default", "other"):
            Rack.objects.using(alias).create(pk=number, name=name)
            Folio.objects.using(alias).create(pk=number, rack_id=number, name=name)
            Slip.objects.using(alias).create(pk=number, folio_id=number, name=name)
    AuditLog.objects.all().delete()
    Folio.objects.update(rank=1)
    Rack.objects.update(name=Concat("name", Value("!")))
    for model in (Rack, Folio, Slip):
        model.objects.using("other").update(name="away")
        model.objects.update(name="changed")


def said(settings, model, text) -> list[tuple[str, Fidelity, str]]:
    """Return what is said at the first event of each object; they are built together."""
    settings.AUDITREPR = {"REPR": {model._meta.label_lower: text}}
    log = AuditLog.objects.filter(table_name=model._meta.db_table).order_by("pk")
    built = build([Event.of(row) for row in log[:2]], "default")
    return [(one.text, one.fidelity, one.reason) for one in built]


def rack(folio):
    return folio.rack.name


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Folio, rack),
        (Folio, lambda folio: folio.slip.name),
        (Rack, lambda rack: rack.folios.get().name),
        (Rack, lambda rack: rack.folios.all()[0].name),
    ],
)
def test_a_router_decides_for_each_object(model, text, racks, settings):
    settings.DATABASE_ROUTERS = [Sharded()]
    assert said(settings, model, text) == [EXACT, MIXED]


def test_objects_that_outlive_the_call_say_that_they_read_another_database(racks, settings):
    first, second = AuditLog.objects.filter(table_name="app_folio").order_by("pk")[:2]
    settings.DATABASE_ROUTERS = [Sharded()]
    near, far = (auditrepr.as_of(Folio, one, pk=one.object_id) for one in (first, second))
    assert (near.rack.name, near.slip.name, auditrepr.doubts(near)) == ("near", "near", [])
    assert (auditrepr.doubts(far), far.color, auditrepr.doubts(far)) == ([], None, [])
    assert (far.rack.name, auditrepr.doubts(far)) == ("away", [TODAY])


def test_a_set_of_another_database_is_one_that_outliving_objects_say(racks, settings):
    event = AuditLog.objects.filter(table_name="app_rack").order_by("pk")[1]
    settings.DATABASE_ROUTERS = [Sharded()]
    far = auditrepr.as_of(Rack, event, pk=event.object_id)
    assert auditrepr.doubts(far) == []
    assert ([one.name for one in far.folios.all()], auditrepr.doubts(far)) == (["away"], [TODAY])


def test_the_code_of_an_object_may_say_that_it_is_of_another_database(racks, settings):
    def moved(folio):
        if folio.name == "x":
            folio._state.db = "other"
        return folio.rack.name

    assert said(settings, Folio, moved) == [EXACT, MIXED]


@pytest.mark.parametrize(
    "text",
    [
        lambda rack: rack.folios.db_manager("other").get().name,
        lambda rack: rack.folios.db_manager("other").all()[0].name,
        lambda rack: [*rack.folios.all(), *rack.folios.db_manager("other").all()][1].name,
        lambda rack: rack.folios.using("other").get().name,
    ],
)
def test_a_manager_that_names_another_database_reads_there(text, racks, settings):
    settings.DATABASE_ROUTERS = [Sharded()]  # which allows such a relation
    assert said(settings, Rack, text) == [MIXED, MIXED]


def test_a_manager_that_names_the_same_database_reads_as_of_the_event(racks, settings):
    settings.DATABASE_ROUTERS = [Sharded()]
    told = said(settings, Rack, lambda rack: rack.folios.db_manager("default").get().name)
    assert told[0] == EXACT


def test_many_to_many_objects_of_another_database_are_read_there(racks, settings):
    for alias in ("default", "other"):
        near, far = Rack.objects.using(alias).order_by("pk")
        near.friends.add(far)
    Rack.objects.filter(pk=1).update(name="event")
    event = AuditLog.objects.filter(table_name="app_rack").latest("pk")
    text = {"app.rack": lambda rack: rack.friends.db_manager("other").get().name}
    settings.AUDITREPR = {"REPR": text}
    one = event.build_instance_repr()
    assert (one.text, one.fidelity, one.reason) == MIXED


def test_a_manager_whose_rows_are_in_another_database_reads_there(monkeypatch, settings):
    for alias, name in (("default", "near"), ("other", "away")):
        Holder.objects.using(alias).create(pk=1, name="h")
        ShownPart.everything.using(alias).create(pk=1, name=name, holder_id=1)
    AuditLog.objects.all().delete()
    Holder.objects.update(name="event")
    monkeypatch.setattr(
        Shown, "get_queryset", lambda self: Manager.get_queryset(self).using("other")
    )
    text = {"app.holder": lambda holder: ", ".join(one.name for one in holder.shown.all())}
    settings.AUDITREPR = {"REPR": text}
    settings.DATABASE_ROUTERS = [Sharded()]  # which allows such a relation
    one = AuditLog.objects.get().build_instance_repr()
    assert (one.text, one.fidelity, one.reason) == MIXED


def test_a_manager_of_another_database_does_not_read_as_django_does():
    manager: Manager = Manager()
    assert is_plain(manager)
    assert not is_plain(manager.db_manager("other"))


@pytest.mark.parametrize("alias", ["default", "other"])
def test_a_connection_that_code_makes_itself_reads_current_rows(alias, racks, settings):
    def text(folio):
        own = connections[alias].copy()
        try:
            with own.cursor() as cursor:
                cursor.execute("SELECT name FROM app_rack WHERE id = %s", [folio.rack_id])
                return cursor.fetchone()[0]
        finally:
            own.close()

    now = "changed" if alias == "default" else "away"
    assert said(settings, Folio, text) == [(now, *MIXED[1:])] * 2


def test_a_connection_that_code_makes_itself_may_not_write(settings):
    def text(author):
        own = connections["other"].copy()
        try:
            with own.cursor() as cursor:
                cursor.execute("UPDATE app_rack SET name = 'never'")
        finally:
            own.close()

    Author.objects.create(name="Ann")
    settings.AUDITREPR = {"REPR": {"app.author": text}}
    outcome = AuditLog.objects.latest("pk").build_instance_repr()
    assert "must not write" in outcome.failure.message
    assert not InstanceRepr.objects.exists()


def test_a_transaction_in_another_database_reads_nothing_by_itself(racks, settings):
    def text(folio):
        with transaction.atomic(using="other"):
            return folio.rack.name

    assert said(settings, Folio, text)[0] == EXACT


class ByTable(Sharded):
    """A table says where the racks of all folios are."""

    def db_for_read(self, model, instance=None, **hints):
        moved = Author.objects.using("default").filter(name="moved").exists()
        return "other" if moved and model is Rack and isinstance(instance, Folio) else None

    db_for_write = db_for_read


def test_what_a_router_asks_is_answered_as_of_the_event(racks, settings):
    Author.objects.create(name="moved")
    Folio.objects.filter(pk=1).update(rank=2)
    Author.objects.update(name="back")
    settings.DATABASE_ROUTERS = [ByTable()]
    assert said(settings, Folio, rack)[0] == EXACT
    event = AuditLog.objects.filter(table_name="app_folio").latest("pk")
    one = event.build_instance_repr()
    assert (one.text, one.fidelity, one.reason) == MIXED
