"""Tests what SQLite's triggers write: every storage class, every kind of table, every name."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from auditrepr.models import AuditLog
from auditrepr.vendors import get_vendor
from auditrepr.vendors.capture_types import Capture, Kind
from auditrepr.vendors.sqlite import trigger_body
from auditrepr.vendors.sqlite.quoting import quoted
from tests.app.models import Author, Tag
from tests.sizes import examples

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db]

# Next to a short decimal, where SQLite's own quote() is wrong now and then.
NEAR_DECIMALS = st.builds(
    lambda number, direction: math.nextafter(float(number), direction),
    st.decimals(-(10**9), 10**9, places=6) | st.decimals(-1, 1, places=14),
    st.sampled_from([-math.inf, math.inf]),
)

SQLITE_VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    NEAR_DECIMALS,
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.sampled_from(["1", "1.0", 1, 1.0, b"1", "", b"", 0, "null", '{"$blob":"00"}', "A", "a"]),
)


def capture(table: str, excluded: frozenset[str] = frozenset()) -> Capture:
    shape = get_vendor("default").shapes([table])[table]
    return Capture(table, table, shape, shape.key_columns, excluded)


def execute(*statements: str, params: Any = None) -> None:
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql, params)


def audit(table: str, *excluded: str) -> None:
    execute(*get_vendor("default").install_sql(capture(table, frozenset(excluded))))


def events() -> list[AuditLog]:
    return list(AuditLog.objects.order_by("id"))


def raw_rows() -> list[dict[str, Any]]:
    """The images as SQLite wrote them, numbers as Python's floats."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_data, changed_from FROM auditrepr_auditlog ORDER BY id")
        return [{k: json.loads(v) for k, v in zip("na", r, strict=True) if v} for r in cursor]


def stored(value: Any) -> Any:
    return bytes.fromhex(value["$blob"]) if isinstance(value, dict) else value


def same(one: Any, other: Any) -> bool:
    """Not just equal: of the same type, and for a float to the bit."""
    if isinstance(one, float) and isinstance(other, float):
        # SQLite keeps no negative zero.
        return struct.pack("d", one or 0.0) == struct.pack("d", other or 0.0)
    return type(one) is type(other) and one == other


@pytest.fixture
def anything() -> Iterator[None]:
    """A table whose columns keep whatever they are given, after one that would convert it."""
    execute("CREATE TABLE anything (id INTEGER PRIMARY KEY, x BLOB, y BLOB)")
    audit("anything")
    return


UNLIMITED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    **examples(quick=50, full=400),
)


@pytest.mark.sized
@UNLIMITED
@given(SQLITE_VALUES, SQLITE_VALUES)
@example(math.inf, -math.inf)
@example(0.1 + 0.2, 5e-324)
@example(4.766990510059579e-305, 5.4443440924829203e-306)
@example(1.7976931348623157e308, 2**53 + 1)
@example("a\0b\"'\n\\\u2028%s", "\U0001f600")
def test_every_storage_value_comes_back_exactly(anything: None, x: Any, y: Any):
    with transaction.atomic():
        execute("INSERT INTO anything (x, y) VALUES (%s, %s)", params=[x, y])
        row = raw_rows()[-1]["n"]
        transaction.set_rollback(True)
    assert same(stored(row["x"]), x)
    assert same(stored(row["y"]), y)


@pytest.mark.sized
@UNLIMITED
@given(SQLITE_VALUES, SQLITE_VALUES)
@example(1, 1.0)
@example("1", 1)
@example("a", "A")
def test_an_update_writes_an_event_exactly_if_the_stored_value_changes(
    anything: None, x: Any, y: Any
):
    with transaction.atomic():
        execute("INSERT INTO anything (x, y) VALUES (%s, %s)", params=[x, "kept"])
        execute("UPDATE anything SET x = %s", params=[y])
        rows = raw_rows()[1:]
        transaction.set_rollback(True)
    if same(x, y):
        assert rows == []
    else:
        assert [list(row["a"]) for row in rows] == [["x"]]
        assert same(stored(rows[0]["a"]["x"]), x)
        assert same(stored(rows[0]["n"]["x"]), y)


