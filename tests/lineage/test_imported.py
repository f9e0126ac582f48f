"""Tests that imported events of tables and columns with former names are read as our own are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command

from auditrepr.models import AuditLog
from auditrepr.sources.tables.action_rows import _structured
from auditrepr.sources.tables.attached_keys import _spans
from auditrepr.sources.tables.log_tables import Placed
from auditrepr.sources.tables.places import Place, places
from auditrepr.vendors.capture_types import Column, Kind, TableShape
from tests.capturing import next_moment, sql
from tests.migrating import TABLES, Then, built, from_the_beginning, today
from tests.old_log import begin
from tests.table_logs import LOGGED_ACTIONS, SUPA_AUDIT, WITH_JSON, TableLog
from tests.zoneless import zoneless

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

FIELDS = ("table_name", "object_id", "action", "row_data", "changed_from")
LOGS = [SUPA_AUDIT, LOGGED_ACTIONS, pytest.param(WITH_JSON, marks=pytest.mark.proof)]


@pytest.fixture(params=LOGS, ids=["supa_audit", "hstore", "json"])
def log(request: pytest.FixtureRequest, settings: Any) -> Iterator[TableLog]:
    settings.AUDITREPR = {"MODELS": ["drifting.*"]}
    from_the_beginning()
    sql("CREATE EXTENSION IF NOT EXISTS hstore")
    chosen: TableLog = request.param
    chosen.create()
    chosen.record(f"drifting_{table}" for table in TABLES)
    yield chosen
    chosen.drop()


def item(**columns: object) -> dict[str, object]:
    return {"left": "L", "right": "R", "weight": 5, **columns}


def recorded() -> list[Any]:
    return list(AuditLog.objects.order_by("pk").values_list(*FIELDS))


def story(log: TableLog) -> None:
    """Rows before, between and after renames; a second table under the first one's name."""
    first = Then("0001_initial")
    shop = first.Shop.create(name="Corner")
    first.Item.create(**item(shop=shop, title="Cup", serial="007", code="1"))
    first.Item.update(title="Mug", right="X", code="2")
    first.Shop.update(name="Plaza")
    first.Ticket.create(number=7, amount="007", short="as long as it is", moment="2026-01-31")
    first.Ticket.create(number=8, amount="8", short="short", done="true")
    first.Ticket.update(number=9)
    second = Then("0002_first_names")
    second.Store.update(name="Mall")
    second.Item.update(label="Pan")
    third = Then("0003_second_names")
    third.Store.update(name="Market")
    third.Item.update(caption="Jar", left="Y")
    third.Ticket.update(amount="1")
    third.Ticket.update(short="same", done=None)
    today()
    log.record(["drifting_shop"])
    apps.get_model("drifting", "Shop").objects.create(street="Main Street")
    apps.get_model("drifting", "Ticket").objects.update(number="A 1")
    apps.get_model("drifting", "Item").objects.all().delete()


def imported(log: TableLog) -> None:
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    call_command("import_audit_log", log.source, verbosity=0)


@pytest.mark.proof
def test_what_was_renamed_is_read_by_the_names_and_types_of_its_time(log: TableLog) -> None:
    story(log)
    seen = recorded()
    texts = [(outcome.text, outcome.fidelity) for outcome in built()]
    imported(log)
    events = recorded()
    assert [event[:3] for event in events] == [event[:3] for event in seen]
    for event, own in zip(events, seen, strict=True):
        # Of texts, what a column had before its type changed is recorded only if it is the same.
        if log is not LOGGED_ACTIONS or own[0] != "drifting_ticket":
            assert event == own
    known = [(outcome.text, outcome.fidelity) for outcome in built()]
    assert not [
        (one, own) for one, own in zip(known, texts, strict=True) if one[1] == "E" and one != own
    ]
    shops = [outcome for outcome in built() if outcome.text in ("Corner", "Plaza", "Mall")]
    assert {outcome.fidelity for outcome in shops} == {"E"}


@pytest.mark.proof
def test_a_name_leads_to_the_table_that_had_it_and_to_its_columns(settings: Any) -> None:
    settings.AUDITREPR = {"MODELS": ["drifting.*"]}
    from_the_beginning()
    today()
    shops = places("default", [("public", "drifting_shop")])
    # Before the first migration, and between two of them, no table had this name.
    assert [shop.current for shop in shops] == ["", '"outlets"', "", '"drifting_shop"']
    assert [shop.since for shop in shops[1:]] == [shop.until for shop in shops[:-1]]
    assert shops[0].since is shops[-1].until is None
    *former, current = places("default", [("public", "drifting_item")])
    assert {place.current for place in (*former, current)} == {'"drifting_item"'}
    assert current.steps == ()
    assert former[0].since is None
    assert ("weight", "grams") in {step[:2] for step in former[0].steps}
    assert current.names["grams"] == ["grams", "weight"]
    assert current.keys == ("id",)


def test_keys_and_json_are_known_by_former_names() -> None:
    shape = TableShape(Kind.TABLE, (Column("data", "jsonb"), Column("tags", "text[]")), ("a",))
    names = {"a": ["a", "x"], "b": ["b"], "data": ["data", "json"]}
    place = Place("s", "t", "t", shape=shape, keys=("a", "b"), names=names)
    row = """'{"x": 1, "b": "2"}'::jsonb"""
    assert sql(f"SELECT {Placed('default', [place]).key(row)}") == [('[1, "2"]',)]
    lacking = """'{"x": 1}'::jsonb"""
    assert sql(f"SELECT {Placed('default', [place]).key(lacking)}") == [(None,)]
    single = Place("s", "t", "t", keys=("a",), names=names)
    assert sql(f"SELECT {Placed('default', [single]).key(row)}") == [("1",)]
    assert sql(f"SELECT {_structured(place)}") == [(["data", "json", "tags"],)]


def test_times_of_a_name_do_not_depend_on_the_zone_of_the_session(settings: Any) -> None:
    with zoneless(settings):
        day = datetime(2026, 2, 28)
        names = [Place("s", "t", "was", until=day, keys=("a",), names={"a": ["old"]}),
                 Place("s", "t", "is", since=day, keys=("a",), names={"a": ["a"]})]  # fmt: skip
        sql("SET TIME ZONE 'Asia/Tokyo'")
        join = Placed("default", names).join("'s'", "'t'", "at")
        event = "(VALUES ('2026-02-28 04:59+00'::timestamptz), ('2026-02-28 05:00+00')) AS e (at)"
        found = sql(f"SELECT place.name FROM {event} {join} ORDER BY at")
        spans = list(_spans("default", names, None))
    assert found == [("was",), ("is",)]
    moment = "2026-02-28T00:00:00-05:00"
    assert [span[:2] for span in spans] == [(None, moment), (moment, None)]
