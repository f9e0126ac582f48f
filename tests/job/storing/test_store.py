"""Tests that a row which the database refuses to store costs only itself."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import Error, connection

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.rebuilding import rebuild
from auditrepr.job.rebuilding.selection import Selection
from auditrepr.models import AuditLog, ReprFailure, StopReason
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.capturing import sql
from tests.running import run, texts

pytestmark = pytest.mark.django_db(transaction=True)

# Nothing to compress, and more than fits into an index or below the limit.
LONG = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=50_000))


@pytest.fixture
def refuse_long(settings) -> Iterator[None]:
    """One of three authors says more than the database takes."""
    settings.AUDITREPR = {
        "MAX_LENGTH": 100_000,
        "REPR": {"app.author": lambda author: LONG if author.name == "long" else author.name},
    }
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=name) for name in ("before", "long", "after"))
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        before = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 40_000)
        yield
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
    else:
        sql("CREATE INDEX of_the_project ON auditrepr_instancerepr (instance_repr)")
        yield
        sql("DROP INDEX IF EXISTS of_the_project")


@pytest.mark.usefixtures("refuse_long")
def test_a_text_that_the_database_rejects_fails_and_stops_no_other():
    result = run()
    assert (result.stop_reason, result.rows, result.failures) == (StopReason.CAUGHT_UP, 2, 1)
    assert texts() == ["before", "after"]
    entry = ReprFailure.objects.get()
    assert entry.message in result.first_failure
    assert "too big" in entry.message or "maximum size" in entry.message
    assert not AuditLog.objects.pending().exists()


@pytest.mark.usefixtures("refuse_long")
def test_next_to_one_that_could_not_be_built(settings):
    Author.objects.create(name="")
    said = settings.AUDITREPR["REPR"]["app.author"]
    failing = {"app.author": lambda author: said(author) if author.name else 1 / 0}
    settings.AUDITREPR = settings.AUDITREPR | {"REPR": failing}
    assert (run().failures, texts()) == (2, ["before", "after"])
    assert ReprFailure.objects.filter(error_class="ZeroDivisionError").count() == 1


@pytest.mark.usefixtures("refuse_long")
def test_it_is_stored_once_the_database_takes_it():
    run()
    call_command("backfill_reprs", "--retry-failed", verbosity=0)
    assert ReprFailure.objects.get().attempts == 2
    if connection.vendor == "sqlite":
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10**6)
    else:
        sql("DROP INDEX of_the_project")
    call_command("backfill_reprs", "--retry-failed", verbosity=0)
    assert texts() == ["before", LONG, "after"]
    assert not ReprFailure.objects.exists()


@pytest.mark.usefixtures("refuse_long")
def test_a_rebuilt_text_that_is_rejected_leaves_the_stored_one(settings):
    settings.AUDITREPR |= {"REPR": {"app.author": lambda author: f"{author.name}?"}}
    run()
    chosen = {"app.author": lambda author: LONG if author.name == "long" else author.name}
    settings.AUDITREPR |= {"REPR": chosen}
    result = rebuild.run("default", Selection(), lock=DatabaseLock("default"))
    assert (result.stop_reason, result.rows, result.failures) == (StopReason.CAUGHT_UP, 2, 1)
    assert texts() == ["before", "long?", "after"]


@pytest.mark.postgresql
def test_a_constraint_of_the_projects_own_is_about_a_value():
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=name) for name in ("fine", "forbidden"))
    sql(
        "ALTER TABLE auditrepr_instancerepr ADD CONSTRAINT own CHECK (instance_repr <> 'forbidden')"
    )
    try:
        assert (run().rows, texts()) == (1, ["fine"])
    finally:
        sql("ALTER TABLE auditrepr_instancerepr DROP CONSTRAINT own")


@pytest.mark.proof
def test_an_error_that_is_about_no_value_is_no_rows_fault():
    with pytest.raises(Error) as raised:
        sql("SELECT * FROM there_is_no_such_table")
    assert not get_vendor("default").refuses_value(raised.value)
    AuditLog.objects.all().delete()
    Author.objects.create(name="ann")
    sql("ALTER TABLE auditrepr_instancerepr RENAME COLUMN reason TO another")
    try:
        result = run()
    finally:
        sql("ALTER TABLE auditrepr_instancerepr RENAME COLUMN another TO reason")
    assert (result.stop_reason, ReprFailure.objects.count()) == (StopReason.ERROR, 0)
    assert run().rows == 1
