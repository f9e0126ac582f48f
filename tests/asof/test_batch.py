"""Tests that a rebuilt instance equals the one that a query of the table would have returned."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import models
from django.db.models import QuerySet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditrepr import as_of
from auditrepr.asof.batch import Batch
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.fields import (
    ByName,
    ByPair,
    ByUUID,
    Everything,
    Own,
    OwnProxy,
    PointsAtProxy,
)
from tests.app.odd_keys import AmountNote, ByAmount
from tests.oracle import Oracle, assert_true, built
from tests.sizes import examples

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _an_empty_log():
    AuditLog.objects.all().delete()


def rebuilt(row: AuditLog) -> models.Model:
    batch = Batch("default")
    with batch.vendor.reading(batch.limit):
        (subject,) = batch.subjects([Event.of(row)])
    if subject.error:
        raise subject.error
    return subject.instance


def assert_rebuilt(model: type[models.Model]) -> None:
    """The instance from the latest event has every value of the one from the table."""
    stored = QuerySet(model).get()
    instance = rebuilt(AuditLog.objects.latest("id"))
    for field in model._meta.concrete_fields:
        expected, actual = getattr(stored, field.attname), getattr(instance, field.attname)
        assert type(actual) is type(expected), field.name
        assert actual == expected or _both_nan(actual, expected), field.name
        if isinstance(expected, Decimal | float):
            assert str(actual) == str(expected), field.name


def _both_nan(one: Any, other: Any) -> bool:
    return isinstance(one, float) and math.isnan(one) and math.isnan(other)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
YEARS = {"min_value": dt.datetime(1, 1, 2), "max_value": dt.datetime(9999, 12, 30)}
VALUES = {
    "big_integer": st.integers(-(2**63), 2**63 - 1),
    "binary": st.binary(max_size=40),
    "boolean": st.booleans(),
    "char": TEXT,
    "date": st.dates(),
    "date_time": st.datetimes(**YEARS, timezones=st.just(dt.UTC)),
    "decimal": st.decimals(-(10**15), 10**15, allow_nan=False, places=6),
    "duration": st.timedeltas(dt.timedelta(days=-100_000), dt.timedelta(days=100_000)),
    "email": TEXT,
    "file": TEXT,
    "float": st.floats(allow_nan=False),
    "generic_ip": st.sampled_from(["127.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"]),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "json": JSON,
    "positive_big": st.integers(0, 2**63 - 1),
    "positive_small": st.integers(0, 32767),
    "slug": TEXT,
    "small": st.integers(-32768, 32767),
    "text": TEXT,
    "time": st.times(),
    "uuid": st.uuids(),
    "scrambled": TEXT,
    "pair": st.tuples(st.integers(-99, 99), st.integers(-99, 99)),
    "renamed": TEXT,
}
EXAMPLES = settings(
    **examples(quick=25, full=100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.sized
@given(st.fixed_dictionaries({}, optional=VALUES))
@EXAMPLES
def test_every_core_field_comes_back_as_the_table_gives_it(values):
    QuerySet(Everything).delete()
    Everything.objects.create(**values)
    assert_rebuilt(Everything)
    Everything.objects.update(integer=7, char="changed")
    assert_rebuilt(Everything)


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1, -0.0, 1e16]
)
def test_floats_come_back_to_the_last_bit(value):
    Everything.objects.create(float=value)
    assert_rebuilt(Everything)


def test_the_log_holds_what_the_database_holds_and_the_representation_what_python_shows():
    Everything.objects.create(scrambled="clear", pair=(1, 2))
    row = AuditLog.objects.latest("id")
    assert row.row_data["scrambled"] == "Y2xlYXI="
    outcome = row.build_instance_repr()
    assert (outcome.text, outcome.fidelity) == ("clear (1, 2)", Fidelity.EXACT)


def test_uuids_as_keys_and_as_foreign_keys():
    oracle = Oracle([ByUUID])
    with oracle.listening():
        one = ByUUID.objects.create(id=uuid.uuid4())
    with oracle.listening():
        ByUUID.objects.create(id=uuid.uuid4(), friend=one)
    with oracle.listening():
        ByUUID.objects.filter(pk=one.pk).delete()
    outcomes = built()
    assert len(outcomes) == 4
    assert [o.text for o in outcomes.values()][:2] == list(oracle.expected.values())[:2]
    assert not [o for o in outcomes.values() if o.failure]


def test_a_natural_key_that_changes_is_one_update_of_the_right_object():
    oracle = Oracle([ByName])
    with oracle.listening():
        ByName.objects.create(name="a", note="first")
    with oracle.listening():
        ByName.objects.filter(name="a").update(name="b", note="second")
    row = AuditLog.objects.latest("id")
    assert (row.action, row.object_id, row.previous_object_id) == ("U", "b", "a")
    assert row.changes == {"name": ("a", "b"), "note": ("first", "second")}
    assert_true(oracle)


def test_composite_keys():
    ByPair.objects.create(left=1, right="x", note="n")
    ByPair.objects.update(note="m")
    ByPair.objects.all().delete()
    rows = AuditLog.objects.order_by("id")
    assert [(row.action, json.loads(row.object_id)) for row in rows] == [
        (action, [1, "x"]) for action in "IUD"
    ]
    assert [o.text for o in built().values()] == ["1/x: n", "1/x: m", "1/x: m"]


def test_own_init_own_from_db_and_a_manager_that_hides_rows():
    own = Own(name="Ann", shown=False)
    own.save()
    PointsAtProxy.objects.create(to_id=own.pk)
    QuerySet(Own).update(name="Bea")
    own_then, pointing, own_later = built().values()
    assert [o.text for o in (own_then, own_later)] == ["hello Ann Ann", "hello Bea Bea"]
    assert {o.fidelity for o in (own_then, own_later)} == {Fidelity.EXACT}
    # Django does not find it through the base manager: str() raised that then, too.
    assert pointing.failure.error_class == "OwnProxy.DoesNotExist"
    assert issubclass(OwnProxy, Own)


@pytest.mark.postgresql
def test_every_postgresql_field_comes_back_as_the_table_gives_it():
    from django.db.backends.postgresql.psycopg_any import DateRange, DateTimeTZRange, NumericRange

    from tests.pgapp.models import PostgresEverything

    now = dt.datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=dt.UTC)
    PostgresEverything.objects.create(
        array=[Decimal("1.500"), Decimal("-0.001")],
        nested=[["a", 'b"c'], ["{}", "null"]],
        times=[now, now],
        integers=NumericRange(1, 5),
        big_integers=NumericRange(None, 2**40),
        decimals=NumericRange(Decimal("1.10"), Decimal("2.20"), "[]"),
        dates=DateRange(now.date(), None),
        date_times=DateTimeTZRange(now, None, "(]"),
        search="a fat cat",
    )
    assert_rebuilt(PostgresEverything)
    PostgresEverything.objects.update(array=None)
    assert_rebuilt(PostgresEverything)


def test_one_row_that_does_not_fit_its_table_takes_no_other_with_it():
    for n in range(7):
        ByName.objects.create(name=f"{n}")
    Everything.objects.create(integer=1)
    broken = AuditLog.objects.latest("id")
    AuditLog.objects.filter(pk=broken.pk).update(row_data={"id": 1, "decimal": "no number"})
    Everything.objects.create(scrambled="fine", pair=(1, 2))
    outcomes = built()
    assert [pk for pk, o in outcomes.items() if o.failure] == [broken.pk]
    assert outcomes[broken.pk].failure.message
    assert outcomes[max(outcomes)].text == "fine (1, 2)"


def test_an_event_that_is_pruned_meanwhile_says_so_and_costs_no_other():
    ByName.objects.create(name="a")
    ByName.objects.create(name="b")
    events = [Event.of(row) for row in AuditLog.objects.order_by("pk")]
    AuditLog.objects.filter(pk=events[0].id).delete()
    pruned, other = build(events, "default")
    assert pruned.failure is not None
    assert pruned.failure.message == "the event no longer exists"
    assert other.failure is None


def test_an_event_whose_model_no_longer_exists_shows_the_values_of_its_row():
    log = AuditLog.objects.create(
        table_name="shop_order", object_id="5", action="I", row_data={"id": 5, "ref": "A7"}
    )
    outcome = AuditLog.objects.get(pk=log.pk).build_instance_repr()
    assert outcome.text == "shop_order 5: id=5, ref=A7"
    assert outcome.fidelity == Fidelity.MIXED


def test_what_a_key_with_decimal_places_refers_to_is_as_it_was():
    amount = ByAmount.objects.create(amount=Decimal("1.500"), note="then")
    note = AmountNote.objects.create(amount=amount)
    ByAmount.objects.update(note="later")
    event = AuditLog.objects.get(table_name="app_amountnote")
    assert [(one.text, one.reason) for one in build([Event.of(event)], "default")] == [
        ("note of then", "")
    ]
    assert str(as_of(note, event)) == "note of then"
