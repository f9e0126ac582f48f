"""A model whose own code breaks while an instance is made: it costs its own row."""

from __future__ import annotations

import pytest
from django.db import connection

from auditrepr.models import AuditLog, Fidelity
from auditrepr.representation import Event, Outcome, build
from tests.app.hostile import ERRORS, HOSTILE, LEADING, HostileFromDb

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_log():
    AuditLog.objects.all().delete()


def insert(model, **values) -> None:
    """By SQL: the model itself would refuse."""
    columns = ", ".join(values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({columns})"
            f" VALUES ({', '.join(['%s'] * len(values))})",
            list(values.values()),
        )


def outcomes() -> list[Outcome]:
    return build([Event.of(row) for row in AuditLog.objects.order_by("id")], "default")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("model", HOSTILE)
def test_it_costs_its_own_row(model, error):
    for pk, name in enumerate(["a", error, "b"]):
        insert(model, id=pk, name=name)
    first, bad, last = outcomes()
    assert (first.text, last.text) == ("a", "b")
    assert {first.fidelity, last.fidelity} == {Fidelity.EXACT}
    assert bad.failure is not None
    assert error in bad.failure.error_class + bad.failure.message


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("model", HOSTILE)
def test_what_leads_to_it_fails_alone_and_never_shows_todays_row(model, error):
    for pk, name in enumerate(["a", error, "b"]):
        insert(model, id=pk, name=name)
    for pk in range(3):
        insert(LEADING[model], id=pk, to_id=pk)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model._meta.db_table} SET name = 'today'")
    first, bad, last = outcomes()[3:6]
    assert (first.text, last.text) == ("to a", "to b")
    assert bad.failure is not None, bad.text
    assert error in bad.failure.error_class + bad.failure.message


def test_what_is_no_instance_at_all_costs_its_own_row():
    for pk, name in enumerate(["a", "None", "b"]):
        insert(HostileFromDb, id=pk, name=name)
    first, bad, last = outcomes()
    assert (first.text, last.text) == ("a", "b")
    assert bad.failure is not None
