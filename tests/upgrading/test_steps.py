"""Tests that each migration of the log can be applied and reversed while the log is in use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditrepr.vendors.types import BEGINNING
from tests.upgrading.project import VENDOR, Library, restored

pytestmark = [pytest.mark.proof, pytest.mark.each_database]

#: Stops at each migration, there and back, and changes a row there as any program may.
WALK = """
from django.db.migrations.loader import MigrationLoader
from auditrepr import capture
from auditrepr.models import Coverage
plan = MigrationLoader(None).graph.forwards_plan
(leaf,) = MigrationLoader(None).graph.leaf_nodes("auditrepr")
names = [name for app, name in plan(leaf) if app == "auditrepr"]
def stop(name):
    call_command("migrate", "auditrepr", name, verbosity=0)
    sql("UPDATE library_author SET motto = 'at %s' WHERE id = 1" % name)
    broken = [s.name for s in capture.inspect("default") if s.status in capture.BROKEN]
    columns = "row_data" if connection.vendor == "sqlite" else "row_data::text"
    ((text,),) = sql("SELECT %s FROM auditrepr_auditlog ORDER BY id DESC LIMIT 1" % columns)
    return [name, broken, "at %s" % name in text]
call_command("migrate", verbosity=0)
say([stop(name) for name in names[::-1] + names[1:]])
"""
FAILS_STILL = "default: 1 event of library.Author fails still: ValueError: no name (event 9)\n"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with restored(tmp_path) as library:
        yield library


def test_each_migration_is_applied_and_taken_back_while_rows_change(library: Library) -> None:
    before = library.content()
    stops = library.run(WALK)
    assert len(stops) >= 4
    for name, broken, recorded in stops:
        assert broken == [], name
        assert recorded, name
    for table in ("auditrepr_auditlog", "auditrepr_instancerepr", "auditrepr_reprfailure"):
        now = library.rows(table)
        for row in before[table]:
            (same,) = [r for r in now if next(iter(r.values())) == next(iter(row.values()))]
            assert {name: same[name] for name in row} == row, table
    assert len(library.rows("auditrepr_auditlog")) == len(before["auditrepr_auditlog"]) + len(stops)
    covered = {row["table_name"]: row["since_event"] for row in before["auditrepr_coverage"]}
    assert {
        row["table_name"]: row["since_event"] for row in library.rows("auditrepr_coverage")
    } == covered
    library.run("""call_command("backfill_reprs", verbosity=0)""", errors=FAILS_STILL)
    texts = [row["instance_repr"] for row in library.rows("auditrepr_instancerepr")]
    assert texts[-len(stops) :] == ["Anna"] * len(stops)


@pytest.mark.parametrize("command", ["backfill_reprs", "rebuild_reprs", "backfill_status"])
def test_between_new_code_and_migrate_commands_say_so(library: Library, command: str) -> None:
    said = library.run(f"""
from django.core.management import CommandError
try: call_command("{command}", verbosity=0)
except CommandError as error: say(str(error))
""")
    assert 'Database "default" has unapplied migrations of auditrepr.' in said
    assert "Run: manage.py migrate --database default" in said


#: All columns, indexes and constraints of the log's tables.
SCHEMA = {
    "sqlite": """
SELECT m.name, x.name, x.type, x."notnull", x.dflt_value, x.pk, x.hidden
FROM sqlite_master m, pragma_table_xinfo(m.name) x
WHERE m.type = 'table' AND m.name LIKE 'auditrepr%' AND m.name NOT LIKE 'auditrepr_repr_%'
UNION ALL SELECT tbl_name, name, sql, NULL, NULL, NULL, NULL FROM sqlite_master
WHERE type = 'index' AND tbl_name LIKE 'auditrepr%'
""",
    "postgresql": """
