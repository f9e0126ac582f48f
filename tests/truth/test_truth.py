"""Tests on random histories that what is stored is what ``str(instance)`` was at the event.

``make truth EXAMPLES=100_000`` runs more of it.
"""

from __future__ import annotations

import sys

import pytest
from django.db import connection
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from auditrepr.models import AuditLog
from tests.app.models import Author
from tests.oracle import HISTORIES
from tests.sizes import examples
from tests.truth.world import (
    LEADS_NOWHERE,
    World,
    seen,
)


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_every_exact_representation_is_the_text_at_the_event():
    seen.clear()
    run_state_machine_as_test(
        World,
        settings=settings(HISTORIES, **examples(quick=5, full=100, named="TRUTH_EXAMPLES")),
    )
    sys.stderr.write(f"\n{connection.display_name}: {dict(seen)}\n")
    assert seen["exact"] > 10 * seen["examples"], "the machine hardly changes anything"


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_what_refers_to_something_that_was_deleted_before_it_is_doubted_and_the_reason_named():
    """Django deletes an author before its books, for theirs is a key that may be null."""
    seen.clear()
    world = World()
    world.populate(1)
    books = AuditLog.objects.filter(table_name="app_book", action=AuditLog.Action.DELETE)
    world.delete(0, Author)
    deleted = [row.pk for row in books]
    assert {world.oracle.expected[pk] for pk in deleted} == LEADS_NOWHERE
    world.teardown()
    assert seen["mixed, deleted"] == len(deleted) == 2
