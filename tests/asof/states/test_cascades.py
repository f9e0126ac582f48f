"""Tests events of rows that the database's own foreign keys change in the same statement."""

from contextlib import nullcontext

import pytest
from django.db import connection, models, transaction

from auditrepr import capture
from auditrepr.models import AuditLog, Coverage, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.cascades import MODELS, Base, Guest, Part, created
from tests.capturing import sql
from tests.oracle import Oracle

pytestmark = pytest.mark.django_db(transaction=True)

WAYS = [False] + [True] * hasattr(models, "DB_CASCADE")


@pytest.fixture(autouse=True, params=WAYS, ids=["SQL", "Django"][: len(WAYS)])
def _tables(request, settings):
    settings.AUDITREPR = {"MODELS": [model._meta.label for model in MODELS]}
    with created(by_django=request.param):
        capture.install("default")
        AuditLog.objects.all().delete()
        yield
    AuditLog.objects.all().delete()
    Coverage.objects.filter(table_name__in=[m._meta.db_table for m in MODELS]).delete()


def fill():
    """Three levels, all of which lean on the first."""
    first = Base.objects.create(name="first")
    top = Base.objects.create(name="top")
    under = Base.objects.create(name="under", boss=top)
    low = Base.objects.create(name="low", boss=under)
    for base in (top, under, low):
        part = Part.objects.create(name=f"p{base.name}", base=base, other=top)
        Guest.objects.create(name=f"g{base.name}", base=base, part=part)
    Part.objects.create(name="stays", base=first, other=low)


STATEMENTS = {
    "all below go": ["DELETE FROM app_base WHERE name = 'top'"],
    "one level goes": ["DELETE FROM app_base WHERE name = 'low'"],
    "several at once": ["DELETE FROM app_base WHERE name IN ('low', 'under')"],
    "parts go": ["DELETE FROM app_part WHERE name <> 'stays'"],
    "changes around it": [
        "UPDATE app_base SET rank = rank + 1",
        "DELETE FROM app_base WHERE name = 'low'",
        "UPDATE app_part SET rank = rank + 1",
        "UPDATE app_base SET rank = rank + 1",
        "DELETE FROM app_base WHERE name = 'top'",
        "UPDATE app_part SET rank = rank + 1",
        "UPDATE app_guest SET name = 'x'",
    ],
}


@pytest.mark.proof
@pytest.mark.parametrize("in_one", [False, True])
@pytest.mark.parametrize("statements", STATEMENTS.values(), ids=STATEMENTS)
def test_what_the_databases_own_foreign_keys_do_is_never_untrue(statements, in_one):
    oracle = Oracle(MODELS)
    with oracle.listening(), transaction.atomic() if in_one else nullcontext():
        fill()
        for statement in statements:
            sql(statement)
    events = AuditLog.objects.filter(pk__in=oracle.expected).order_by("pk")
    outcomes = build([Event.of(event) for event in events], "default")
    exact = [outcome for outcome in outcomes if outcome.fidelity == Fidelity.EXACT]
    untrue = [
        (o.id, oracle.expected[o.id], o.text) for o in exact if o.text != oracle.expected[o.id]
    ]
    assert not untrue
    assert AuditLog.objects.filter(action="D").exists()
    if connection.vendor == "postgresql":
        assert {o.id for o in outcomes[:11]} <= {o.id for o in exact}
