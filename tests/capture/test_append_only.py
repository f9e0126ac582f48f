"""Tests that no statement changes the log, and that the log otherwise works as before."""

from __future__ import annotations

import io

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from auditrepr import capture
from auditrepr.capture import append_only
from auditrepr.models import AuditLog, InstanceRepr
from auditrepr.vendors import get_vendor
from tests import old_log
from tests.app.models import Author
from tests.capturing import sql

pytestmark = pytest.mark.django_db

WISH = {"APPEND_ONLY": True}
CHANGES = [
    "UPDATE auditrepr_auditlog SET action = 'D'",
    "DELETE FROM auditrepr_auditlog",
]
if connection.vendor == "postgresql":
    CHANGES += ["TRUNCATE auditrepr_auditlog", "TRUNCATE app_tag, auditrepr_auditlog CASCADE"]
else:
    CHANGES += [
        "REPLACE INTO auditrepr_auditlog (id, table_name, action)"
        " SELECT id, 'forged', 'I' FROM auditrepr_auditlog",
        "INSERT INTO auditrepr_auditlog (id, table_name, action)"
        " SELECT id, 'forged', 'I' FROM auditrepr_auditlog WHERE true"
        " ON CONFLICT (id) DO UPDATE SET action = 'D'",
    ]


def run(*arguments):
    out = io.StringIO()
    call_command("audit_triggers", *arguments, database="default", stdout=out)
    return out.getvalue()


def in_place():
    return get_vendor("default").append_only()


def test_an_import_adds_to_it(settings):
    settings.AUDITREPR = old_log.SOURCES | WISH
    AuditLog.objects.all().delete()
    Author.objects.create(name="Ann")
    old_log.create()
    old_log.switch()
    append_only.install("default")
    call_command("import_audit_log", "ours", verbosity=0)
    assert in_place()
    assert AuditLog.objects.get().row_data["name"] == "Ann"


def break_it():
    sql(
        "DROP TRIGGER append_only_auditrepr_update"
        if connection.vendor == "sqlite"
        else "ALTER TABLE auditrepr_auditlog DISABLE TRIGGER append_only_auditrepr_change"
    )


@pytest.mark.parametrize("statement", CHANGES)
def test_no_statement_changes_the_log(statement):
    append_only.install("default")
    Author.objects.create(name="Ann")
    before = list(AuditLog.objects.values())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        sql(statement)
    assert list(AuditLog.objects.values()) == before


@pytest.mark.sqlite
def test_replace_changes_nothing_from_a_connection_where_it_fires_no_trigger():
    append_only.install("default")
    Author.objects.create(name="Ann")
    sql("PRAGMA recursive_triggers = OFF")
    try:
        with pytest.raises(DatabaseError, match="append-only"):
            sql(CHANGES[2])
    finally:
        sql("PRAGMA recursive_triggers = ON")


@pytest.mark.postgresql
def test_a_partition_of_the_log_is_as_safe():
    sql(
        "ALTER TABLE auditrepr_auditlog RENAME TO plain",
        "CREATE TABLE auditrepr_auditlog (LIKE plain INCLUDING DEFAULTS) PARTITION BY RANGE (id)",
        "CREATE TABLE part PARTITION OF auditrepr_auditlog FOR VALUES FROM (0) TO (10)",
        *get_vendor("default").append_only_sql(),
        "INSERT INTO auditrepr_auditlog (id, table_name, action) VALUES (1, 't', 'I')",
    )
    for statement in ("UPDATE part SET action = 'D'", "DELETE FROM part"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            sql(statement)


def test_events_and_representations_are_written_as_before():
    append_only.install("default")
    author = Author.objects.create(name="Ann")
    author.delete()
    call_command("backfill_reprs", verbosity=0)
    assert "".join(AuditLog.objects.values_list("action", flat=True)) == "ID"
    assert InstanceRepr.objects.count() == 2


@pytest.mark.proof
def test_migrate_makes_it_so_only_where_the_setting_says_so(settings):
    call_command("migrate", verbosity=0)
    assert not in_place()
    settings.AUDITREPR = WISH
    call_command("migrate", verbosity=0)
    assert in_place()


@pytest.mark.proof
def test_migrate_puts_back_what_is_missing_or_disabled(settings):
    settings.AUDITREPR = WISH
    append_only.install("default")
    break_it()
    assert not in_place()
    call_command("migrate", verbosity=0)
    assert in_place()


@pytest.mark.proof
def test_migrate_keeps_what_was_installed_without_the_setting():
    append_only.install("default")
    call_command("migrate", verbosity=0)
    assert in_place()


def test_install_does_it_and_says_what_keeps_it():
    assert run("install", "--append-only") == (
        "default: auditrepr_auditlog: now append-only\nTo have migrate and check keep it that"
        ' way, set AUDITREPR["APPEND_ONLY"] = True.\n'
    )
    assert in_place()


def test_install_by_the_setting_says_so_once(settings):
    settings.AUDITREPR = WISH
    assert run("install") == "default: auditrepr_auditlog: now append-only\n"
    assert run("install") == "default: all triggers are OK.\n"


def test_check_names_what_is_not_as_the_setting_says(settings):
    settings.AUDITREPR = WISH
    with pytest.raises(CommandError) as raised:
        run("check")
    assert str(raised.value).splitlines() == [
        "default: auditrepr_auditlog: not append-only",
        "Run: manage.py audit_triggers install --database default",
    ]
    append_only.install("default")
    assert run("check") == "default: all triggers are OK.\n"


def test_the_system_check_does_too(settings):
    def found():
        messages = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
        return [m.id for m in messages if m.id.startswith("auditrepr")]

    assert found() == []
    settings.AUDITREPR = WISH
    assert found() == ["auditrepr.W005"]
    append_only.install("default")
    assert found() == []


def test_sql_prints_it_where_it_is_wanted(settings):
    assert "append_only" not in run("sql")
    assert "append_only" in run("sql", "--append-only")
    settings.AUDITREPR = WISH
    assert "append_only" in run("sql")


def test_remove_takes_it_away():
    append_only.install("default")
    run("remove")
    AuditLog.objects.all().delete()
    assert not in_place()


@pytest.mark.parametrize("action", ["check", "remove"])
def test_the_option_goes_only_with_what_installs(action):
    with pytest.raises(CommandError, match="--append-only cannot be used with") as raised:
        run(action, "--append-only")
    assert raised.value.returncode == 2


def test_its_own_triggers_are_no_tables_capture():
    append_only.install("default")
    assert not [s for s in capture.inspect("default") if s.status in capture.BROKEN]
    assert "auditrepr_auditlog" not in get_vendor("default").installed()


@pytest.mark.proof
@pytest.mark.django_db(databases=["default", "other"])
def test_a_database_without_the_log_is_left_alone(settings):
    settings.AUDITREPR = WISH
    capture.remove("other")
    with connections["other"].cursor() as cursor:
        cursor.execute("DROP TABLE auditrepr_auditlog")
    assert not append_only.missing("other")
