"""Tests random options, settings, names, and rows that no trigger wrote."""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest
from django.apps import apps
from django.core import checks
from django.core.management import call_command, load_command_class
from django.db import Error, connection, models, transaction
from django.test import override_settings
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from auditrepr import capture
from auditrepr.conf import Settings, get_settings
from auditrepr.exceptions import InvalidSetting
from auditrepr.models import AuditLog, InstanceRepr, Lease, ReprFailure
from tests.app.models import Author, Book
from tests.capturing import audit, sql
from tests.sizes import examples

pytestmark = [pytest.mark.sized, pytest.mark.django_db(transaction=True)]


def tried(full: int) -> settings:
    """So many examples at full size, a fifth of them otherwise."""
    return settings(
        deadline=None, suppress_health_check=list(HealthCheck), **examples(full // 5, full)
    )


# Options

COMMANDS = {
    "backfill_reprs": [],
    "rebuild_reprs": [],
    "backfill_status": ["--no-input"],
    "prune_audit_log": ["--no-input"],
    "verify_audit_log": [],
    "audit_triggers": [],
}
#: What Django's own options do is not tried, nor what asks for an end or removes the triggers.
SPARED = {"help", "version", "settings", "pythonpath", "traceback", "force_color", "no_color"}
EXTREMES = [
    "", "0", "1", "-1", "1e999", "nan", "0.5", "9" * 5000, str(2**31), str(2**63), str(2**64),
    "0001-01-01", "9999-12-31", "2026-02-30", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00",
    "default", "other", "app.author", "app.*", "*", "'; DROP TABLE x; --", "%s%(x)s{0}", "\udcff",
]  # fmt: skip


def value(action) -> st.SearchStrategy[str]:
    chosen = [str(choice) for choice in action.choices or () if choice != "remove"]
    return st.sampled_from(chosen + EXTREMES) | st.text(max_size=20).map(lambda t: t.strip("-"))


def arguments(command: str) -> st.SearchStrategy[list[str]]:
    parser = load_command_class("auditrepr", command).create_parser("manage.py", command)
    parts = []
    for action in parser._actions:
        if action.dest in SPARED:
            continue
        if not action.option_strings:
            parts.append(value(action).map(lambda text: [text]))
        elif action.nargs == 0:
            parts.append(st.just([action.option_strings[-1]]))
        else:
            option = action.option_strings[-1]
            parts.append(value(action).map(lambda text, option=option: [f"{option}={text}"]))
    return st.lists(st.one_of(parts), max_size=4).map(lambda found: [*chain(*found)])


def ends_with(command: str, given: list[str]) -> int:
    """The exit code; anything else that ends it is a traceback that people would see."""
    try:
        load_command_class("auditrepr", command).run_from_argv(["manage.py", command, *given])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@tried(25)
@given(data=st.data())
def test_no_value_of_an_option_ends_in_a_traceback(command, data, capsys):
    if not AuditLog.objects.exists():
        Author.objects.bulk_create([Author(name="ann"), Author(name="bob")])
    options = data.draw(arguments(command)) + COMMANDS[command]
    code = ends_with(command, options)
    assert code in {0, 1, 2, 75}, options
    said = capsys.readouterr().err.strip().splitlines()
    assert (code == 1) <= (len(said) == 1), (options, said)


# Settings

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.sampled_from(["*", "app.*", "app.Author", "app.nothing", "de", "UTC", 10**30, Path("x")]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
        | st.dictionaries(st.sampled_from(["app.Author", "app.*", "x.y"]), inner, max_size=2)
    ),
    max_leaves=6,
)
names = st.sampled_from(sorted(Settings.__dataclass_fields__)) | st.text(max_size=5)


