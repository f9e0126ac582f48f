"""Runs what the docs show about importing another log."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from django.core.management import call_command
from django.db import connection

from auditrepr.models import AuditLog, InstanceRepr
from tests import old_log
from tests.app.models import Author
from tests.capturing import next_moment, sql
from tests.examples import examples
from tests.running import run

pytestmark = pytest.mark.django_db(transaction=True)

FUNCTION, SETTING = examples("docs/import.md", "python")


@pytest.fixture
def shop_log(monkeypatch):
    """The example's table, filled from what auditrepr has recorded; it begins afterwards."""
    module = ModuleType("old_log")
    exec(FUNCTION, module.__dict__)
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.old_log", module)
    AuditLog.objects.all().delete()
    Author.objects.create(name="Ann")
    next_moment()
    Author.objects.update(name="Bea")
    kind = "jsonb" if connection.vendor == "postgresql" else "text"
    time = "timestamptz" if connection.vendor == "postgresql" else "text"
    sql(
        "CREATE TABLE shop_log (id bigint PRIMARY KEY, table_name text, row_id text,"
        f" operation text, row_data {kind}, old_values {kind}, changed_at {time})",
        "INSERT INTO shop_log SELECT id, table_name, object_id, action, row_data, changed_from,"
        " occurred_at FROM auditrepr_auditlog",
    )
    AuditLog.objects.all().delete()
    next_moment()
    old_log.begin()
    yield
    sql("DROP TABLE shop_log")


@pytest.mark.proof
def test_its_function_and_setting_import_the_log(shop_log, settings):
    given: dict[str, object] = {}
    exec(SETTING, given)
    settings.AUDITREPR = given["AUDITREPR"]
    call_command("import_audit_log", "ours", dry_run=True, verbosity=0)
    call_command("import_audit_log", "ours", verbosity=0)
    run()
    stored = InstanceRepr.objects.order_by("pk").values_list("instance_repr", "fidelity")
    assert list(stored) == [("Ann", "E"), ("Bea", "E")]
    assert AuditLog.objects.latest("pk").changes == {"name": ("Ann", "Bea")}
