"""Tests that an attached log follows migrations, of its own columns and of the project's tables."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import Error, connection, models
from django.db.migrations.loader import MigrationLoader
from django.test.utils import isolate_apps

from auditrepr.capture import attachment
from auditrepr.models import AuditLog
from auditrepr.receivers import after_migrate, before_migrate
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.attaching.attached import attach, command, kind
from tests.capturing import sql
from tests.processes import start_python

pytestmark = [
    pytest.mark.proof,
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.usefixtures("supa_audit"),
]


def field(name: str, made: models.Field[Any, Any]) -> models.Field[Any, Any]:
    made.set_attributes_from_name(name)
    made.model = AuditLog
    return made


def columns() -> set[str]:
    found = sql(
        "SELECT attname::text FROM pg_attribute"
        " WHERE attrelid = 'auditrepr_auditlog'::regclass AND attnum > 0"
    )
    return {name for (name,) in found}


def migrate() -> str:
    """Return what ``migrate`` says of an attached log."""
    out = StringIO()
    after_migrate(using="default", verbosity=1, stdout=out)
    return out.getvalue()


def test_a_migration_of_the_log_changes_its_own_table_and_then_the_view() -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    later = field("later", models.IntegerField(null=True, db_index=True))
    try:
        with connection.schema_editor() as editor:
            editor.add_field(AuditLog, later)
            assert kind() == "r", "in its place stands the own table"
            editor.alter_field(AuditLog, later, field("later", models.TextField(null=True)))
        assert (kind(), AuditLog.objects.count()) == ("v", 1)
        assert "later" in columns()
        with connection.schema_editor() as editor:
            editor.remove_field(AuditLog, later)
        assert (kind(), AuditLog.objects.count()) == ("v", 1)
        assert "later" not in columns()
        command("detach")
        assert "later" not in columns()
    finally:
        sql("ALTER TABLE auditrepr_auditlog DROP COLUMN IF EXISTS later") if kind() == "r" else None


def test_a_migration_that_fails_leaves_the_view() -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    later = field("later", models.IntegerField(null=True))
    with pytest.raises(Error, match="already exists"), connection.schema_editor() as editor:
        list(map(editor.add_field, [AuditLog] * 2, [later] * 2))
    assert (kind(), AuditLog.objects.count()) == ("v", 1)
    assert "later" not in columns()


def test_migrate_puts_the_view_back_after_a_migration_that_was_killed() -> None:
    """One without a transaction, such as one that creates an index concurrently."""
    Author.objects.create(name="Ann")
    attach("supa_audit")
    get_vendor("default").set_view_aside()
    found = attachment.attached("default")
    assert found is not None
    assert not found.in_place
    out = StringIO()
    with pytest.raises(CommandError, match="triggers are missing"):
        call_command("backfill_status", stdout=out)
    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        call_command("audit_triggers", "install")
    assert "attached to supa_audit; its view is missing: run migrate" in out.getvalue()
    call_command("backfill_reprs", verbosity=0)
    assert "Updated the view of supa_audit" in migrate()
    assert (kind(), AuditLog.objects.count()) == ("v", 1)
    assert migrate() == "", "nothing is left to do"


def test_a_table_without_events_gets_its_key_in_place() -> None:
    """The functions that indexes call change only for rows that no index has."""
    Author.objects.create(name="Ann")
    attach("supa_audit")
    before = attachment.attached("default")
    assert before is not None
    sql("CREATE TABLE keyed (code text PRIMARY KEY)")
    audit = "INSERT INTO audit.record_version (op, table_oid, table_schema, table_name, record)"
    try:
        with known("keyed"):
            assert migrate().startswith("  Updated the view of supa_audit")
            after = attachment.attached("default")
            assert after is not None
            assert after.version == before.version
            sql(f"""{audit} VALUES ('INSERT', 0, 'public', 'keyed', '{{"code": "a"}}')""")
            assert AuditLog.objects.get(table_name="keyed").object_id == "a"
    finally:
        sql("DROP TABLE keyed")


def test_a_key_of_rows_that_indexes_have_makes_new_functions() -> None:
    """What an index holds stays what its function returns; the new one asks for a new index."""
    Author.objects.create(name="Ann")
    attach("supa_audit")
    sql("CREATE TABLE keyed (code text PRIMARY KEY)")
    audit = "INSERT INTO audit.record_version (op, table_oid, table_schema, table_name, record)"
    sql(f"""{audit} VALUES ('INSERT', 0, 'public', 'keyed', '{{"code": "a"}}')""")
    assert AuditLog.objects.get(table_name="keyed").object_id is None
    try:
        with known("keyed"):
            said = migrate()
        found = attachment.attached("default")
        assert found is not None
        assert found.version == 2
        assert AuditLog.objects.get(table_name="keyed").object_id == "a"
        assert "Look-ups are slow until the owner of its table runs:" in said
        wanted = [line.strip() for line in said.splitlines() if "CREATE INDEX" in line]
        assert "auditrepr_attached_object_2" in wanted[0]
        sql(*(one.replace(" CONCURRENTLY", "") for one in wanted))
        assert "attached to supa_audit" in command("check")
    finally:
        sql("DROP TABLE keyed")


@contextmanager
def known(table: str) -> Iterator[None]:
    """Let there be a model of this table, whose key is `code`."""
    with isolate_apps("tests.app"):

        class Keyed(models.Model):
            code = models.TextField(primary_key=True)

            class Meta:
                app_label = "app"
                db_table = table

    every = apps.get_models
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apps, "get_models", lambda *a, **o: [*every(*a, **o), Keyed])
        yield


def test_before_the_tables_go_the_view_does() -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    ((before,),) = sql("SELECT count(*) FROM audit.record_version")
    first = MigrationLoader(None).get_migration("auditrepr", "0001_initial")
    before_migrate(using="default", plan=[(first, True)])
    assert (kind(), attachment.attached("default")) == ("r", None)
    assert sql("SELECT count(*) FROM audit.record_version") == [(before,)]
    command("install")


@pytest.mark.parametrize("step", ["capture.remove", "_start_over", "attachment.lacking"])
def test_an_attach_that_is_killed_leaves_nothing_half(step: str) -> None:
    """Before our triggers go, once the view is there, and when all is said."""
    Author.objects.create(name="Ann")
    attach("supa_audit")
    command("detach")
    if step == "attachment.lacking":
        sql("DROP INDEX audit.auditrepr_attached_table")
    process = start_python(f"""
import os, signal
from auditrepr.job import attaching
from django.core.management import CommandError, call_command
attaching.{step} = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
call_command("audit_triggers", "attach", "supa_audit")
""")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert kind() == "r"
    Author.objects.create(name="Bea")
    assert AuditLog.objects.count() == 1, "our triggers record"
    AuditLog.objects.all().delete()
    # The lock of a process that is dead is taken over.
    assert "Attached" in attach("supa_audit") or kind() == "v"
