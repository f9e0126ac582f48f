"""Tests events whose columns no longer fit the models: what is known is shown, and marked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection, models

from auditrepr import as_of, capture, doubts
from auditrepr.asof.placeholders import Unknown, default_of
from auditrepr.models import AuditLog
from auditrepr.reprs import Outcome
from tests import restoring
from tests.migrating import LAST, Then, built, from_the_beginning, texts, today
from tests.missing import could_not_try
from tests.project import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def first(settings) -> Then:
    settings.AUDITREPR = {"MODELS": ["drifting.*"]}
    return from_the_beginning()


def late(column: str, settings) -> Outcome:
    """An object from before the column was added, as a ``__str__`` that reads it shows it."""
    settings.AUDITREPR["REPR"] = {"drifting.Late": lambda one: f"{one.name} {getattr(one, column)}"}
    (outcome,) = built("drifting_late")
    return outcome


@pytest.mark.proof
@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("constant", "given"),
        ("database", "7"),
        ("plain", "{}"),
        ("nothing", "None"),
        ("blank", ""),
        ("store", "None"),
        ("computed", "[computed: not recorded]"),
        ("called", "[called: not recorded]"),
    ],
)
def test_a_column_added_later_reads_as_what_its_migration_wrote(settings, column, text):
    settings.AUDITREPR = {"MODELS": ["drifting.*"]}
    restoring.prepare("drifted", _old_object_today)
    outcome = late(column, settings)
    name = {"store": "store_id"}.get(column, column)
    assert (outcome.text, outcome.reason) == (f"old {text}", f"{name} is not in the log")


def _old_object_today() -> None:
    from_the_beginning().Late.create(name="old")
    today()


@pytest.mark.proof
def test_a_column_added_later_that_is_not_read_leaves_the_representation_exact(first):
    first.Late.create(name="old")
    today()
    assert texts("drifting_late") == ["old: old"]


@pytest.mark.proof
def test_a_filtered_set_does_not_pass_a_missing_column_off_as_empty(first, settings):
    settings.AUDITREPR["REPR"] = {
        "drifting.Store": lambda store: ", ".join(
            f"{code}" for code in store.items.values_list("code", flat=True)
        )
    }
    shop = first.Shop.create(name="Corner")
    first.Item.create(title="Cup", shop=shop, serial="S", left="L", right="R")
    first.Shop.update(name="Plaza")
    today()
    AuditLog.objects.filter(table_name="drifting_item").update(
        row_data={"id": 1, "shop_id": shop.pk, "title": "Cup"}
    )
    AuditLog.objects.filter(object_id="1", table_name="drifting_item").update(object_id="1")
    *_, last = built("drifting_shop")
    assert "code is not in the log" in last.reason


def a_moment(first) -> AuditLog:
    """Some event, before which the log mentions nothing else."""
    AuditLog.objects.all().delete()
    first.Label.create(text="moment")
    return AuditLog.objects.get()


@pytest.mark.proof
@pytest.mark.parametrize("changed", [False, True], ids=["read today", "read from its next event"])
def test_a_column_that_came_after_the_moment_is_not_read_from_what_was_found_later(first, changed):
    old = first.Late.create(name="old")
    moment = a_moment(first)
    today()
    late = apps.get_model("drifting", "Late")
    if changed:
        late.objects.update(constant="changed", nothing="something")
    then = as_of(late, moment, pk=old.pk)
    assert (then.name, doubts(then)) == ("old", [])
    assert (then.constant, then.nothing) == ("given", None)
    assert doubts(then) == ["constant is not in the log", "nothing is not in the log"]
    now = as_of(late, late.objects.create(name="new") and AuditLog.objects.latest("pk"), pk=old.pk)
    assert (now.constant, doubts(now)) == ("changed" if changed else "given", [])


@pytest.mark.proof
def test_columns_that_were_renamed_since_are_read_from_what_was_found_later(first):
    shop = first.Shop.create(name="Corner")
    old = first.Item.create(title="Cup", shop=shop, serial="S", left="L", right="R")
    label = first.Label.create(text="red")
    old.labels.add(label)
    moment = a_moment(first)
    today()
    then = as_of(apps.get_model("drifting", "Item"), moment, pk=old.pk)
    assert (str(then), doubts(then)) == ("Cup S R<L 0g in Corner: red", [])


@pytest.mark.proof
def test_a_set_that_is_found_by_a_column_that_came_later_is_doubtful(first):
    shop = first.Shop.create(name="Corner")
    old = first.Late.create(name="old")
    moment = a_moment(first)
    today()
    store = apps.get_model("drifting", "Store").objects.get()
    apps.get_model("drifting", "Late").objects.filter(pk=old.pk).update(store=store)
    then = as_of(type(store), moment, pk=shop.pk)
    assert (list(then.late_set.all()), doubts(then)) == ([], ["store_id is not in the log"])


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_column_that_another_program_added_counts_from_when_it_is_seen(first):
    old = first.Late.create(name="old")
    today()
    late = apps.get_model("drifting", "Late")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE drifting_late DROP COLUMN nothing")
        capture.install("default")
        moment = a_moment(Then(LAST))
        cursor.execute("ALTER TABLE drifting_late ADD COLUMN nothing varchar(20) DEFAULT 'here'")
    then = as_of(late, moment, pk=old.pk)
    assert (then.nothing, doubts(then)) == (None, ["nothing is not in the log"])
    capture.note_gaps("default")
    then = as_of(late, moment, pk=old.pk)
    assert (then.nothing, doubts(then)) == (None, ["nothing is not in the log"])
    apps.get_model("drifting", "Label").objects.create(text="later")
    now = as_of(late, AuditLog.objects.latest("pk"), pk=old.pk)
    assert (now.nothing, doubts(now)) == ("here", [])


@pytest.mark.proof
def test_a_removed_column_is_ignored(first):
    shop = first.Shop.create(name="Corner")
    first.Item.create(title="Cup", shop=shop, serial="S", left="L", right="R", code="gone")
    today()
    (text,) = texts("drifting_item")
    assert "gone" not in text


def ticket(first, **values) -> Outcome:
    """What becomes of this row, once its columns have other types; one beside it is well."""
    first.Ticket.create(**values)
    first.Ticket.create(amount="1")
    first.Ticket.all().delete()
    AuditLog.objects.filter(action="D").delete()
    today()
    outcome, other = built("drifting_ticket")
    assert other.text == "None 1 None None None"
    return outcome


@pytest.mark.proof
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"number": 12}, "'12' None None None None"),
        ({"amount": "12"}, "None 12 None None None"),
        ({"short": "five5"}, "None None 'five5' None None"),
        ({"moment": "2026-03-04"}, "2026, 3, 4"),
        ({"done": "1"}, "None None None None True"),
    ],
)
def test_a_value_of_another_type_is_converted_where_the_database_can(first, values, text):
    outcome = ticket(first, **values)
    assert outcome.failure is None
    assert text in outcome.text


@pytest.mark.proof
@pytest.mark.parametrize("values", [{"amount": "twelve"}, {"done": "perhaps"}])
def test_a_value_that_cannot_be_converted_costs_its_own_row(first, values):
    assert ticket(first, **values).failure


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_value_too_long_for_its_column_costs_its_own_row(first):
    failure = ticket(first, short="much too long").failure
    assert failure is not None
    assert "too long" in failure.message


#: What columns of the type before held.
READINGS: list[dict[str, object]] = [
    {"data": '{"a": [1, "x"]}', "note": {"b": 1}, "price": "7.000", "count": True, "flag": 1},
    {"data": '"text"', "note": "text", "price": "1.600", "count": False, "flag": 0},
    {"data": "5", "note": 5, "price": "-2.400", "size": 0.1 + 0.2, "ratio": 3, "portion": 4.0},
    {"size": 1e20, "portion": 1e15, "moment": datetime(2026, 3, 4, 23, 30, tzinfo=UTC)},
    {"size": 7.0, "ratio": 2**40 if connection.vendor == "sqlite" else 2**30},
    {},
]


@pytest.mark.proof
def test_a_value_of_another_type_is_what_the_cast_of_the_migration_made_of_it(first):
    for values in READINGS:
        first.Reading.create(**values)
    today()
    kept = [str(one) for one in apps.get_model("drifting", "Reading").objects.order_by("pk")]
    assert texts("drifting_reading") == kept


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_value_that_was_written_after_the_cast_is_not_cast_again(first):
    first.Reading.create(count=True, data="[1]")
    today()
    row = {"count": 2, "data": {"a": 1}, "price": 3, "flag": True}
    AuditLog.objects.filter(table_name="drifting_reading").update(row_data={"id": 1} | row)
    (outcome,) = built("drifting_reading")
    assert "'count': 2" in outcome.text
    assert "'flag': True" in outcome.text
    assert "'data': {'a': 1}" in outcome.text


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("imported", [False, True])
def test_what_is_imported_has_the_types_of_the_tables_at_its_import(first, imported):
    first.Reading.create(data="5")
    today()
    context = {"imported_from": "elsewhere"} if imported else {}
    AuditLog.objects.filter(table_name="drifting_reading").update(id=-7, context=context)
    (outcome,) = built("drifting_reading")
    assert ("'data': '5'" if imported else "'data': 5") in outcome.text


@pytest.mark.proof
def test_what_an_event_found_has_the_types_of_today(first):
    old = first.Reading.create(data="[1]", price="2.000")
    moment = a_moment(first)
    first.Reading.update(data="[2]")
    today()
    then = as_of(apps.get_model("drifting", "Reading"), moment, pk=old.pk)
    assert (then.data, then.price, doubts(then)) == ([1], 2, [])


@pytest.mark.proof
def test_what_had_another_primary_key_is_not_passed_off_as_unchanged(first):
    first.Person.create(code="x", name="one")
    first.Visit.create(person_id="x", number=1)
    moment = AuditLog.objects.latest("pk").occurred_at
    first.Person.update(name="two")
    today()
    person, visit = (apps.get_model("drifting", name) for name in ("Person", "Visit"))
    visit.objects.update(number=2)
    person.objects.update(name="three")
    visit.objects.update(number=3)
    before, *after = built("drifting_visit")
    assert before.reason == "the primary key of drifting_person was another one"
    assert [(one.text, one.reason) for one in after] == [("2 two", ""), ("3 three", "")]
    assert [one.text for one in built("drifting_person")] == ["one []", "two [1]", "three [2]"]
    then = as_of(visit, moment, pk=visit.objects.get().pk)
    assert then.person.name
    assert doubts(then) == ["the primary key of drifting_person was another one"]


def event(table: str, **row) -> Outcome:
    log = AuditLog.objects.create(table_name=table, object_id="5", action="I", row_data=row)
    return AuditLog.objects.get(pk=log.pk).build_instance_repr()


def test_a_model_that_no_longer_exists_leaves_the_values_of_the_row():
    outcome = event("shop_order", id=5, ref="A7")
    assert outcome.text == "shop_order 5: id=5, ref=A7"
    assert outcome.reason == "no installed model uses this table"


@pytest.mark.postgresql
def test_a_table_that_no_longer_exists_leaves_the_values_of_the_row():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE drifting_shop RENAME TO hidden")
        try:
            outcome = event("drifting_shop", id=5, street="Main Street")
        finally:
            cursor.execute("ALTER TABLE hidden RENAME TO drifting_shop")
    assert outcome.text == "drifting_shop 5: id=5, street=Main Street"
    assert outcome.reason == "its table no longer exists"


def test_a_value_too_big_for_the_log_shows_a_placeholder():
    digest = {"$digest": {"bytes": 300_000_000, "sha256": "00", "head": "00"}}
    outcome = event("drifting_label", id=5, text=digest)
    assert outcome.text == "[text: too large to record]"
    assert outcome.reason == "text is not in the log"


def test_an_excluded_foreign_key_shows_a_placeholder_and_leads_nowhere(settings):
    settings.AUDITREPR = {
        "MODELS": ["drifting.*"],
        "EXCLUDE": {"drifting.Late": ["store"]},
        "REPR": {"drifting.Late": lambda one: f"in {one.store}"},
    }
    capture.install("default")
    store = apps.get_model("drifting", "Store").objects.create(name="Corner")
    apps.get_model("drifting", "Late").objects.create(name="x", store=store)
    (outcome,) = built("drifting_late")
    assert outcome.text == "in [store_id: not recorded]"
    assert outcome.reason


@pytest.mark.parametrize("default", [lambda: "now", models.functions.Now()])
def test_a_default_that_differs_each_time_is_not_guessed(default):
    field = (
        models.CharField(default=default)
        if callable(default)
        else models.DateTimeField(db_default=default)
    )
    field.set_attributes_from_name("column")
    assert isinstance(default_of(field), Unknown)


@pytest.mark.postgresql
@pytest.mark.parametrize("conforming", ["on", "off"])
def test_hstore_and_citext_come_back_as_the_table_gives_them(conforming):
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_available_extensions WHERE name IN ('hstore','citext')")
        if len(cursor.fetchall()) < 2:
            could_not_try("hstore and citext", "this PostgreSQL has no such extensions")
    from django.contrib.postgres.signals import get_hstore_oids

    from tests.capturing import audit, sql
    from tests.pgapp.models import WithExtensions

    sql(
        "CREATE EXTENSION IF NOT EXISTS hstore", "CREATE EXTENSION IF NOT EXISTS citext",
        "CREATE TABLE pgapp_withextensions (id bigint PRIMARY KEY, pairs hstore, word citext)",
    )  # fmt: skip
    try:
        get_hstore_oids.cache_clear()
        connection.close()  # psycopg learns of hstore when it connects
        audit("pgapp_withextensions")
        sql(f"SET standard_conforming_strings = {conforming}")
        pairs = {"a": "1", 'q"\\': 'x"\\\n', "null": None, "": "=>,", "NULL": "NULL"}
        WithExtensions.objects.create(id=1, pairs=pairs, word="Word")
        WithExtensions.objects.create(id=2, pairs={}, word=None)
        WithExtensions.objects.create(id=3, pairs=None)
        expected = [str(one) for one in WithExtensions.objects.order_by("pk")]
        assert [one.text for one in built("pgapp_withextensions")] == expected
    finally:
        sql("RESET standard_conforming_strings", "DROP TABLE pgapp_withextensions")


@pytest.mark.postgresql
def test_a_virtual_column_is_computed_from_what_the_log_holds():
    if not connection.features.supports_virtual_generated_columns:
        pytest.skip("virtual generated columns need PostgreSQL 18 and Django 6.0: nox -s servers")
    from tests.pgapp.models import WithVirtual

    WithVirtual.objects.create(name="a%b")
    WithVirtual.objects.update(name="c")
    assert "loud" not in AuditLog.objects.earliest("pk").row_data
    assert texts() == ["A%B", "C"]
    AuditLog.objects.filter(action="U").update(row_data={"id": 1, "name": "d"})
    assert texts() == ["A%B", "D"]
    AuditLog.objects.filter(action="U").update(row_data={"id": 1, "other": 1})
    assert built()[1].text == "[loud: not recorded]"


def documented() -> list[tuple[str, list[str]]]:
    page = (ROOT / "docs" / "schema-drift.md").read_text()
    rows = re.findall(r"^\| (?!what has happened)(.+?) \| (.+) \|$", page, re.MULTILINE)
    return [(case, re.findall(r"test_\w+", shown.partition("<!--")[2])) for case, shown in rows]


@pytest.mark.sqlite
def test_every_row_of_the_tables_in_the_docs_names_a_test_that_is_there():
    found = set()
    for file in Path(__file__).parent.parent.rglob("test_*.py"):
        found |= set(re.findall(r"def (test_\w+)", file.read_text()))
    rows = documented()
    assert len(rows) > 20
    assert [case for case, names in rows if not names or not found.issuperset(names)] == []


def test_a_placeholder_stays_visible_whatever_is_asked_of_it():
    unknown = Unknown("placed_on")
    assert f"{unknown:%d.%m.%Y}" == unknown.year == unknown.strftime("%Y") == unknown[0] == unknown
    assert not hasattr(unknown, "__iadd__")
    assert unknown == "[placed_on: not recorded]"


def test_what_a_database_computes_by_a_constant_is_that_constant():
    field = models.IntegerField(db_default=models.Value(7))
    assert default_of(field) == 7
    computed = models.GeneratedField(
        expression=models.F("a"), output_field=models.IntegerField(), db_persist=True
    )
    computed.set_attributes_from_name("computed")
    assert default_of(computed) == "[computed: not recorded]"
