"""Tests that row-level security which hides rows from the job is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from auditrepr.models import AuditLog, InstanceRepr, ReprFailure
from tests.app.models import Author, Book
from tests.capturing import sql
from tests.partitioning import SIZE, partition_small
from tests.sizes import PARTITIONED

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@contextmanager
def as_role_under_security_of(table: str) -> Iterator[None]:
    """A role that may do everything, as far as the table's policies let it."""
    sql(
        "CREATE ROLE under_security LOGIN",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO under_security",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO under_security",
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    )
    owner = connection.settings_dict["USER"]
    connection.close()
    connection.settings_dict["USER"] = "under_security"
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["USER"] = owner
        sql(
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
            "DROP OWNED BY under_security",
            "DROP ROLE under_security",
        )


@pytest.mark.proof
def test_a_log_that_is_hidden_is_one_clear_line_and_not_an_empty_log():
    Author.objects.create(name="Ann")
    refused = pytest.raises(CommandError, match="BYPASSRLS")
    with as_role_under_security_of("auditrepr_auditlog"), refused:
        call_command("backfill_reprs", verbosity=0)
    call_command("backfill_reprs", verbosity=0)
    assert InstanceRepr.objects.get().instance_repr == "Ann"


@pytest.mark.proof
def test_who_only_reads_may_be_shown_a_part_of_the_log(admin_client):
    Author.objects.create(name="Ann")
    with as_role_under_security_of("auditrepr_auditlog"):
        for name in ("auditlog", "backfillrun"):
            page = admin_client.get(reverse(f"admin:auditrepr_{name}_changelist"))
            assert page.status_code == 200
            assert b"Ann" not in page.content
        call_command("backfill_status", verbosity=0)


@pytest.mark.proof
def test_a_row_that_is_hidden_costs_what_leads_to_it_and_makes_nothing_untrue(monkeypatch):
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="T", author=author)
    AuditLog.objects.all().delete()
    Author.objects.update(name="Bea")
    monkeypatch.setattr(Author, "__str__", lambda author: f"{author.books.count()} books")
    with as_role_under_security_of("app_book"):
        call_command("backfill_reprs", verbosity=0)
    assert not InstanceRepr.objects.exists()
    assert "row-level security" in ReprFailure.objects.get().message


def test_representations_are_stored_through_a_policy():
    """For which PostgreSQL refuses COPY."""
    Author.objects.create(name="Ann")
    sql("CREATE POLICY everything ON auditrepr_instancerepr USING (true) WITH CHECK (true)")
    try:
        with as_role_under_security_of("auditrepr_instancerepr"):
            call_command("backfill_reprs", verbosity=0)
        assert InstanceRepr.objects.get().instance_repr == "Ann"
    finally:
        sql("DROP POLICY everything ON auditrepr_instancerepr")


@contextmanager
def as_owner_from_whom_is_hidden(event: int) -> Iterator[None]:
    """The owner of auditrepr's tables, for whom a policy of the log holds, too."""
    superuser = connection.settings_dict["USER"]
    tables = [
        name
        for (name,) in sql(
            "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE 'auditrepr%'"
            " AND relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
    ]
    sql(
        "CREATE ROLE under_force LOGIN",
        *(f"ALTER TABLE {table} OWNER TO under_force" for table in tables),
        "GRANT ALL ON SCHEMA public TO under_force",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO under_force",
        "ALTER TABLE auditrepr_auditlog ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY few ON auditrepr_auditlog USING (id <> {event})",
    )
    connection.close()
    connection.settings_dict["USER"] = "under_force"
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["USER"] = superuser
        sql(
            "DROP POLICY few ON auditrepr_auditlog",
            "ALTER TABLE auditrepr_auditlog"
            " NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY",
            "REASSIGN OWNED BY under_force TO CURRENT_USER",
            "DROP OWNED BY under_force",
            "DROP ROLE under_force",
        )


@pytest.mark.proof
@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("dry_run", [False, True])
def test_nothing_is_pruned_by_who_may_not_see_all(partitioned: bool, dry_run: bool) -> None:
    """A young event may be among the hidden ones, and a partition is emptied as a whole."""
    if partitioned and not PARTITIONED:
        partition_small()
    while AuditLog.objects.count() < 3 * SIZE:
        Author.objects.create(name="Ann")
    call_command("backfill_reprs", verbosity=0)
    hidden = AuditLog.objects.earliest("pk").pk + 3
    old = AuditLog.objects.exclude(pk=hidden)
    old.update(occurred_at=datetime(2020, 1, 1, tzinfo=UTC))
    before = AuditLog.objects.count()
    refused = pytest.raises(CommandError, match="hides rows of auditrepr_auditlog")
    with as_owner_from_whom_is_hidden(hidden), refused:
        call_command("prune_audit_log", before="2024-01-01", interactive=False, dry_run=dry_run)
    assert AuditLog.objects.count() == before
