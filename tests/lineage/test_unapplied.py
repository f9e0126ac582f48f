"""Tests that running code is recorded between new code and ``migrate``."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from auditrepr import capture
from auditrepr.capture.state import Status
from auditrepr.lineage import unapplied
from auditrepr.models import AuditLog, Coverage
from auditrepr.vendors import get_vendor
from auditrepr.vendors.capture_types import Capture
from tests.capturing import status_of
from tests.migrating import Then, from_the_beginning, migrate, today

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def second(settings):
    """The app as of its second migration: drifting_store is called outlets in today's code."""
    settings.AUDITREPR = {"MODELS": ["drifting.*"]}
    from_the_beginning()
    return Then("0002_first_names")


def run(*arguments: str) -> str:
    out = StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except CommandError as error:
        return f"{out.getvalue()}exit code {error.returncode}: {error}"
    return out.getvalue()


def events(table: str) -> list[str]:
    return list(AuditLog.objects.filter(table_name=table).values_list("action", flat=True))


def test_a_table_whose_rename_is_pending_keeps_its_triggers(second):
    assert status_of("drifting_store") is Status.WAITING
    since = Coverage.objects.get(table_name="drifting_store").since_event
    said = run("audit_triggers", "install", "--database=default")
    assert "exit code 1" in said
    assert "drifting_store" in said
    assert "manage.py migrate --database default" in said
    assert "audit_triggers install" not in said
    second.Store.create(name="x")
    assert events("drifting_store") == ["I"]
    today()
    assert status_of("outlets") is Status.OK
    assert Coverage.objects.get(table_name="outlets").since_event == since


def test_no_hint_says_install_between_new_code_and_migrate():
    said = run("audit_triggers", "check", "--database=default")
    said += run("backfill_status") + run("check", "--database=default") + run("backfill_reprs")
    assert "audit_triggers install --database default" not in said
    assert "manage.py migrate" in said


def test_a_migrate_of_another_app_leaves_them_alone(second):
    call_command("migrate", "auditrepr", verbosity=0)
    assert status_of("drifting_store") is Status.WAITING
    second.Store.create(name="x")
    assert events("drifting_store") == ["I"]


def test_what_leaves_is_a_table_of_the_applied_migrations_that_no_model_has():
    known = unapplied.recorded(connection)
    assert "drifting_store" in unapplied.leaving("default", known)
    assert "drifting_item" not in unapplied.leaving("default", known)


def test_a_table_that_the_settings_leave_out_loses_its_triggers_all_the_same(settings):
    settings.AUDITREPR = {"MODELS": ["drifting.*", "-drifting.Label"]}
    assert status_of("drifting_label") is Status.LEFTOVER
    capture.install("default")
    assert "drifting_label" not in get_vendor("default").installed()


def test_once_all_is_applied_nothing_waits():
    migrate("0005_more_columns")
    assert unapplied.leaving("default", unapplied.recorded(connection)) == set()
    capture.install("default")
    assert Status.WAITING not in {state.status for state in capture.inspect("default")}


def test_a_column_that_is_left_out_by_the_name_it_still_has_stays_out(second, settings):
    """The new code leaves out the new name; the triggers in place, the old one."""
    vendor = get_vendor("default")
    table = "drifting_item"
    shape = vendor.shapes([table])[table]
    made_from = Capture(table, table, shape, shape.key_columns, frozenset(["serial"]))
    with connection.cursor() as cursor:
        for sql in vendor.install_sql(made_from):
            cursor.execute(sql)
    settings.AUDITREPR = {"MODELS": ["drifting.*"], "EXCLUDE": {"drifting.Item": ["caption"]}}
    assert status_of(table) is Status.WAITING
    run("audit_triggers", "install", "--database=default")
    store = second.Store.create(name="x")
    second.Item.create(label="l", serial="secret", code="", left="", right="", store=store)
    assert "serial" not in AuditLog.objects.get(table_name=table).row_data
