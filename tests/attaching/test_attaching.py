"""Tests a log that is attached to another one: what it reads, and what the job stores for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command

from auditrepr.models import AuditLog, InstanceRepr
from tests.app.models import Author, Book
from tests.attaching.attached import attach, command, detach, kind
from tests.capturing import sql
from tests.job.test_import_tables import TABLES, recorded, story
from tests.running import run
from tests.table_logs import ALL, TableLog

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

ATTACHABLE = ("supa_audit",)


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[TableLog]:
    """One of the logs, which records from now on."""
    chosen = ALL[request.param]
    sql("CREATE EXTENSION IF NOT EXISTS hstore")
    chosen.create()
    chosen.record(TABLES)
    AuditLog.objects.all().delete()
    yield chosen
    detach()
    chosen.drop()


def each(*names: str) -> Any:
    return pytest.mark.parametrize("log", names or ATTACHABLE, indirect=True)


@each()
def test_events_are_what_our_triggers_have_seen(log: TableLog) -> None:
    story()
    seen = recorded()
    told = attach(log.source)
    assert f"Attached the audit log to audit.{log.table}" in told
    assert kind() == "v"
    assert recorded() == seen


@each()
def test_an_objects_own_values_are_exact_and_what_it_refers_to_is_mixed(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    Book.objects.create(title="Go", author=Author.objects.get())
    attach(log.source)
    Author.objects.update(name="Bea")  # recorded by the other log alone
    run()
    stored = InstanceRepr.objects.order_by("pk").values_list("instance_repr", "fidelity")
    assert list(stored) == [("Ann", "E"), ("Go (Ann)", "M"), ("Bea", "E")]


@each()
def test_detaching_leads_back_to_a_log_of_our_own(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    attach(log.source)
    run()
    assert "Detached the audit log" in command("detach")
    assert (kind(), AuditLog.objects.count(), InstanceRepr.objects.count()) == ("r", 0, 0)
    Author.objects.create(name="Bea")
    run()
    assert InstanceRepr.objects.get().instance_repr == "Bea"
    call_command("audit_triggers", "check", verbosity=0)
