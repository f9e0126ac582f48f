"""Random changes of every kind, and objects that are erased, in a log that is sealed and pruned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.db.models import Model
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.retention import prune
from auditrepr.job.seals import chain, export, sealing
from auditrepr.models import (
    AuditLog,
    Checkpoint,
    Coverage,
    Erasure,
    InstanceRepr,
    ReprFailure,
    SealEntry,
)
from auditrepr.utils.table_names import log_name
from auditrepr.vendors.types import BEGINNING
from tests.erasing import erased
from tests.oracle import Raised
from tests.sealing import verify
from tests.truth.world import MODELS, NAME, NUMBER, World, seen

#: Of which model, which of its objects, and a text that goes everywhere.
What = tuple[type[Model], int, frozenset[str], bool]
WHAT: st.SearchStrategy[What] = st.tuples(
    st.sampled_from(MODELS), NUMBER, st.frozensets(NAME, max_size=1), st.booleans()
)


class ErasedWorld(World):
    """Objects are erased at odd moments; in the end, all is built anew from what is left."""

    def __init__(self) -> None:
        super().__init__()
        for model in (SealEntry, Erasure):
            model.objects.all().delete()
        Coverage.objects.update(pruned_id=BEGINNING, pruned_transaction_id=None)
        self.at_the_end: list[What] = []
        self.kept: list[export.Kept] = []

    @initialize(what=st.lists(WHAT, min_size=1, max_size=3))
    def settle(self, what: list[What]) -> None:
        """What is erased at the end."""
        self.at_the_end = what

    @rule(what=WHAT)
    def erase(self, what: What) -> None:
        model, number, also, small = what
        table = log_name(model._meta.db_table)
        events = AuditLog.objects.filter(table_name=table).exclude(object_id=None)
        keys = sorted({key for key in events.values_list("object_id", flat=True) if key[0] != "["})
        if self.blocks or not keys:
            return
        options: dict[str, Any] = {"batch_size": 2} if small else {}
        done = erased(model, keys[number % len(keys)], current=True, also=also, **options)
        seen["erased"] += done.record.events

    @rule()
    def seal(self) -> None:
        if self.blocks:
            return
        call_command("backfill_reprs", verbosity=0)
        with DatabaseLock("default") as lock:
            sealing.seal("default", lock, lambda progress: None, lambda: False)
        self.kept = [export.Kept(e.number, bytes(e.digest).hex()) for e in chain.walk("default")]

    @rule(share=st.integers(0, 60), keep_last=st.booleans())
    def prune(self, share: int, keep_last: bool) -> None:
        times = list(AuditLog.objects.order_by("pk").values_list("occurred_at", flat=True))
        if times and not self.blocks:
            until = times[(len(times) - 1) * share // 100] + timedelta(milliseconds=1)
            lock = DatabaseLock("default")
            seen["pruned"] += prune.prune("default", until, lock=lock, keep_last=keep_last).events

    def teardown(self) -> None:
        super().teardown()
        for what in self.at_the_end:
            self.erase(what)
        if self.kept:
            assert verify(against=self.kept).differences == []
            seen["verified"] += 1
        self.check()
        for model in (InstanceRepr, ReprFailure, Checkpoint):
            model.objects.all().delete()
        call_command("backfill_reprs", verbosity=0)
        self.check()

    def check_failure(self, row: AuditLog, said: str, failure: ReprFailure) -> None:
        """What could not be built was not there then, or what tells it may have been pruned."""
        assert isinstance(said, Raised) or seen["pruned"], (row, said, failure)
        seen["failed"] += 1

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        if any("erased on " in reason for reason in reasons):
            seen["mixed, erased"] += 1
        else:
            seen["mixed"] += 1
