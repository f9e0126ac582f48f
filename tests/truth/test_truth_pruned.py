"""Tests random histories on a log of which a part was pruned."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Q
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.retention import prune
from auditrepr.models import AuditLog, Checkpoint, Coverage, InstanceRepr, ReprFailure
from auditrepr.vendors.types import BEGINNING
from tests.oracle import HISTORIES
from tests.sizes import examples
from tests.truth.world import World, seen

#: Entries of RETENTION: a model, one with a many-to-many table, that table, an app, and the rest.
ENTRIES = ["app.Author", "app.Order", "app.Order_labels", "app.*", "*"]
#: Up to which percent of the log, whether with what is there, and in which way.
How = tuple[int, bool, dict[str, Any]]
HOW: st.SearchStrategy[How] = st.tuples(
    st.integers(0, 100),
    st.booleans(),
    st.fixed_dictionaries({"keep_last": st.booleans(), "batch_size": st.integers(1, 9)}),
)


class PrunedWorld(World):
    """Old events go at odd moments; in the end, all that is left is built anew."""

    def __init__(self) -> None:
        super().__init__()
        self.at_the_end: How = (0, False, {})
        Coverage.objects.update(pruned_id=BEGINNING, pruned_transaction_id=None)

    @initialize(how=HOW)
    def settle(self, how: How) -> None:
        """How it is pruned at the end."""
        self.at_the_end = how

    @rule(how=HOW)
    def prune(self, how: How) -> None:
        """Up to one of the events, or with it and what came at the same time."""
        if self.blocks:
            return
        share, with_it, options = how
        times = list(AuditLog.objects.order_by("pk").values_list("occurred_at", flat=True))
        if times:
            until = times[(len(times) - 1) * share // 100] + timedelta(milliseconds=with_it)
            done = prune.prune("default", until, lock=DatabaseLock("default"), **options)
            seen["pruned"] += done.events

    @rule(kept=st.dictionaries(st.sampled_from(ENTRIES), st.integers(0, 100), min_size=1), how=HOW)
    def retain(self, kept: dict[str, int], how: How) -> None:
        """Of each entry's tables up to one of the log's events."""
        times = list(AuditLog.objects.order_by("pk").values_list("occurred_at", flat=True))
        if self.blocks or not times:
            return
        *_, options = how
        cutoffs = {entry: times[(len(times) - 1) * share // 100] for entry, share in kept.items()}
        done = prune.prune("default", cutoffs, lock=DatabaseLock("default"), **options)
        seen["pruned by entry"] += done.events

    def teardown(self) -> None:
        super().teardown()
        self.prune(self.at_the_end)
        for model in (InstanceRepr, ReprFailure, Checkpoint):
            model.objects.all().delete()
        call_command("backfill_reprs", verbosity=0)
        self.check()

    def check_failure(self, row: AuditLog, said: str, failure: ReprFailure) -> None:
        """Which object had a key once is told by events that may be gone."""
        if not (reaches_back(row) and failure.error_class.endswith("DoesNotExist")):
            super().check_failure(row, said, failure)

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        if reaches_back(row) and any(reason.endswith(" were pruned") for reason in reasons):
            seen["mixed, pruned"] += 1
        else:
            super().check_doubts(row, said, reasons)


def reaches_back(row: AuditLog) -> bool:
    """Is it from before the end of what was pruned, or of a transaction that is cut in two?"""
    pruned = Q(pruned_id__gte=row.pk) | Q(pruned_transaction_id=row.transaction_id)
    return Coverage.objects.filter(pruned).exists()


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_every_exact_representation_is_true_whatever_was_pruned():
    seen.clear()
    run_state_machine_as_test(
        PrunedWorld,
        settings=settings(HISTORIES, **examples(quick=4, full=25, named="TRUTH_EXAMPLES")),
    )
    sys.stderr.write(f"\n{connection.display_name}, pruned: {dict(seen)}\n")
    assert seen["exact"] > seen["examples"]
    assert seen["pruned"]
    assert seen["pruned by entry"]
    assert seen["mixed, pruned"]
