"""Tests random histories of which another log has recorded the first part."""

from __future__ import annotations

import sys

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test

from auditrepr.models import AuditLog, Checkpoint, Import, InstanceRepr, ReprFailure
from tests import old_log
from tests.capturing import sql
from tests.oracle import HISTORIES
from tests.sizes import examples
from tests.truth.world import World, seen


class ImportedWorld(World):
    """At some moment auditrepr begins; what was before is in another log, and comes later."""

    def __init__(self) -> None:
        super().__init__()
        old_log.create()
        Import.objects.all().delete()
        self.before: dict[int, str] = {}  # what was said at each event of the old log
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
        old_log.switch()
        for model in (InstanceRepr, ReprFailure, Checkpoint):
            model.objects.all().delete()
        self.before = dict(self.oracle.expected)
        self.oracle.expected.clear()

    def teardown(self) -> None:
        super().teardown()  # the job has stored all of our own events, and they are as ever
        if not self.before:
            return
        with override_settings(AUDITREPR=old_log.SOURCES):
            call_command("import_audit_log", "ours", batch_size=self.batch_size, verbosity=0)
        numbers = [number for (number,) in sql("SELECT number FROM old_log ORDER BY number")]
        ids = AuditLog.objects.filter(context__imported_from="ours").order_by("pk")
        places = zip(numbers, ids.values_list("pk", flat=True), strict=True)
        self.oracle.expected |= {
            pk: self.before[number] for number, pk in places if number in self.before
        }
        InstanceRepr.objects.filter(pk__gt=Import.objects.get().last_id).delete()
        call_command("backfill_reprs", verbosity=0)
        self.check()

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
        imported = InstanceRepr.objects.filter(audit_log__context__imported_from="ours")
        seen["imported, exact"] += imported.filter(fidelity="E").count()


def was_imported(row: AuditLog) -> bool:
    return bool(row.context and "imported_from" in row.context)


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_every_exact_representation_is_true_whenever_auditrepr_began():
    seen.clear()
    try:
        run_state_machine_as_test(
            ImportedWorld,
            settings=settings(HISTORIES, **examples(quick=5, full=30, named="TRUTH_EXAMPLES")),
        )
    finally:
        old_log.drop()
    sys.stderr.write(f"\n{connection.display_name}, imported: {dict(seen)}\n")
    assert seen["imported, exact"]
    assert seen["imported, mixed"]
    assert seen["exact"] > seen["examples"]
