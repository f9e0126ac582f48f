"""Tests that row-level security which hides rows from the job is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from auditrepr.models import AuditLog, InstanceRepr, ReprFailure
from tests.app.models import Author, Book
from tests.capturing import sql

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