@pytest.mark.proof
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@tried(60)
@given(given=junk | st.dictionaries(names, junk, max_size=3))
@example(given={"\n": None})
@example(given={"MODELS": None})
@example(given={"REPR": {1: str}})
@example(given={"LOCK_FILE": "a\0b"})
@example(given={"EXCLUDE": {"app.Author": 5}})
@example(given={"EXCLUDE": {5: ["name"]}})
@example(given={"TIME_ZONE": 5})
@example(given={"LANGUAGE": "\0"})
def test_whatever_the_settings_are_the_checks_say_what_is_wrong(given):
    with override_settings(AUDITREPR=given):
        try:
            get_settings()
        except InvalidSetting as error:
            said = str(error)
        else:
            said = ""
        found = [message for message in checks.run_checks() if "auditrepr" in str(message.id)]
    assert not said or said.startswith(
        ("AUDITREPR[", "AUDITREPR must be a dictionary", "Unknown setting")
    )
    assert all("\n" not in message.msg for message in found)


@tried(10)
@given(number=st.integers(min_value=1) | st.sampled_from([2**31, 2**63, 10**30]))
@pytest.mark.parametrize(
    "name", ["BATCH_SIZE", "LEASE_SECONDS", "MAX_LENGTH", "RUNS_KEPT", "ROW_SECONDS"]
)
def test_a_number_that_is_allowed_can_be_worked_with(name, number):
    InstanceRepr.objects.all().delete()
    Author.objects.create(name="ann")
    with override_settings(AUDITREPR={name: number}):
        try:
            get_settings()
        except InvalidSetting:
            return
        call_command("backfill_reprs", verbosity=0)
    assert not AuditLog.objects.pending().exists()


# Names

ODD = st.sampled_from(
    ["select", "user", 'a"b', "a'b", "a`b", "a]b", "50%", "%s", "%(x)s", "$1", "$$",
     "back\\slash", "new\nline", "a b", "ä", "日本語", "🙂", "A", "é" * 31, "x" * 63, "OLD", "NEW",
     "new_row", "event", "row_data", "id ", "--", "/*", "*/", ";", "{name}", "{{", ":x", "?", "@a",
     "a$auditrepr$b", "$body$"]
)  # fmt: skip
anything = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15
)
identifiers = (ODD | anything).filter(lambda name: fits(name))


def fits(name: str) -> bool:
    """What Django cannot quote, it cannot work with either; only SQL can."""
    return len(name.encode()) <= 63 and not name.startswith("sqlite_") and not set(name) & set('"%')


@contextmanager
def model_of(table: str, column: str):
    """A model of this table, whose text is what stands in this column."""
    attributes = {
        "__module__": "tests.app.models",
        "Meta": type("Meta", (), {"app_label": "app", "db_table": table}),
        "value": models.TextField(db_column=column),
        "__str__": lambda self: self.value,
    }
    model = type("Oddly", (models.Model,), attributes)
    try:
        with works_in_django(model):
            yield model
    finally:
        del apps.all_models["app"]["oddly"]
        apps.clear_cache()


@contextmanager
def works_in_django(model):
    """Its table is there; where Django itself cannot work with its names, nothing is tried."""
    try:
        with connection.schema_editor() as editor:
            editor.create_model(model)
    except Error:
        reject()
    try:
        try:
            model.objects.create(value="before")
            model.objects.update(value="there")
        except (Error, TypeError, ValueError):
            reject()
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(model)


@pytest.mark.proof
@tried(25)
@given(table=identifiers, column=identifiers.filter(lambda name: name.lower() != "id"))
def test_whatever_tables_and_columns_are_called_their_events_are_represented(table, column):
    with model_of(table, column) as model, override_settings(AUDITREPR={"MODELS": ["app.Oddly"]}):
        capture.install("default")
        AuditLog.objects.all().delete()
        row = model.objects.create(value="one")
        model.objects.filter(pk=row.pk).update(value="two")
        row.delete()
        call_command("backfill_reprs", verbosity=0)
        told = InstanceRepr.objects.order_by("pk").values_list("instance_repr", flat=True)
        assert list(told) == ["one", "two", "two"]
        AuditLog.objects.all().delete()


