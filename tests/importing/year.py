"""A project that has run on django-pghistory for a year; the proof of its import runs it.

What it does is what docs/import.md says, and nothing else.
"""

from __future__ import annotations

import io
import re
import shlex
from collections import Counter

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from auditrepr import capture
from auditrepr.models import AuditLog, Coverage, InstanceRepr
from tests.capturing import sql
from tests.importing.trading import ALL, Belonging, City, Country, Named
from tests.pages import LOG, page
from tests.processes import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 2_000
ROUNDS = 5  # how often each row was written
COMMANDS = [
    shlex.split(line.replace("ours", "pghistory"))
    for line in re.findall(
        r"`python manage\.py (import_audit_log ours[^`]*)`",
        (ROOT / "docs" / "import.md").read_text(),
    )
]


def a_year() -> None:
    """Write every row in each round, and move the events to where they were in the year."""
    for model in ALL:
        objects = [
            model(pk=key, name=named(model, key, 0), **owned(model, key))
            for key in range(1, ROWS + 1)
        ]
        model.objects.bulk_create(objects)
    for step in range(1, ROUNDS):
        for model in ALL:
            table = model._meta.db_table
            sql(f"UPDATE {table} SET name = '{model.__name__} ' || id || ' {step}'")
    for model in ALL:
        sql(
            f"UPDATE {model._meta.db_table}event SET pgh_created_at = pgh_created_at"
            f" - interval '1 year' + interval '2 months' * ((pgh_id - 1) / {ROWS})"
        )


def named(model: type[Named], key: int, step: int) -> str:
    return f"{model.__name__} {key} {step}"


def owned(model: type[Named], key: int) -> dict[str, int]:
    return {} if model is ALL[0] else {"owner_id": key % ROWS + 1}


def said(model: type[Named], key: int, step: int) -> str:
    """Return what str() gave at the event of this round; the owner was written before."""
    if not issubclass(model, Belonging):
        return named(model, key, step)
    owner = model._meta.get_field("owner").related_model
    return f"{named(model, key, step)} of {named(owner, key % ROWS + 1, step)}"


def test_docs_lead_to_a_history_that_reaches_back_over_the_switch() -> None:
    call_command("migrate", verbosity=0)
    call_command("audit_triggers", "remove", verbosity=0)
    sql(
        "TRUNCATE "
        + ", ".join(f"{model._meta.db_table}event" for model in ALL)
        + " RESTART IDENTITY"
    )
    a_year()
    for model in (AuditLog, Coverage):
        model.objects.all().delete()
    capture.install("default")
    Country.objects.filter(pk=8).update(name="Freedonia")
    City.objects.filter(pk=7).update(name="Paris")

    preview, importing = COMMANDS
    out = io.StringIO()
    call_command(*preview, stdout=out)
    call_command(*importing, verbosity=0)
    call_command("backfill_reprs", verbosity=0)

    assert_as_it_was()
    assert_as_forecast(out.getvalue())
    assert_read_in_the_admin()


def assert_as_it_was() -> None:
    """Every text is true; what reads the own row alone is exact."""
    found: Counter[tuple[str, str]] = Counter()
    for model in ALL:
        rows = InstanceRepr.objects.filter(audit_log__table_name=model._meta.db_table, pk__lt=1)
        stored = rows.order_by("pk").values_list(
            "audit_log__object_id", "instance_repr", "fidelity"
        )
        seen: Counter[str] = Counter()
        for key, text, fidelity in stored:
            assert text == said(model, int(key), seen[key])
            seen[key] += 1
            found[model.__name__, fidelity] += 1
        assert set(seen.values()) == {ROUNDS}
        assert len(seen) == ROWS
    assert found == {
        (model.__name__, "M" if issubclass(model, Belonging) else "E"): ROWS * ROUNDS
        for model in ALL
    }
    reasons = InstanceRepr.objects.filter(pk__lt=1, fidelity="M").values_list("reason", flat=True)
    assert set(reasons.distinct()) == {
        "imported from pghistory, which does not record what a transaction saw"
    }


def assert_as_forecast(preview: str) -> None:
    assert f"Would import {ROWS * ROUNDS * len(ALL):,} events" in preview
    for model in ALL:
        expected = "mixed" if issubclass(model, Belonging) else "exact"
        line = rf"^  {model._meta.db_table} .* of the latest 20: 20 {expected}$"
        assert re.search(line, preview, re.MULTILINE), preview


def assert_read_in_the_admin() -> None:
    User.objects.filter(username="reader").delete()
    client = Client()
    client.force_login(User.objects.create_superuser("reader"))
    history = page(client, f"{LOG}object/?table_name={City._meta.db_table}&object_id=7")
    places = [history.rindex(said(City, 7, step)) for step in range(ROUNDS)]
    assert places == sorted(places)
    assert history.rindex("Paris of Freedonia") > places[-1]
