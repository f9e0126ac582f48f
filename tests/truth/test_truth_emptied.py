"""Tests random histories with truncated tables, in sets and in free queries."""

from __future__ import annotations

import sys

import pytest
from django.db import connection, models
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from auditrepr.models import AuditLog
from tests.app.models import Author, Book
from tests.app.relations import Label, Line, Order, Remark
from tests.capturing import sql
from tests.oracle import HISTORIES
from tests.sizes import examples
from tests.truth.asking import Asking
from tests.truth.world import MODELS, seen

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

EMPTIED: list[type[models.Model]] = [Author, Book, Label, Line, Order, Remark, Order.labels.through]


class Emptying(Asking):
    """Each table is known whole, for the log begins with its emptying."""

    def __init__(self) -> None:
        super().__init__()
        self.empty(MODELS)
        self.beginning = AuditLog.objects.latest("pk").pk

    def teardown(self) -> None:
        """Each history ends with an emptying: what is pending is built after it."""
        self.truncate([Line])
        super().teardown()

    def empty(self, kinds: list[type[models.Model]]) -> None:
        sql(f"TRUNCATE {', '.join(kind._meta.db_table for kind in kinds)} CASCADE")

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        if row.pk > self.beginning:
            super().check_doubts(row, said, reasons)

    @rule(kinds=st.lists(st.sampled_from(EMPTIED), min_size=1, max_size=2))
    def truncate(self, kinds: list[type[models.Model]]) -> None:
        while self.blocks:
            self.commit()
        self.empty(kinds)
        seen["emptied"] += 1

    @rule(kind=st.sampled_from(EMPTIED))
    def truncate_and_ask(self, kind: type[models.Model]) -> None:
        self.ask_all()
        self.truncate([kind])
        self.ask_all()


@pytest.mark.sized
def test_what_emptied_tables_held_is_as_it_was():
    seen.clear()
    run_state_machine_as_test(
        Emptying,
        settings=settings(HISTORIES, **examples(quick=2, full=20, named="TRUTH_EXAMPLES")),
    )
    sys.stderr.write(f"\n{connection.display_name}, emptied: {dict(seen)}\n")
    assert seen["exact"] > 20 * seen["examples"]
    assert seen["emptied"]
