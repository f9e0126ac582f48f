"""Tests random histories whose ``__str__`` queries the database freely."""

from __future__ import annotations

import sys

import pytest
from django.db import connection
from hypothesis.stateful import run_state_machine_as_test

from tests.oracle import HISTORIES
from tests.truth.asking import Asking
from tests.truth.world import seen


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_free_queries_answer_as_of_the_event():
    seen.clear()
    run_state_machine_as_test(Asking, settings=HISTORIES)
    sys.stderr.write(f"\n{connection.display_name}: {dict(seen)}\n")
    assert seen["exact"] > 20 * seen["examples"]