@pytest.mark.proof
@tried(10)
@given(table=identifiers, column=identifiers.filter(lambda name: name.lower() != "id"))
def test_whatever_tables_and_columns_are_called_their_triggers_come_and_go(table, column, capsys):
    with model_of(table, column) as model, override_settings(AUDITREPR={"MODELS": ["app.Oddly"]}):
        call_command("audit_triggers", "remove", database="default", verbosity=0)
        AuditLog.objects.all().delete()
        model.objects.create(value="nobody sees this")
        capsys.readouterr()
        call_command("audit_triggers", "sql", database="default")
        script = capsys.readouterr().out
        call_command("audit_triggers", "install", database="default", verbosity=0)
        call_command("audit_triggers", "check", database="default", verbosity=0)
        model.objects.create(value="one")
        call_command("audit_triggers", "remove", database="default", verbosity=0)
        model.objects.create(value="nor this")
        run_script(script)
        call_command("audit_triggers", "check", database="default", verbosity=0)
        model.objects.create(value="two")
        rows = AuditLog.objects.order_by("pk").values_list("row_data", flat=True)
        assert [row[column] for row in rows] == ["one", "two"]
        AuditLog.objects.all().delete()


def run_script(script: str) -> None:
    """As a shell of the database runs it."""
    if connection.vendor == "sqlite":
        connection.connection.executescript(script)
    else:
        connection.connection.execute(script)


@tried(25)
@given(table=identifiers, column=identifiers.filter(lambda name: name.lower() != "id"))
def test_what_only_sql_can_name_is_captured(table, column):
    AuditLog.objects.all().delete()
    # These names stand for the worst of them: a quote and a placeholder in each.
    table, column = f'a"%s{table}'[:20], f'{column}"%s'[-15:]
    quoted, value = ('"' + name.replace('"', '""') + '"' for name in (table, column))
    sql(f"CREATE TABLE {quoted} (id integer PRIMARY KEY, {value} text)")
    try:
        audit(table)
        sql(f"INSERT INTO {quoted} VALUES (1, 'one')", f"UPDATE {quoted} SET {value} = 'two'")
        found = AuditLog.objects.order_by("pk").values_list("table_name", "row_data")
        assert list(found) == [
            (table, {"id": 1, column: "one"}),
            (table, {"id": 1, column: "two"}),
        ]
    finally:
        sql(f"DROP TABLE {quoted}")


# Rows that no trigger wrote

deep = json.loads("[" * 100 + "]" * 100)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([10**400, -(10**30), "1e999", "2026-13-45", "\ud800", "\0", {}, deep]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=5,
)  # fmt: skip
rows = st.one_of(
    documents,
    st.dictionaries(
        st.sampled_from(["id", "name", "title", "author_id", "price", "published"]), documents
    ),
)
keys = st.none() | st.text(max_size=10) | st.sampled_from(
    ["1", "01", "-1", "1.5", "[1]", "[1,2]", "[", "null", str(2**70), "'", "%s"]
) | documents.map(json.dumps)  # fmt: skip
tables = st.sampled_from(
    [Author._meta.db_table, Book._meta.db_table, "app_book_tags", "nobodys", "", "auditrepr_lease"]
)


def insert(**columns) -> bool:
    """By SQL; false, if the database itself does not take it."""
    for name in ("row_data", "changed_from"):
        columns[name] = None if columns[name] is None else json.dumps(columns[name])
    named = ", ".join(columns)
    marks = ", ".join(["%s"] * len(columns))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO auditrepr_auditlog ({named}, occurred_at)"
                f" VALUES ({marks}, CURRENT_TIMESTAMP)",
                list(columns.values()),
            )
    except (Error, ValueError):
        return False
    return True


@pytest.mark.proof
@tried(40)
@given(
    events=st.lists(
        st.fixed_dictionaries(
            {
                "table_name": tables,
                "object_id": keys,
                "action": st.sampled_from("IUDTX"),
                "row_data": rows,
                "changed_from": rows,
                "snapshot": st.sampled_from([None, "1:1:", "x", "9:5:"]),
            }
        ),
        max_size=5,
    )
)
def test_rows_that_no_trigger_wrote_are_represented_or_fail(events):
    for event in events:
        insert(**event)
    Author.objects.create(name="ann")
    call_command("backfill_reprs", verbosity=0)
    assert not AuditLog.objects.pending().exists()
    assert InstanceRepr.objects.latest("pk").instance_repr == "ann", "and nobody else suffers"
    for model in (InstanceRepr, ReprFailure, AuditLog, Author):
        model.objects.all().delete()
    assert Lease.objects.get().token is None
