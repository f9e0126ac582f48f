"""Tests random histories with gaps in capture: nothing exact is untrue, and exactness returns."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from auditrepr import capture
from auditrepr.models import (
    AuditLog,
    Checkpoint,
    Coverage,
    Fidelity,
    InstanceRepr,
    ReprFailure,
)
from auditrepr.utils.table_names import log_name
from auditrepr.vendors import get_vendor
from tests.app.models import Author, Book
from tests.app.relations import Label, Order
from tests.oracle import HISTORIES
from tests.sizes import examples
from tests.truth.world import MODELS, NAME, NUMBER, World, seen

TABLES = sorted(
    log_name(model._meta.db_table) for model in [*MODELS, Order.labels.through, Book.tags.through]
)
#: What happens while nobody looks, with a name and a number.
UNSEEN: dict[str, Any] = {
    "authors change": lambda world, name, number: world.update_authors(name, 0),
    "orders change": lambda world, name, number: world.update_orders(name),
    "lines move": lambda world, name, number: world.move_lines(number),
    "lines change": lambda world, name, number: world.raw_sql(number),
    "an author comes": lambda world, name, number: world.new_author(name),
    "an order comes": lambda world, name, number: world.new_order(name, number),
    "a line comes": lambda world, name, number: world.new_line(name, number, number, False),
    "labels": lambda world, name, number: world.change_labels(number, 0, remove=False),
    "no labels": lambda world, name, number: world.change_labels(number, 0, remove=True),
    "an author goes": lambda world, name, number: world.delete(number, Author),
    "an order goes": lambda world, name, number: world.delete(number, Order),
    "a label goes": lambda world, name, number: world.delete(number, Label),
    "a key changes": lambda world, name, number: world.rekey(name, "e"),
    "the job runs": lambda world, name, number: world.run_the_job(),
}
#: What is lost, how the gap ends, and what happens in it.
Gap = tuple[list[str], bool, list[tuple[str, str, int]]]
GAP: st.SearchStrategy[Gap] = st.tuples(
    st.lists(st.sampled_from(TABLES), min_size=1, max_size=6, unique=True),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(sorted(UNSEEN)), NAME, NUMBER), max_size=4),
)


class GappyWorld(World):
    """Some tables lose their triggers, are changed, and get them back; the end is built anew."""

    def __init__(self) -> None:
        super().__init__()
        capture.install("default")

    @initialize(number=NUMBER, gap=GAP)
    def populate(self, number: int, gap: Gap) -> None:
        super().populate(number)
        self.gap(gap)
        seen["begun"] += 1

    @rule(gap=GAP)
    def gap(self, gap: Gap) -> None:
        tables, noted, changes = gap
        while self.blocks:
            self.commit()
        vendor = get_vendor("default")
        scripts = [s for s in capture.inspect("default") if s.name in tables]
        vendor.execute([sql for one in scripts for sql in vendor.remove_sql(one.name)])
        if noted:
            capture.note_gaps("default")
        for what, name, number in changes:
            UNSEEN[what](self, name, number)
        capture.install("default")
        seen["gaps"] += 1

    def teardown(self) -> None:
        super().teardown()
        for model in (InstanceRepr, ReprFailure, Checkpoint):
            model.objects.all().delete()
        call_command("backfill_reprs", verbosity=0)
        self.check()

    def check(self) -> None:
        rows = Coverage.objects.filter(table_name__in=TABLES)
        self.since = dict(rows.values_list("table_name", "since_event"))
        super().check()
        again = InstanceRepr.objects.filter(pk__gt=max(self.since.values()))
        seen["exact again"] += again.filter(fidelity=Fidelity.EXACT).count()

    def check_failure(self, row: AuditLog, said: str, failure: ReprFailure) -> None:
        """Where a row may be missing, str() may fail that did not."""
        if row.pk > max(self.since.values()):
            super().check_failure(row, said, failure)
            seen["failed, after a gap"] += 1

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        gaps = [table for table in TABLES if f"capture of {table} was interrupted" in str(reasons)]
        if gaps:
            assert all(row.pk <= self.since[table] for table in gaps), (row, said, reasons)
            seen["mixed, gap"] += 1
        else:
            super().check_doubts(row, said, reasons)


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_every_exact_representation_is_true_whatever_capture_has_missed():
    seen.clear()
    run_state_machine_as_test(
        GappyWorld,
        settings=settings(HISTORIES, **examples(quick=2, full=20, named="TRUTH_EXAMPLES")),
    )
    sys.stderr.write(f"\n{connection.display_name}, with gaps: {dict(seen)}\n")
    assert seen["exact"] > seen["examples"]
    # Each history that has begun begins with a gap; whether it has more is left to chance, and
    # Hypothesis gives up some examples before they have begun.
    assert seen["gaps"] >= seen["begun"] > 0
    assert seen["exact again"]
    assert seen["mixed, gap"]
