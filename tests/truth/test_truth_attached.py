"""Tests random histories of which another log is read, that has recorded the same as ours."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from auditrepr.models import AuditLog, InstanceRepr, ReprFailure
from tests.attaching.attached import attach, detach
from tests.oracle import HISTORIES
from tests.sizes import examples
from tests.truth.recorders import RECORDERS, Recorder
from tests.truth.world import World, seen
from tests.two_logs import FIELDS, by_object


class AttachedWorld(World):
    """Two logs record everything; at the end, the other one is read instead of ours."""

    recorder: Recorder

    def __init__(self) -> None:
        super().__init__()
        self.recorder.empty()
        self.attached = False

    def teardown(self) -> None:
        super().teardown()  # the job has stored all of our own events
        own = list(AuditLog.objects.order_by("pk").values_list("pk", *FIELDS))
        before = dict(self.oracle.expected)
        for model in (InstanceRepr, ReprFailure):
            model.objects.all()._raw_delete("default")
        attach(*self.recorder.sources)
        try:
            self.attached = True
            self.oracle.expected.clear()
            self.oracle.expected |= {pk: before[twin] for pk, twin in twins(own) if twin in before}
            call_command("backfill_reprs", verbosity=0)
            self.check()
        finally:
            self.attached = False
            detach()

    def check_failure(self, row: AuditLog, said: str, failure: ReprFailure) -> None:
        if self.attached:
            seen["attached, failed"] += 1
        else:
            super().check_failure(row, said, failure)

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        if self.attached:
            seen["attached, mixed"] += 1
            text = InstanceRepr.objects.get(pk=row.pk).instance_repr
            seen["attached, mixed, as it was"] += text == said
        else:
            super().check_doubts(row, said, reasons)

    def check(self) -> None:
        super().check()
        if self.attached:
            seen["attached, exact"] += InstanceRepr.objects.filter(fidelity="E").count()


def twins(own: list[Any]) -> list[tuple[int, int]]:
    """Return the events of the attached log, each with the same one of ours.

    Only updates that change nothing are not in auditrepr's log.
    """
    found = AuditLog.objects.order_by("pk").values_list("pk", *FIELDS)
    events = [event for event in found if event[4] != "U" or event[6]]
    # The order of the rows of one statement may differ, but not that of an object's events.
    pairs = list(zip(*map(by_object, (events, own)), strict=True))
    assert [event[1:] for event, _ in pairs] == [ours[1:] for _, ours in pairs]
    return [(event[0], ours[0]) for event, ours in pairs]


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.parametrize(
    "name",
    [
        "supa_audit",
        pytest.param("logged_actions", marks=pytest.mark.proof),
        pytest.param("logged_actions, first", marks=pytest.mark.proof),
        pytest.param("pg-audit-json", marks=pytest.mark.proof),
    ],
)
def test_what_an_attached_log_says_exactly_is_true(name: str) -> None:
    recorder = RECORDERS[name]
    seen.clear()
    recorder.create()
    try:
        run_state_machine_as_test(
            type("Attached", (AttachedWorld,), {"recorder": recorder}),
            settings=settings(HISTORIES, **examples(quick=2, full=6, named="TRUTH_EXAMPLES")),
        )
    finally:
        detach()
        recorder.drop()
    sys.stderr.write(f"\n{connection.display_name}, attached to {name}: {dict(seen)}\n")
    assert seen["attached, exact"]
    assert seen["attached, mixed"]
