"""Tests random histories of which another log has recorded the first part."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test

from auditrepr.models import AuditLog, Checkpoint, Import, InstanceRepr, ReprFailure
from tests.oracle import HISTORIES
from tests.sizes import examples
from tests.truth.recorders import RECORDERS, Recorder
from tests.truth.world import World, seen
from tests.two_logs import FIELDS, by_object


class ImportedWorld(World):
    """At some moment auditrepr begins; what was before is in another log, and comes later."""

    recorder: Recorder

    def __init__(self) -> None:
        super().__init__()
        self.recorder.empty()
        Import.objects.all().delete()
        self.before: dict[int, str] = {}  # what was said at each event that was recorded twice
        self.own: list[Any] = []  # and what auditrepr has recorded of it
        self.steps = 0
        self.after = 0
        self.batch_size = 1

    @initialize(after=st.integers(3, 20), batch_size=st.integers(1, 9))
    def settle(self, after: int, batch_size: int) -> None:
        """When auditrepr begins, and how the rest is imported at the end."""
        self.after = after
        self.batch_size = batch_size

    @invariant()
    def switch(self) -> None:
        """Once: what is recorded so far is another log's."""
        self.steps += 1
        if self.blocks or self.before or not 0 < self.after < self.steps:
            return
        self.own = list(AuditLog.objects.order_by("pk").values_list("pk", *FIELDS))
        self.recorder.switch()
        for model in (InstanceRepr, ReprFailure, Checkpoint):
            model.objects.all().delete()
        self.before = dict(self.oracle.expected)
        self.oracle.expected.clear()

    def teardown(self) -> None:
        super().teardown()  # the job has stored all of our own events, and they are as ever
        if not self.before:
            return
        self.recorder.bring(self.batch_size)
        self.oracle.expected |= {
            pk: self.before[own] for pk, own in self.twins() if own in self.before
        }
        InstanceRepr.objects.filter(pk__gt=Import.objects.get().last_id).delete()
        call_command("backfill_reprs", verbosity=0)
        self.check()

    def twins(self) -> list[tuple[int, int]]:
        """Return the imported events, each with the one that auditrepr has recorded of it.

        They are the same. Only updates that change nothing are not in auditrepr's log.
        """
        imported = AuditLog.objects.filter(context__imported_from__in=self.recorder.sources)
        events = [
            event
            for event in imported.order_by("pk").values_list("pk", *FIELDS)
            if event[4] != "U" or event[6]
        ]
        # The order of the rows of one statement may differ, but not that of an object's events.
        pairs = list(zip(*map(by_object, (events, self.own)), strict=True))
        assert [event[1:] for event, _ in pairs] == [own[1:] for _, own in pairs]
        return [(event[0], own[0]) for event, own in pairs]

    def check_failure(self, row: AuditLog, said: str, failure: ReprFailure) -> None:
        if was_imported(row):
            seen["imported, failed"] += 1
        else:
            super().check_failure(row, said, failure)

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        """Our own events are doubted for no other reason than without an import."""
        if was_imported(row):
            seen["imported, mixed"] += 1
            text = InstanceRepr.objects.get(pk=row.pk).instance_repr
            seen["imported, mixed, as it was"] += text == said
        else:
            super().check_doubts(row, said, reasons)

    def check(self) -> None:
        super().check()
        imported = InstanceRepr.objects.filter(
            audit_log__context__imported_from__in=self.recorder.sources
        )
        seen["imported, exact"] += imported.filter(fidelity="E").count()


def was_imported(row: AuditLog) -> bool:
    return bool(row.context and "imported_from" in row.context)


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "name",
    [
        "ours",
        pytest.param("supa_audit", marks=pytest.mark.postgresql),
        pytest.param("logged_actions", marks=pytest.mark.postgresql),
        pytest.param("logged_actions, first", marks=[pytest.mark.postgresql, pytest.mark.proof]),
        pytest.param("pg-audit-json", marks=[pytest.mark.postgresql, pytest.mark.proof]),
        pytest.param("two logs", marks=[pytest.mark.postgresql, pytest.mark.proof]),
    ],
)
def test_every_exact_representation_is_true_whenever_auditrepr_began(name: str) -> None:
    recorder = RECORDERS[name]
    tried = examples(quick=3, full=20, named="TRUTH_EXAMPLES")
    if name != "ours":
        tried = examples(quick=2, full=20, named="TRUTH_EXAMPLES")
    seen.clear()
    recorder.create()
    try:
        run_state_machine_as_test(
            type("Imported", (ImportedWorld,), {"recorder": recorder}),
            settings=settings(HISTORIES, **tried),
        )
    finally:
        recorder.drop()
    sys.stderr.write(f"\n{connection.display_name}, imported from {name}: {dict(seen)}\n")
    assert seen["imported, exact"]
    assert seen["imported, mixed"]
    assert seen["exact"] > seen["examples"]
