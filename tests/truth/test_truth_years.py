"""A log as after years: partitioned, pruned, erased in and sealed at odd moments, and verified.

No lawful change is ever reported, also against an export of long ago; one that is not always is.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.partitions import making
from auditrepr.job.seals import chain, export, sealing, verifying
from auditrepr.job.seals.regions import Regions
from auditrepr.models import AuditLog
from auditrepr.vendors import get_vendor
from tests.oracle import HISTORIES
from tests.sealing import ids, swap, verify
from tests.sizes import FIRST_ID, examples
from tests.truth.erasing import ErasedWorld
from tests.truth.world import seen

#: Event IDs in a partition.
SIZE = 10
WAYS = ("delete", "change", "insert", "swap", "forget who")


class Years(ErasedWorld):
    """An erased world whose log is partitioned some time, and verified again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.exports: list[list[export.Kept]] = []
        self.way, self.place = WAYS[seen["examples"] % len(WAYS)], 0

    @initialize(place=st.integers(0, 10_000))
    def choose(self, place: int) -> None:
        """Where the log is changed in the end."""
        self.place = place

    @rule()
    def seal(self) -> None:
        super().seal()
        if self.kept and not self.blocks:
            self.exports.append(self.kept)

    @rule()
    def partition(self) -> None:
        vendor = get_vendor("default")
        if connection.vendor == "postgresql" and not self.blocks and not vendor.log_partitions():
            making.partition("default", size=SIZE, lock=DatabaseLock("default"))

    @rule(share=st.integers(0, 60), keep_last=st.booleans())
    def year(self, share: int, keep_last: bool) -> None:
        """Seal, and prune what is old; the first time, what is left is partitioned."""
        self.seal()
        self.prune(share, keep_last)
        self.partition()

    @rule(number=st.integers(0, 10_000))
    def verify(self, number: int) -> None:
        if self.exports and not self.blocks:
            against = self.exports[number % len(self.exports)]
            assert verify(against=against).differences == []
            seen["verified"] += 1

    def teardown(self) -> None:
        super().teardown()
        self.year(40, keep_last=bool(self.place % 2))
        self.seal()
        self.check()
        for number in range(len(self.exports)):
            self.verify(number)
        if self.exports and self._tamper():
            found = verify(against=self.exports[-1])
            assert found.differences, (self.way, self.place)
            seen[f"found: {self.way}"] += 1

    def _tamper(self) -> bool:
        """Change a sealed event, as nobody may; return whether there is one."""
        regions = Regions("default")
        sealed = [
            pk
            for pk in range(FIRST_ID, chain.sealed_upto("default") + 1)
            if any(a < pk <= b for entry in chain.ranges("default") for a, b in regions.of(entry))
        ]
        there = sorted(set(ids()) & set(sealed))
        gaps = sorted(set(sealed) - set(there))
        places = gaps if self.way == "insert" else there
        if len(places) < 2:
            return False
        pk = places[self.place % len(places)]
        events = AuditLog.objects.filter(pk=pk)
        if self.way == "insert":
            AuditLog.objects.create(id=pk, table_name="t", action="U", occurred_at=timezone.now())
        elif self.way == "delete":
            events.delete()
        elif self.way == "swap":
            swap(pk, places[self.place % len(places) - 1])
        elif self.way == "change":
            events.update(occurred_at=events.get().occurred_at + timedelta(microseconds=1))
        else:
            events.update(context={"user": "nobody", "n": self.place})
        return True


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_only_what_is_unlawful_is_reported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealing, "EVENTS", 7)
    monkeypatch.setattr(verifying, "EVENTS", 20)
    seen.clear()
    run_state_machine_as_test(
        Years,
        settings=settings(HISTORIES, **examples(quick=2, full=20, named="TRUTH_EXAMPLES")),
    )
    sys.stderr.write(f"\n{connection.display_name}, years: {dict(seen)}\n")
    assert seen["exact"] > seen["examples"]
    assert seen["verified"]
    assert any(name.startswith("found: ") for name in seen)
    assert seen["pruned"]
    assert connection.vendor != "postgresql" or get_vendor("default").log_partitions()
