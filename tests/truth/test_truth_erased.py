"""Tests random histories on a log that was erased in, sealed and pruned at odd moments."""

from __future__ import annotations

import sys

import pytest
from django.db import connection
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from auditrepr.job.seals import sealing
from tests.oracle import HISTORIES
from tests.sizes import examples
from tests.truth.erasing import ErasedWorld
from tests.truth.world import seen


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_every_exact_representation_is_true_whatever_was_erased(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealing, "EVENTS", 7)
    seen.clear()
    run_state_machine_as_test(
        ErasedWorld,
        settings=settings(HISTORIES, **examples(quick=5, full=25, named="TRUTH_EXAMPLES")),
    )
    sys.stderr.write(f"\n{connection.display_name}, erased: {dict(seen)}\n")
    assert seen["exact"] > seen["examples"]
    assert seen["erased"]
    assert seen["verified"]
    assert seen["mixed, erased"]