def test_a_decimal_stays_legible(anything: None):
    execute("INSERT INTO anything (x) VALUES (19.99)")
    assert (
        '"x":19.99,'
        in connection.cursor().execute("SELECT row_data FROM auditrepr_auditlog").fetchone()[0]
    )


def test_text_made_by_a_json_function_is_logged_as_text():
    execute(
        "CREATE TABLE made (id INTEGER PRIMARY KEY, a TEXT, v TEXT GENERATED ALWAYS AS (json(a)),"
        " s TEXT GENERATED ALWAYS AS (a || '!') STORED)"
    )
    audit("made")
    execute("INSERT INTO made (a) VALUES ('[1]')", "UPDATE made SET a = '[2]'")
    inserted, updated = events()
    assert inserted.row_data == {"id": 1, "a": "[1]", "v": "[1]", "s": "[1]!"}
    assert updated.changed_from == {"a": "[1]", "v": "[1]", "s": "[1]!"}


@pytest.mark.parametrize("columns", [200, 900])
def test_wide_tables_are_logged_whole(columns: int):
    names = [f"column_{number}" for number in range(columns)]
    execute(f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {', '.join(names)})")
    audit("wide")
    execute(f"INSERT INTO wide ({', '.join(names)}) VALUES ({', '.join(map(str, range(columns)))})")
    execute("UPDATE wide SET column_1 = 'x', column_150 = 'y'", "DELETE FROM wide")
    inserted, updated, deleted = events()
    assert inserted.row_data == {"id": 1} | {name: n for n, name in enumerate(names)}
    assert updated.changed_from == {"column_1": 1, "column_150": 150}
    assert deleted.row_data == updated.row_data


@pytest.mark.proof  # values of 170 MB
def test_a_value_that_json_cannot_hold_becomes_a_digest_and_the_write_goes_on():
    execute("CREATE TABLE big (id INTEGER PRIMARY KEY, a BLOB, b TEXT)")
    audit("big")
    execute("INSERT INTO big (a, b) VALUES (zeroblob(140000000), 'beside')")
    execute("UPDATE big SET a = NULL, b = CAST(zeroblob(170000000) AS TEXT)")
    digest = {"$digest": {"bytes": 140_000_000, "head": "00" * 1000}}
    inserted, updated = events()
    assert inserted.row_data == {"id": 1, "a": digest, "b": "beside"}
    assert updated.changed_from == {"a": digest, "b": "beside"}
    assert updated.row_data["b"]["$digest"]["bytes"] == 170_000_000


@pytest.mark.proof
def test_a_long_value_is_kept_while_the_row_has_room_for_it():
    execute("CREATE TABLE roomy (id INTEGER PRIMARY KEY, a BLOB, b, c, d, e, f, g, h)")
    audit("roomy")
    execute("INSERT INTO roomy (a) VALUES (zeroblob(20000000))")
    assert set(raw_rows()[0]["n"]["a"]) == {"$blob"}


