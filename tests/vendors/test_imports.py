"""Tests the import facet: the SELECTs of sources, and what of them comes into the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import Error, transaction
from django.db.models import UUIDField
from django.utils import timezone

from auditrepr.models import AuditLog, PlannedEvent
from auditrepr.vendors import Vendor, import_sql
from auditrepr.vendors.import_types import (
    Cell,
    Form,
    FoundTable,
    Known,
    Planned,
    Selection,
    Serialized,
    Unfit,
)
from tests import old_log

pytestmark = pytest.mark.django_db

OPTIONAL = ("previous_object_id", "changed_from", "context")
START = datetime(2020, 1, 1, 12, tzinfo=timezone.get_default_timezone())
UNTIL = START + timedelta(minutes=3)


@pytest.fixture(autouse=True)
def events(vendor: Vendor) -> Iterator[None]:
    """Five events, one in each minute; the last two come too late."""
    AuditLog.objects.all().delete()
    old_log.create()
    for minute in range(5):
        add(vendor, minute, '50%"', f"{minute}", {"id": minute, "name": "x", "it's %": 1.50})
    yield
    old_log.drop()


def add(vendor: Vendor, minute: int, table: str, key: str, row: Any, **more: Any) -> None:
    values = {"number": minute, "table_name": table, "object_id": key, "action": "I"}
    values |= {"row_data": json.dumps(row), "occurred_at": at(vendor, minute), **more}
    places = ", ".join(f"%({name})s" for name in values)
    with vendor.connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO old_log ({', '.join(values)}) VALUES ({places})", values)


def at(vendor: Vendor, minute: int) -> Any:
    return vendor.written(START + timedelta(minutes=minute))


def selection(**options: Any) -> Selection:
    return Selection(old_log.select("default"), OPTIONAL, UNTIL, **options)


def test_the_columns_of_a_select(vendor: Vendor) -> None:
    assert vendor.source_columns("SELECT 1 AS one, 'a%b' AS \"Two\" -- or so") == ["one", "Two"]
    with pytest.raises(Error), transaction.atomic():
        vendor.source_columns("SELECT nothing FROM nowhere")


def test_tables_with_what_is_whole_and_what_is_missed(vendor: Vendor) -> None:
    last = START + timedelta(minutes=2)

    def found(known: dict[str, Known], *, whole: bool = True, **options: Any) -> list[FoundTable]:
        return vendor.source_tables(selection(**options), known, whole=whole)

    columns = ["id", "it's %"]
    assert found({}) == [FoundTable('50%"', 3, 0, 2, 2, 0, 0, START, last)]
    known = {'50%"': Known(columns, UNTIL)}
    assert found(known) == [FoundTable('50%"', 3, 3, 0, 2, 0, 0, START, last)]
    assert found(known, whole=False) == [FoundTable('50%"', 3, 0, 0, 2, 0, 0, START, last)]
    later = Known([*columns, "more"], START + timedelta(minutes=4))
    assert found({'50%"': later}) == [FoundTable('50%"', 3, 0, 1, 2, 0, 0, START, last)]
    assert found({'50%"': Known(columns, None)}, tables=['50%"', "b"])[0].missed == 2
    assert found({}, tables=["b"]) == []
    add(vendor, 7, "b", "1", {}, occurred_at=vendor.written(timezone.now() + timedelta(days=1)))
    assert found({}, tables=["b"]) == [FoundTable("b", 0, 0, 1, 1, 1, 0, None, None)]
    add(vendor, 8, "c", None, {}, occurred_at=vendor.written(START))
    assert found({}, tables=["c"])[0].keyless == 1
    assert found({}, tables=["c"], whole=False)[0].keyless == 0


def test_columns_of_a_wrong_type(vendor: Vendor) -> None:
    assert vendor.unfit_types(old_log.select("default")) == []
    wrong = (
        "SELECT 'a' AS table_name, 1 AS object_id, 'I' AS action, '{}' AS row_data,"
        " '2020-01-01' AS occurred_at, 1 AS position"
    )
    found = [one.column for one in vendor.unfit_types(wrong)]
    # Not every database knows the types of a SELECT's columns.
    assert found in (["row_data", "occurred_at"], [])


def test_what_is_created_is_rolled_back(vendor: Vendor) -> None:
    """Where sources create something, which has a schema."""
    before = AuditLog.objects.count()
    with vendor.leaving_nothing():
        if vendor.schemas():
            AuditLog.objects.create(table_name="t", object_id="1", action="I", row_data={})
    assert AuditLog.objects.count() == before


def test_planned_events_from_before_a_time(vendor: Vendor) -> None:
    assert vendor.plan_import([selection()], -10) == 3
    found = [vendor.late_events(selection(), 0, START + timedelta(minutes=n)) for n in (0, 2, 9)]
    assert found == [(None, 3), (-11, 1), (-10, 0)]
    assert vendor.late_events(selection(), 1, UNTIL) == (None, 0)


def test_a_time_of_an_expression(vendor: Vendor) -> None:
    (value,) = vendor.column("SELECT min(occurred_at) FROM old_log")
    assert vendor.source_time(value) == START
    assert vendor.source_time(None) is None


def test_nothing_is_wrong_with_events_that_are_as_the_contract_wants_them(vendor: Vendor) -> None:
    assert not any(vendor.unfit_events(selection()))


@pytest.mark.parametrize(
    ("wrong", "more"),
    [
        ("table", {"table": None}),
        ("action", {"action": "i"}),
        ("action", {"action": None}),
        ("key", {"action": "T"}),
        ("row", {"row": None}),
        ("row", {"row": 7}),
        ("time", {"occurred_at": None}),
        ("context", {"context": "[]"}),
        ("context", {"context": "null"}),
    ],
)
def test_each_thing_that_may_be_wrong(vendor: Vendor, wrong: str, more: dict[str, Any]) -> None:
    values = {"table": "b", "key": "1", "row": {}} | more
    add(vendor, -1, **values)
    found = vendor.unfit_events(selection())._asdict()
    assert {name for name, number in found.items() if number} == {wrong}
    assert vendor.unfit_events(selection(tables=["c"])).table == (wrong == "table")


def test_positions_that_are_wrong(vendor: Vendor) -> None:
    def found(position: str) -> Unfit:
        select = old_log.select("default").replace("number", position, 1)
        return vendor.unfit_events(Selection(select, OPTIONAL, UNTIL))

    assert found("7").shared == 4
    # Also with an event that is not meant: the batch that has the one would find both.
    assert found("CASE number WHEN 4 THEN 2 ELSE number END").shared == 1
    assert found("CAST(NULL AS integer)").position == 3


def test_a_time_of_another_type(vendor: Vendor) -> None:
    other = "timestamp '2020-01-01'" if "pg_typeof" in vendor.import_dialect().is_time else "'2020'"
    select = old_log.select("default").replace("occurred_at", f"{other} AS occurred_at")
    if not vendor.unfit_types(select):  # otherwise, nothing more is asked of it
        assert vendor.unfit_events(Selection(select, OPTIONAL, UNTIL)).time == 5


def test_planned_events_come_into_the_log_without_what_is_excluded(vendor: Vendor) -> None:
    chosen = selection(excluded={'50%"': ["it's %", 'na"me'], "b": ["id"]})
    add(vendor, -9, '50%"', "9", {"id": 9, "it's %": 1}, previous_object_id="8", action="U",
        changed_from=json.dumps({"id": 8, "it's %": 2}), context='{"user": "7"}')  # fmt: skip
    assert vendor.plan_import([chosen], -5) == 4
    assert list(PlannedEvent.objects.order_by("pk").values_list("pk", "part", "position")) == [
        (-8, 0, -9), (-7, 0, 0), (-6, 0, 1), (-5, 0, 2),
    ]  # fmt: skip
    with vendor.pinned():
        assert vendor.import_events(chosen, "old", Planned(0, -9, -7, -9, 0)) == 2
    first, second = AuditLog.objects.order_by("pk")
    assert (first.pk, first.object_id, first.previous_object_id, first.action) == (
        -8,
        "9",
        "8",
        "U",
    )
    assert (first.row_data, first.changed_from) == ({"id": 9}, {"id": 8})
    assert (first.context, first.actor) == ({"user": "7", "imported_from": "old"}, "7")
    assert second.row_data == {"id": 0, "name": "x"}
    assert (second.context, second.occurred_at) == ({"imported_from": "old"}, START)


def test_what_an_update_changed_is_the_difference_to_the_event_before(vendor: Vendor) -> None:
    """Where the SELECT does not say it; of other objects, tables and parts, nothing is taken."""
    odd = {"it's %": 1, 'na"me': None, "a.b": True, "same": {"x": [1, None]}, "left": 0.1}
    rows = [
        ("I", "9", odd),
        ("U", "8", {"same": 5}),
        ("U", "9", odd | {"a.b": 1, 'na"me': "null", "new": 3, "it's %": 1.5}),
        ("D", "9", {"same": 4}),
        ("U", "9", {"same": None, "left": 0.1}),
        ("U", "9", {"same": None, "left": 0.1}),
    ]
    for number, (action, key, row) in enumerate(rows, 1):
        add(vendor, -10 + number, "t", key, row, action=action)
    add(vendor, -2, "u", "9", {"same": 1}, action="U")
    select = (
        "SELECT number AS position, table_name, object_id, action, row_data, occurred_at"
        " FROM old_log WHERE note <> '%'"
    )
    chosen = Selection(select, (), UNTIL, ["t", "u"], {"t": ["it's %"]})
    assert vendor.plan_import([chosen], 0) == 7
    with vendor.pinned():
        assert vendor.import_events(chosen, "old", Planned(0, -7, 0, -9, -2)) == 7
    found = AuditLog.objects.order_by("pk").values_list("object_id", "action", "changed_from")
    assert list(found) == [
        ("9", "I", None),
        ("8", "U", None),
        ("9", "U", {'na"me': None, "a.b": True}),
        ("9", "D", None),
        ("9", "U", None),  # the object was deleted: this may be another one
        ("9", "U", None),
        ("9", "U", None),
    ]
    assert "it's %" not in AuditLog.objects.order_by("pk")[2].row_data


@pytest.mark.parametrize("more", ["", ", previous_object_id"])
def test_events_that_have_kept_the_row_are_no_events_before(vendor: Vendor, more: str) -> None:
    rows = [("I", {"a": 1}), ("U", {}), ("U", {"a": 1.0}), ("D", {}), ("U", {}), ("U", {"a": 2})]
    for number, (action, row) in enumerate(rows):
        add(vendor, -9 + number, "t", "1", row, action=action)
    select = (
        "SELECT number AS position, table_name, object_id, action, row_data, occurred_at,"
        f" action = 'U' AND number IN (-8, -5) AS row_kept{more} FROM old_log"
    )
    chosen = Selection(select, ("row_kept", more[2:]), UNTIL, ["t"])
    assert vendor.plan_import([chosen], 0) == 6
    with vendor.pinned():
        assert vendor.import_events(chosen, "old", Planned(0, -6, 0, -9, -4)) == 6
    changed = list(AuditLog.objects.order_by("pk").values_list("changed_from", flat=True))
    assert str(changed) == str([None, None, {"a": 1}, None, None, None])
    reads = import_sql.plan(vendor.import_dialect(), [chosen], limited=False).count("FROM old_log")
    assert reads == (2 if more else 1), "a log may be large: also for this, it is not read again"


def test_a_plan_may_be_limited_to_the_latest_events_of_each_table(vendor: Vendor) -> None:
    for position in (-5, -4, -3):
        add(vendor, position, "t", "1", {})
    assert vendor.plan_import([selection()], 0, 2) == 4
    assert list(PlannedEvent.objects.order_by("pk").values_list("pk", "position")) == [
        (-3, -4), (-2, -3), (-1, 1), (0, 2),
    ]  # fmt: skip


def test_several_selects_are_merged_by_time(vendor: Vendor) -> None:
    add(vendor, 10, "b", "1", {}, occurred_at=at(vendor, 1))
    parts = [selection(tables=[name]) for name in ("b", '50%"')]
    vendor_selects = [
        Selection(f"SELECT * FROM ({one.select}\n) AS o WHERE table_name = '{one.tables[0]}'",
                  OPTIONAL, UNTIL)
        for one in parts if one.tables
    ]  # fmt: skip
    assert vendor.plan_import(vendor_selects, 0) == 4
    assert list(PlannedEvent.objects.order_by("pk").values_list("part", "position")) == [
        (1, 0), (0, 10), (1, 1), (1, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("more", [(), ("changed_from",), ("previous_object_id",)])
def test_commands_order_what_shares_a_moment(vendor: Vendor, more: tuple[str, ...]) -> None:
    """Within a SELECT, positions do, whatever its commands are."""
    commands = {-9: ("a", 5), -8: ("a", 3), -7: ("b", 4), -6: ("b", 6)}
    for number, (table, _) in commands.items():
        add(vendor, number, table, "1", {}, occurred_at=at(vendor, 0), action="U")
    cases = " ".join(f"WHEN {number} THEN {given}" for number, (_, given) in commands.items())
    columns = ["number AS position", "table_name", "object_id", "action", "row_data", "occurred_at"]
    select = f"SELECT {', '.join([*columns, *more])}, CASE number {cases} END AS command"
    chosen = [
        Selection(f"{select} FROM old_log WHERE table_name = '{table}'", (*more, "command"), UNTIL)
        for table in "ab"
    ]
    assert vendor.plan_import(chosen, 0) == 4
    planned = PlannedEvent.objects.order_by("pk").values_list("position", flat=True)
    assert list(planned) == [-7, -9, -8, -6]


def test_a_time_without_a_zone_is_in_that_of_the_project(vendor: Vendor, settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "America/New_York"
    moment = datetime(2026, 1, 31, 12)
    AuditLog.objects.create(table_name="t", action="I", occurred_at=moment)
    with vendor.pinned():
        found = vendor.column(
            "SELECT table_name FROM auditrepr_auditlog WHERE occurred_at ="
            f" {vendor.time_sql(moment)} AND occurred_at = %(at)s", {"at": vendor.written(moment)}
        )  # fmt: skip
    assert found == ["t"]
    if vendor.schemas():  # where a session has a zone
        assert vendor.value("SHOW TimeZone") == "America/New_York"


def test_the_parameters_and_the_dialect(vendor: Vendor) -> None:
    assert vendor.selecting(selection()) == {"until": vendor.written(UNTIL)}
    assert vendor.selecting(selection(tables=["b"]))["tables"] == '["b"]'
    text = vendor.import_dialect().text("it's 5%")
    assert vendor.value(f"SELECT {text} WHERE 1 = %(one)s", {"one": 1}) == "it's 5%"


def document(vendor: Vendor, cells: list[Cell]) -> Any:
    found = vendor.value(f"SELECT {vendor.document(cells)}")
    return json.loads(found) if isinstance(found, str) else found


def test_a_document_of_expressions_is_as_the_triggers_write_it(vendor: Vendor) -> None:
    cells = [
        Cell("it's", "'5%'"),
        Cell("none", "NULL"),
        Cell("half", "0.5"),
        Cell("unknown", "7", "1 = 2"),
        Cell("known", "7", "1 = 1"),
    ]
    assert document(vendor, cells) == {"it's": "5%", "none": None, "half": 0.5, "known": 7}
    holder = vendor.json_text("""'{"a": [null, 1.5]}'""")
    assert document(vendor, [Cell("held", holder, is_json=True)]) == {"held": {"a": [None, 1.5]}}


@pytest.mark.parametrize("text", ["", "no JSON", "[1]"])
def test_what_is_not_a_json_object_is_none(vendor: Vendor, text: str) -> None:
    add(vendor, 9, "t", "1", {}, note=text)
    assert vendor.column(f"SELECT DISTINCT {vendor.json_text('note')} FROM old_log") == [None]


@pytest.mark.parametrize("value", [[1, None], "a", 5, False, {}, {"a": [None]}, None])
def test_json_in_a_column_is_read_whatever_it_is(vendor: Vendor, value: Any) -> None:
    add(vendor, 9, "t", "1", {}, context=json.dumps(value))
    cells = [Cell("held", vendor.json_value("context"), is_json=True)]
    found = vendor.value(f"SELECT {vendor.document(cells)} FROM old_log WHERE number = 9")
    assert (json.loads(found) if isinstance(found, str) else found) == {"held": value}
    known = f"SELECT {vendor.json_value('context')} IS NULL FROM old_log WHERE number = 9"
    assert vendor.value(known) == (value is None)


@pytest.mark.parametrize(
    ("value", "holds"),
    [({"a": {}}, True), ({"a": [{}], "b": None, "c": "{}"}, False), ({}, False), (None, False)],
)
def test_whether_an_object_is_in_an_object(vendor: Vendor, value: Any, holds: bool) -> None:
    add(vendor, 9, "t", "1", {}, context=None if value is None else json.dumps(value))
    found = vendor.value(f"SELECT {vendor.holds_object('context')} FROM old_log WHERE number = 9")
    assert bool(found) == holds


def test_keys_as_the_triggers_write_them(vendor: Vendor) -> None:
    assert vendor.value(f"SELECT {vendor.key_text(['7'])}") == "7"
    assert json.loads(vendor.value(f"SELECT {vendor.key_text(['7', '8'])}")) == [7, 8]
    (written,) = vendor.key_texts(UUIDField(), [UUID(int=5)])
    found = vendor.value(f"SELECT {vendor.serialized_key(repr(str(UUID(int=5))), Form.UUID)}")
    assert found == written
    assert found.replace("-", "") == UUID(int=5).hex
    assert vendor.value(f"SELECT {vendor.serialized_key(repr('a-b'), Form.TEXT)}") == "a-b"


@pytest.mark.parametrize(
    ("form", "usual", "others"),
    [
        (Form.INTEGER, "7", ["007", "+7", " 7 ", "7.0", "7.00"]),
        (Form.INTEGER, "-70", ["-70", "-070"]),
        (Form.INTEGER, "0", ["0", "00", "-0"]),
        (Form.DATE, "2020-01-05", ["2020-1-5", "2020-01-05 10:00:00.5", "2020-1-05T00:00"]),
        (Form.DATE, "2020-11-25", ["2020-11-25", "2020-11-25 00:00:00"]),
    ],
)
def test_keys_that_python_had_otherwise(
    vendor: Vendor, form: Form, usual: str, others: list[str]
) -> None:
    assert [serialized_key(vendor, one, form) for one in others] == [usual] * len(others)


def test_uuids_that_python_had_otherwise(vendor: Vendor) -> None:
    key = UUID("0F" * 16)
    (usual,) = vendor.key_texts(UUIDField(), [key])
    others = [str(key), key.hex, str(key).upper(), f"{{{key}}}", key.urn]
    assert [serialized_key(vendor, one, Form.UUID) for one in others] == [usual] * 5


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Form.UUID, "a-b"), (Form.INTEGER, "7.5"), (Form.INTEGER, "7-3"), (Form.INTEGER, "seven"),
        (Form.INTEGER, ""), (Form.DATE, "2020-01-05 10:00:00+02:00"), (Form.DATE, "today"),
        (None, "007"), (Form.TEXT, "007"),
    ],
)  # fmt: skip
def test_what_is_no_key_of_its_form_stays_as_it_is(
    vendor: Vendor, form: Form | None, text: str
) -> None:
    assert serialized_key(vendor, text, form) == text


def serialized_key(vendor: Vendor, text: str, form: Form | None) -> Any:
    key = vendor.serialized_key(f"CAST('{text}' AS text)", form)
    return vendor.value(f"SELECT {key}")


MOMENTS = [
    ("2026-01-31T12:00:00+05:45", "2026-01-31T06:15:00+00:00"),
    ("2024-02-29T23:59:59.000120-04:56:02", "2024-03-01T04:56:01.00012+00:00"),
    ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"),
    ("9999-12-31T00:00:00+00:00", "9999-12-31T00:00:00+00:00"),
    ("2026-02-30T12:00:00+00:00", "2026-03-02T12:00:00+00:00"),
    *((text, text) for text in ("infinity", "2026-13-31T12:00:00+00:00", "2026-01-31", "0000", "")),
]


@pytest.mark.parametrize(("text", "moment"), MOMENTS)
def test_a_key_that_is_a_time_is_written_in_utc(vendor: Vendor, text: str, moment: str) -> None:
    """Where logs can hold one in another zone; no text raises an error."""
    found = vendor.value(f"SELECT {vendor.json_moment(f'CAST({text!r} AS text)')}")
    assert found == (moment if vendor.attachable else text)


def test_numbers_and_transactions_of_rows(vendor: Vendor) -> None:
    number = vendor.row_number("old_log", "old_log.number")
    found = vendor.column(f"SELECT {number} FROM old_log")
    assert len(set(found)) == 5
    assert all(isinstance(one, int) for one in found)
    written = vendor.transaction_of("old_log")
    assert not written or vendor.column(f"SELECT DISTINCT {written} FROM old_log") != [None]
    later = f"occurred_at >= {vendor.time_sql(UNTIL)}"
    assert vendor.value(f"SELECT count(*) FROM old_log WHERE {later}") == 2


SERIALIZED = [
    (Form.INTEGER, 5, True), (Form.INTEGER, None, True), (Form.INTEGER, "5", False),
    (Form.INTEGER, 5.5, False), (Form.INTEGER, [5], False), (Form.BOOLEAN, True, True),
    (Form.BOOLEAN, "true", False), (Form.TEXT, "it's", True), (Form.TEXT, "", True),
    (Form.TEXT, "**s", False), (Form.TEXT, 5, False), (Form.TEXT, "Upper(F(title))", False),
    (Form.TEXT, "F(a) + Value('\n')", False), (Form.TEXT, "<a.B object at 0x7f> + F(b)", False),
    (Form.TEXT, "<a.B object at 0x7f>", False), (Form.TEXT, "<QuerySet ['a']>", False),
    (Form.TEXT, "CASE WHEN <Q: (AND: )> THEN Value('a'), ELSE Value('b')", False),
    (Form.TEXT, "Color.RED", False), (Form.TEXT, "Ann (2)", True), (Form.TEXT, "(2)", True),
    (Form.TEXT, "<p>f(x)</p>", True), (Form.TEXT, "f(x) is", True), (Form.TEXT, "a.b", True),
    (Form.TEXT, "CASE (2)", True), (Form.TEXT, "v1.2", True), (Form.TEXT, "A. B", True),
    (Form.DECIMAL, "-9.5", True),
    (Form.DECIMAL, "9.555", False), (Form.DECIMAL, "1E+2", False), (Form.DECIMAL, "NaN", False),
    (Form.FLOAT, 0.5, True), (Form.FLOAT, "NaN", False), (Form.DATE, "2020-05-17", True),
    (Form.DATE, "17.5.2020", False), (Form.TIME, "09:30:00", True),
    (Form.TIME, "09:30:00.123", False), (Form.DATETIME, "2020-05-17T12:00:00Z", True),
    (Form.DATETIME, "2020-05-17T12:00:00.123Z", False),
    (Form.DATETIME, "2020-05-17T12:00:00+02:00", False), (Form.UUID, str(UUID(int=5)), True),
    (Form.UUID, "5", False), (Form.JSON, {"a": [1]}, True), (Form.JSON, None, True),
]  # fmt: skip


@pytest.mark.parametrize(("form", "value", "certain"), SERIALIZED)
def test_what_a_serializer_has_written(
    vendor: Vendor, form: Form, value: Any, certain: bool
) -> None:
    add(vendor, 9, "t", "1", {"fields": {"x": value}})
    values = [
        Serialized("x", ("fields", "x"), form, 2),
        Serialized("y", ("fields", "y"), form, 2),
        Serialized("z", ("fields", "x"), form, 2, "number <> 9"),
    ]
    sql = vendor.deserialized("row_data", values)
    found = vendor.value(f"SELECT {sql} FROM old_log WHERE number = 9")
    row = json.loads(found) if isinstance(found, str) else found
    assert list(row) == (["x"] if certain else [])
    assert not certain or (row["x"] is None) == (value is None)


@pytest.mark.parametrize("text", ["Color.RED", "Node.js"])
def test_a_text_like_a_member_is_one_unless_it_is_said_elsewhere(vendor: Vendor, text: str) -> None:
    said = json.dumps({"x": ["Blue.sky", text]})
    add(vendor, 9, "t", "1", {"fields": {"x": text}}, context=said)
    holder = vendor.json_text("context")
    for index, row in (("0", {}), ("1", {"x": text}), ("2", {}), ("2 - 1", {"x": text})):
        value = Serialized(
            "x", ("fields", "x"), Form.TEXT, said=vendor.json_element(holder, "x", index)
        )
        sql = vendor.deserialized("row_data", [value])
        found = vendor.value(f"SELECT {sql} FROM old_log WHERE number = 9")
        assert (json.loads(found) if isinstance(found, str) else found) == row


def test_times_may_decide_the_order(vendor: Vendor) -> None:
    add(vendor, 9, "t", "1", {}, occurred_at=at(vendor, -9))
    add(vendor, 8, "t", "1", {}, occurred_at=at(vendor, -8))
    select = old_log.select("default")
    assert vendor.plan_import([Selection(select, OPTIONAL, UNTIL, by_time=True)], 0) == 5
    planned = PlannedEvent.objects.order_by("pk").values_list("position", flat=True)
    assert list(planned) == [9, 8, 0, 1, 2]


def test_a_text_stands_for_a_row(vendor: Vendor) -> None:
    add(vendor, -1, "t", "1", {}, row_data=None, note="Ann")
    add(vendor, -2, "t", "1", {}, row_data=None)
    select = (
        "SELECT number AS position, table_name, object_id, action, row_data, occurred_at,"
        " nullif(note, '') AS text FROM old_log"
    )
    chosen = Selection(select, ("text",), UNTIL, ["t"])
    assert vendor.unfit_events(chosen).row == 1
    assert vendor.plan_import([chosen], 0) == 2
    with vendor.pinned():
        assert vendor.import_events(chosen, "old", Planned(0, -1, 0, -1, -1)) == 1
    event = AuditLog.objects.get()
    assert event.row_data == {}
    assert event.context == {"imported_from": "old", "imported_text": "Ann"}