SELECT table_name, column_name, data_type, is_nullable, column_default, generation_expression
FROM information_schema.columns WHERE table_name LIKE 'auditrepr%'
UNION ALL SELECT tablename, indexname, indexdef, NULL, NULL, NULL FROM pg_indexes
WHERE tablename LIKE 'auditrepr%'
UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL, NULL, NULL
FROM pg_constraint WHERE conrelid::regclass::text LIKE 'auditrepr%'
""",
}[VENDOR]


def test_the_first_migration_makes_what_the_earlier_version_had(library: Library) -> None:
    schemas = [schema(library)]
    for name in ("0002_findings", "0001_initial", "zero", "0001_initial"):
        library.run(f"""call_command("migrate", "auditrepr", "{name}", verbosity=0)""")
        schemas.append(schema(library))
    before, later, back, none, anew = schemas
    assert len(before) > 60
    assert later != before
    assert none == []
    assert back == before
    assert anew == before


POSITIONS = {
    "auditrepr_checkpoint": ("settled_id", "swept_id"),
    "auditrepr_coverage": ("pruned_id",),
}


def test_what_has_not_begun_yet_was_zero_and_is_below_every_event(library: Library) -> None:
    """There may be events below zero, and one with that ID."""

    def positions() -> list[object]:
        rows = ((library.rows(table), names) for table, names in POSITIONS.items())
        return [row[name] for found, names in rows for row in found for name in names]

    library.run("""call_command("migrate", "auditrepr", "0009", verbosity=0)""")
    for table, names in POSITIONS.items():
        library.sql(f"UPDATE {table} SET {', '.join(f'{name} = 0' for name in names)}")
    library.run("""call_command("migrate", verbosity=0)""")
    assert set(positions()) == {BEGINNING}
    library.run("""call_command("migrate", "auditrepr", "0009", verbosity=0)""")
    assert set(positions()) == {0}


def test_what_an_interrupted_migration_has_left_of_an_index_is_replaced(library: Library) -> None:
    library.sql("CREATE INDEX auditrepr_failure_recent ON auditrepr_reprfailure (attempts)")
    library.run("""call_command("migrate", verbosity=0)""")
    (made,) = [part for part in schema(library) if part[1] == "auditrepr_failure_recent"]
    assert "last_failed_at" in made[2]


def schema(library: Library) -> list[list[str]]:
    return sorted([str(value) for value in row] for row in library.sql(SCHEMA))


WATCH = """
from tests.upgrading.watching import watched
with watched() as found:
{}
say(found)
"""
#: Each keeps others waiting while it reads or writes all rows of a large table.
SLOW = {
    "an index": "CREATE INDEX a ON auditrepr_auditlog (writer)",
    "an index in a transaction": "BEGIN; CREATE INDEX b ON auditrepr_reprfailure (attempts)",
    "a column that is computed for each row":
        "ALTER TABLE auditrepr_auditlog ADD c timestamptz NOT NULL DEFAULT clock_timestamp()",
    "another type": "ALTER TABLE auditrepr_reprfailure ALTER attempts TYPE bigint",
    "a constraint that is validated":
        "ALTER TABLE auditrepr_instancerepr ADD CONSTRAINT d CHECK (fidelity <> 'X')",
    "rows that are updated": "UPDATE auditrepr_instancerepr SET reason = ''",
}  # fmt: skip
QUICK = {
    "a concurrent index": "CREATE INDEX CONCURRENTLY e ON auditrepr_auditlog (writer)",
    "a column with a constant": "ALTER TABLE auditrepr_auditlog ADD f integer NOT NULL DEFAULT 0",
    "a constraint for new rows":
        "ALTER TABLE auditrepr_auditlog ADD CONSTRAINT g CHECK (id > 0) NOT VALID",
}  # fmt: skip
TRY = """
from tests.upgrading.watching import watched
def tried(statement):
    with watched() as found:
        connection.set_autocommit(not statement.startswith("BEGIN; "))
        sql(statement.removeprefix("BEGIN; "))
        connection.commit()
    connection.set_autocommit(True)
    return bool(found)
say({name: tried(statement) for name, statement in json.loads(STATEMENTS).items()})
"""


def test_no_migration_keeps_others_waiting_for_as_long_as_the_log_is_large(
    library: Library,
) -> None:
    assert library.run(WATCH.format('    call_command("migrate", verbosity=0)')) == []


@pytest.mark.postgresql
def test_it_would_be_found_if_one_did(library: Library) -> None:
    statements = json.dumps(SLOW | QUICK)
    found = library.run(f"STATEMENTS = {statements!r}\n{TRY}")
    assert found == dict.fromkeys(SLOW, True) | dict.fromkeys(QUICK, False)


@pytest.mark.sqlite
def test_a_copy_of_a_large_table_would_be_found(library: Library) -> None:
    code = """
    from django.db import models
    field = models.IntegerField(default=0)
    field.set_attributes_from_name("x")
    with connection.schema_editor() as editor:
        editor.add_field(InstanceRepr, field)"""
    assert library.run(WATCH.format(code))
