"""Tests what cannot be attached, and what an attached log cannot do: each says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import Error
from django.test import override_settings

from auditrepr.job.rights import explained
from auditrepr.models import AuditLog, Coverage, InstanceRepr, SealEntry
from tests.app.models import Author
from tests.attaching.attached import attach, command, kind, statements
from tests.capturing import sql
from tests.running import run

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.postgresql


def refusal(*arguments: str, **options: Any) -> str:
    """Return what the command says that does not do it."""
    with pytest.raises(CommandError) as caught:
        call_command(*arguments, verbosity=0, **options)
    return str(caught.value)


@pytest.mark.sqlite
def test_sqlite_has_no_log_to_attach_to() -> None:
    with override_settings(AUDITREPR={"SOURCES": {"ours": lambda using: "SELECT 1"}}):
        said = refusal("audit_triggers", "attach", "ours")
    assert "only a log in PostgreSQL can be attached to" in said
    assert "Import its events instead: manage.py import_audit_log ours" in said


@pytest.mark.parametrize("name", ["auditlog", "pghistory", "simple_history"])
@on_postgresql
def test_a_log_of_several_tables_is_imported(name: str) -> None:
    said = refusal("audit_triggers", "attach", name)
    assert f'cannot be attached to source "{name}": it has' in said
    assert f"manage.py import_audit_log {name}" in said


def test_the_command_says_what_belongs_together() -> None:
    assert "attach requires the name of a source: auditlog" in refusal("audit_triggers", "attach")
    said = refusal("audit_triggers", "check", "supa_audit")
    assert said == "SOURCE (supa_audit) cannot be used with check, only with attach."
    said = refusal("audit_triggers", "install", dry_run=True)
    assert said == "--dry-run cannot be used with install, only with attach."
    assert "is not attached to another log" in refusal("audit_triggers", "detach")
    with pytest.raises(CommandError, match="There is no source 'nothing'") as refused:
        call_command("audit_triggers", "attach", "nothing")
    assert refused.value.returncode == 2


@on_postgresql
@pytest.mark.usefixtures("supa_audit")
def test_only_an_empty_log_is_attached() -> None:
    Author.objects.create(name="Ann")
    assert AuditLog.objects.exists()
    said = refusal("audit_triggers", "attach", "supa_audit")
    assert "has events, and only an empty one can be attached" in said
    assert "manage.py import_audit_log supa_audit" in said
    AuditLog.objects.all().delete()
    SealEntry.objects.create(
        number=1, kind="sealed", after_id=0, upto_id=1, events=1, sealed_at="", digest=b""
    )
    assert "has seals, and only" in refusal("audit_triggers", "attach", "supa_audit")
    SealEntry.objects.all()._raw_delete("default")
    with override_settings(AUDITREPR={"SEAL": True, "APPEND_ONLY": True}):
        said = refusal("audit_triggers", "attach", "supa_audit")
    assert 'remove AUDITREPR["APPEND_ONLY"], AUDITREPR["SEAL"]' in said
    assert kind() == "r"


@pytest.mark.proof
@on_postgresql
@pytest.mark.usefixtures("supa_audit")
def test_without_indexes_nothing_is_attached() -> None:
    """The owner of the other log gets the statements, and everything stays as it was."""
    Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    before = list(Coverage.objects.order_by("pk").values())
    found = statements("supa_audit")
    assert [one.split()[3] for one in found] == [
        f"auditrepr_attached_{name}" for name in ("object", "table", "rekeyed", "actor")
    ]
    assert kind() == "r"
    assert list(Coverage.objects.order_by("pk").values()) == before
    Author.objects.create(name="Bea")
    assert AuditLog.objects.count() == 1, "our triggers are still there"


@pytest.mark.proof
@on_postgresql
@pytest.mark.usefixtures("supa_audit")
def test_the_statements_are_lines_to_be_copied() -> None:
    Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    _, *lines = refusal("audit_triggers", "attach", "supa_audit").splitlines()
    assert len(lines) == 4
    assert all(one.startswith("CREATE INDEX ") and one.endswith(";") for one in lines)


@on_postgresql
@pytest.mark.usefixtures("supa_audit")
@pytest.mark.parametrize("right", ["USAGE ON SCHEMA audit", "SELECT ON ALL TABLES IN SCHEMA audit"])
def test_a_role_that_may_not_read_the_other_log_is_told_what_to_grant(right: str) -> None:
    AuditLog.objects.all().delete()
    both = ["USAGE ON SCHEMA audit", "SELECT ON ALL TABLES IN SCHEMA audit"]
    both.remove(right)
    sql(
        "CREATE ROLE attached_owner",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO attached_owner",
        f"GRANT {both[0]} TO attached_owner",
    )
    try:
        sql("SET ROLE attached_owner")
        said = refusal("audit_triggers", "attach", "supa_audit")
    finally:
        sql("RESET ROLE", "DROP OWNED BY attached_owner", "DROP ROLE attached_owner")
    assert 'may not read the log of source "supa_audit" in database "default": permission' in said
    assert "grant it SELECT on the table, and USAGE on its schema." in said
    assert kind() == "r"


@pytest.mark.proof
@on_postgresql
@pytest.mark.usefixtures("supa_audit")
@pytest.mark.parametrize("name", ["backfill_reprs", "backfill_status", "rebuild_reprs"])
def test_if_the_role_loses_that_right_later_each_command_says_what_to_grant(name: str) -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    sql("CREATE ROLE attached_owner", "ALTER VIEW auditrepr_auditlog OWNER TO attached_owner")
    try:
        said = refusal(name)
    finally:
        sql("ALTER VIEW auditrepr_auditlog OWNER TO CURRENT_USER", "DROP ROLE attached_owner")
    assert 'Role attached_owner may not read the log of source "supa_audit"' in said
    assert "permission denied for table record_version. Have the owner" in said
    assert run().rows == 1


@pytest.mark.proof
@on_postgresql
@pytest.mark.usefixtures("supa_audit")
def test_another_right_that_is_missing_is_not_taken_for_that_one() -> None:
    attach("supa_audit")
    sql(
        "CREATE ROLE attached_job",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO attached_job",
        "REVOKE ALL ON app_author FROM attached_job",
        "SET ROLE attached_job",
    )
    try:
        with pytest.raises(Error) as caught:
            Author.objects.exists()
        said = explained(caught.value, "default")
    finally:
        sql("RESET ROLE", "DROP OWNED BY attached_job", "DROP ROLE attached_job")
    assert said == "permission denied for table app_author"


@pytest.mark.proof
@on_postgresql
@pytest.mark.usefixtures("supa_audit")
def test_a_dry_run_shows_what_would_be_read_and_changes_nothing() -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    command("detach")
    said = command("attach", "supa_audit", dry_run=True)
    assert "Would attach the audit log to audit.record_version (supa_audit)." in said
    assert "app.Author" in said
    assert "Ann" in said
    assert (kind(), AuditLog.objects.count()) == ("r", 0)
    Author.objects.create(name="Bea")
    assert AuditLog.objects.count() == 1


@pytest.mark.proof
@on_postgresql
@pytest.mark.usefixtures("supa_audit")
def test_what_is_another_tools_is_refused() -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    assert "attached to supa_audit" in command("check")
    for arguments in (
        ("audit_triggers", "install"),
        ("audit_triggers", "remove"),
        ("audit_triggers", "sql"),
        ("audit_triggers", "attach", "logged_actions"),
        ("prune_audit_log", "--before=2020-01-01", "--no-input"),
        ("prune_audit_log", "--before=2020-01-01", "--dry-run"),
        ("import_audit_log", "supa_audit"),
        ("import_audit_log", "supa_audit", "--dry-run"),
        ("erase_from_audit_log", "--object=app.Author:1", "--no-input"),
        ("erase_from_audit_log", "--object=app.Author:1", "--dry-run"),
        ("partition_audit_log",),
        ("partition_audit_log", "--dry-run"),
        ("seal_audit_log",),
        ("verify_audit_log",),
    ):
        said = refusal(*arguments)
        assert "attached to source" in said or "is not available" in said, arguments
        if arguments[-1] != "logged_actions":
            assert '"supa_audit", whose own tool' in said, arguments
            assert "manage.py audit_triggers detach" in said, arguments


@pytest.mark.proof
@on_postgresql
@pytest.mark.usefixtures("supa_audit")
def test_settings_of_a_log_of_our_own_are_errors() -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    assert [one for one in run_checks(databases=["default"]) if "auditrepr" in (one.id or "")] == []
    asked = {"APPEND_ONLY": True, "SEAL": True, "RETENTION": {"*": "1 day"}}
    with override_settings(AUDITREPR=asked):
        found = [one for one in run_checks(databases=["default"]) if "auditrepr" in (one.id or "")]
        run()
        call_command("migrate", verbosity=0)
    assert [one.id for one in found] == ["auditrepr.E009"]
    assert 'AUDITREPR["APPEND_ONLY"], AUDITREPR["SEAL"], AUDITREPR["RETENTION"]' in found[0].msg
    assert (InstanceRepr.objects.count(), SealEntry.objects.count()) == (1, 0)


@pytest.mark.proof
@on_postgresql
@pytest.mark.usefixtures("supa_audit")
def test_an_index_that_goes_is_reported() -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    sql("DROP INDEX audit.auditrepr_attached_object")
    (found,) = [one for one in run_checks(databases=["default"]) if one.id == "auditrepr.W009"]
    assert (
        "CREATE INDEX CONCURRENTLY auditrepr_attached_object ON audit.record_version" in found.msg
    )
    assert "auditrepr_attached_object" in refusal("audit_triggers", "check")


TABLES = {
    "two": ("entry bigserial PRIMARY KEY", "FROM odd AS one JOIN odd AS b ON b.at > one.at"),
    "view": ("entry bigserial PRIMARY KEY", "FROM (SELECT DISTINCT * FROM odd) AS one"),
    "no key": ("entry bigserial", "FROM odd AS one"),
    "no sequence": ("entry bigint PRIMARY KEY", "FROM odd AS one"),
    "other position": ("entry bigserial PRIMARY KEY", "FROM odd AS one"),
    "cache": ("entry bigserial PRIMARY KEY", "FROM odd AS one"),
    "falling": ("entry bigserial PRIMARY KEY", "FROM odd AS one"),
    "turning": ("entry bigserial PRIMARY KEY", "FROM odd AS one"),
    "no table": ("entry bigserial PRIMARY KEY", "FROM odd_view AS one"),
    "kept": ("entry bigserial PRIMARY KEY", "FROM odd_kept AS one"),
    "heirs": ("entry bigserial PRIMARY KEY", "FROM odd AS one"),
    "unstable": ("entry bigserial PRIMARY KEY", "FROM odd AS one"),
    "text": ("entry bigserial PRIMARY KEY", "FROM odd AS one"),
}
MORE = {
    "cache": ["ALTER SEQUENCE odd_entry_seq CACHE 9"],
    "falling": ["ALTER SEQUENCE odd_entry_seq INCREMENT -1 MINVALUE -9"],
    "turning": ["ALTER SEQUENCE odd_entry_seq CYCLE"],
    "no table": ["CREATE VIEW odd_view AS SELECT * FROM odd"],
    "kept": ["CREATE MATERIALIZED VIEW odd_kept AS SELECT * FROM odd"],
    "heirs": ["CREATE TABLE odd_heir () INHERITS (odd)"],
}
SAID = {
    "two": "is read by more than a scan",
    "view": "is read by more than a scan",
    "no key": "must be the primary key of public.odd",
    "no sequence": "does not come from a sequence",
    "other position": "must be the primary key of public.odd",
    "cache": "has CACHE 9",
    "falling": "odd_entry_seq has a negative INCREMENT or CYCLE",
    "turning": "odd_entry_seq has a negative INCREMENT or CYCLE",
    "no table": "public.odd_view is not a table; select from the one that it reads",
    "kept": "public.odd_kept is not a table",
    "heirs": "or tables that inherit from it",
    "unstable": "no index can have its table_name",
    "text": "is only read by an import",
}


@pytest.fixture
def odd(request: pytest.FixtureRequest) -> Iterator[str]:
    """A table that cannot be read in the log's place, and why."""
    name = request.param
    columns, rows = TABLES[name]
    sql(f"CREATE TABLE odd ({columns}, at timestamptz DEFAULT now(), of text DEFAULT 'app_author')")
    sql(*MORE.get(name, ()))
    position = "entry * 2" if name == "other position" else "entry"
    table = "of || to_char(now(), 'Y')" if name == "unstable" else "of"
    more = ", 'x' AS text" if name == "text" else ""
    select = (
        f"SELECT one.{position} AS position, {table.replace('of', 'one.of')} AS table_name,"
        f" '1' AS object_id, 'I' AS action, '{{}}'::jsonb AS row_data, one.at AS occurred_at{more}"
        f" {rows}"
    )
    with override_settings(AUDITREPR={"SOURCES": {"odd": lambda using: select}}):
        yield name
    sql("DROP TABLE odd CASCADE")


@pytest.mark.proof
@on_postgresql
@pytest.mark.parametrize("odd", TABLES, indirect=True)
def test_a_table_that_would_not_be_read_truly_is_refused(odd: str) -> None:
    AuditLog.objects.all().delete()
    said = refusal("audit_triggers", "attach", "odd")
    assert SAID[odd] in said
    assert "manage.py import_audit_log odd" in said
    assert kind() == "r"