@pytest.mark.proof
def test_control_characters_at_the_limit_do_not_break_the_write(monkeypatch: Any):
    """They take six bytes each in JSON, and an update holds two images. All limits by 100."""
    monkeypatch.setattr(trigger_body, "LARGEST_ROW", size := trigger_body.LARGEST_ROW // 100)
    execute("CREATE TABLE escaped (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
    audit("escaped")
    limit = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10**9 // 100)
    try:
        for column in ("a", "b"):
            execute(
                f"INSERT INTO escaped ({column}) VALUES (CAST(zeroblob({size - 100}) AS TEXT))",
                f"UPDATE escaped SET {column} = {column} || 'x', a = a || 'y', b = b || 'z'",
            )
        assert len(events()) == 5
        assert len(raw_rows()[0]["n"]["a"]) == size - 100
    finally:
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit)


def test_a_change_of_case_in_a_column_without_case_is_a_change():
    execute("CREATE TABLE nocase (name TEXT COLLATE NOCASE PRIMARY KEY, t TEXT COLLATE NOCASE)")
    audit("nocase")
    execute("INSERT INTO nocase VALUES ('a', 'x')", "UPDATE nocase SET name = 'A', t = 'X'")
    updated = events()[1]
    assert updated.changed_from == {"name": "a", "t": "x"}
    assert (updated.object_id, updated.previous_object_id) == ("A", "a")


@pytest.mark.parametrize(
    ("definition", "values", "object_id"),
    [
        ("a TEXT, b TEXT", "'x', 'y'", "1"),
        ("rowid TEXT, b TEXT", "'x', 'y'", "1"),
        ("a BLOB PRIMARY KEY, b TEXT", "x'00ff', 'y'", "00FF"),
        ("a REAL PRIMARY KEY, b TEXT", "1.5, 'y'", "1.5"),
        ("a TEXT, b INTEGER, PRIMARY KEY (b, a)", "'x', 7", '[7,"x"]'),
        ("a BLOB, b INTEGER, PRIMARY KEY (b, a)", "x'0A', 7", '[7,"0A"]'),
        ("a TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID; --", "'x', 'y'", "x"),
        ("a INTEGER PRIMARY KEY, b ANY) STRICT; --", "9223372036854775807, 'y'", str(2**63 - 1)),
    ],
)
def test_an_object_is_named_by_its_key(definition: str, values: str, object_id: str):
    execute(f"CREATE TABLE keyed ({definition})")
    audit("keyed")
    execute(f"INSERT INTO keyed VALUES ({values})", "DELETE FROM keyed")
    assert [(event.action, event.object_id) for event in events()] == [
        ("I", object_id),
        ("D", object_id),
    ]


def test_a_row_without_a_key_that_gets_another_rowid_leaves_a_trace():
    execute("CREATE TABLE keyless (a TEXT)")
    audit("keyless")
    execute("INSERT INTO keyless VALUES ('x')", "UPDATE keyless SET rowid = 5")
    updated = events()[1]
    assert (updated.object_id, updated.previous_object_id) == ("5", "1")
    assert updated.changed_from == {}


@pytest.mark.parametrize(
    "name",
    ['quo"te', "quo'te", "per%cent %s", "[brackets]", "select", "UPPER", "größe", "with.dot",
     "*/ END; --", "/* auditrepr {}", "back\\slash", "x" * 200, "new", "label"],
)  # fmt: skip
def test_any_name_of_a_table_and_of_columns_works(name: str):
    column, hidden = quoted(name), quoted(name + "2")
    execute(f"CREATE TABLE {column} (id INTEGER PRIMARY KEY, {column} TEXT, {hidden} TEXT)")
    audit(name, name + "2")
    execute(f"INSERT INTO {column} VALUES (1, 'seen', 'unseen')", f"DELETE FROM {column}")
    assert [event.table_name for event in events()] == [name, name]
    assert [event.row_data for event in events()] == [{"id": 1, name: "seen"}] * 2
    installed = get_vendor("default").installed()[name]
    assert installed.fires
    assert installed.excluded == {name + "2"}
    expected = get_vendor("default").fingerprints(capture(name, frozenset({name + "2"})))
    assert [installed.fingerprint] == expected


def test_a_trigger_that_is_gone_or_of_another_make_shows():
    vendor = get_vendor("default")
    assert vendor.installed()["app_tag"].fires
    execute('DROP TRIGGER "auditrepr_update_app_tag"')
    assert not vendor.installed()["app_tag"].fires
    execute(*vendor.remove_sql("app_tag"), *vendor.remove_sql("app_tag"))
    assert "app_tag" not in vendor.installed()


def test_a_table_renamed_in_a_shell_is_still_known_by_the_name_it_logs_under():
    vendor = get_vendor("default")
    execute("CREATE TABLE before (id INTEGER PRIMARY KEY, a TEXT)")
    audit("before")
    execute("ALTER TABLE before RENAME TO after")
    assert not vendor.installed()["before"].fires
    execute(*vendor.remove_sql("before"))
    audit("after")
    execute("INSERT INTO after (a) VALUES ('x')")
    assert [event.table_name for event in events()] == ["after"]


@pytest.mark.parametrize(
    "change", ["ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE t ADD COLUMN b TEXT"]
)
def test_a_column_changed_in_a_shell_makes_the_triggers_outdated(change: str):
    vendor = get_vendor("default")
    execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    audit("t")
    execute(change)
    assert [vendor.installed()["t"].fingerprint] != vendor.fingerprints(capture("t"))


def test_replace_writes_an_event_for_the_row_that_it_replaces():
    tag = Tag.objects.create(label="x")
    execute("INSERT OR REPLACE INTO app_tag (id, label) VALUES (100, 'x')")
    assert [(event.action, event.object_id) for event in events()] == [
        ("I", str(tag.pk)),
        ("D", str(tag.pk)),
        ("I", "100"),
    ]


def test_what_is_not_a_table_is_told_apart():
    execute(
        "CREATE VIEW a_view AS SELECT * FROM no_such_table",
        "CREATE VIRTUAL TABLE a_search USING fts5(body)",
    )
    shapes = get_vendor("default").shapes(
        ["a_view", "a_search", "APP_TAG", "nothing", "app_author"]
    )
    assert {name: shape.kind for name, shape in shapes.items()} == {
        "APP_TAG": Kind.TABLE,
        "a_search": Kind.VIRTUAL,
        "a_view": Kind.VIEW,
        "app_author": Kind.TABLE,
    }
    assert shapes["app_author"].key_columns == ("id",)
    assert [(c.name, c.type) for c in shapes["app_author"].columns] == [
        ("id", "INTEGER"),
        ("name", "varchar(100)"),
    ]


def test_the_key_of_a_new_object_is_not_the_key_of_its_event():
    """An insert of a trigger leaves last_insert_rowid() alone."""
    for number in range(3):
        author = Author.objects.create(name=str(number))
    assert Author.objects.get(name="2").pk == author.pk


@pytest.mark.django_db(transaction=True)
def test_another_program_writes_to_the_file_and_is_logged():
    with sqlite3.connect(connection.settings_dict["NAME"]) as shell:
        shell.execute("INSERT INTO app_tag (label) VALUES ('from a shell')")
    shell.close()
    (event,) = events()
    assert event.row_data["label"] == "from a shell"


@pytest.mark.parametrize("use_tz", [True, False])
def test_the_time_is_the_one_that_django_reads(settings: Any, use_tz: bool):
    from django.utils import timezone

    settings.USE_TZ = use_tz
    settings.TIME_ZONE = "Asia/Tokyo"
    audit("app_tag")
    Tag.objects.create(label="x")
    assert abs((timezone.now() - events()[0].occurred_at).total_seconds()) < 10


@pytest.fixture
def without_time_zones(settings: Any) -> Iterator[None]:
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    audit("app_tag")
    yield
    settings.USE_TZ = True
    audit("app_tag")


@pytest.mark.django_db(transaction=True)
def test_without_time_zones_every_program_writes_the_time_of_its_own(without_time_zones: None):
    Tag.objects.create(label="in Tokyo")
    program = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as shell:
    shell.execute("INSERT INTO app_tag (label) VALUES ('in Greenwich')")
"""
    file = str(connection.settings_dict["NAME"])
    subprocess.run([sys.executable, "-c", program, file], env={"TZ": "UTC"}, check=True)
    here, there = events()
    assert round((here.occurred_at - there.occurred_at).total_seconds() / 3600) == 9
