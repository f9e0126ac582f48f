"""Tests random interleaved transactions: exact texts are what the event's own one could see.

``TRUTH_EXAMPLES=100000 pytest tests/truth/test_truth_concurrent.py`` runs more of it.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Model, QuerySet
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from auditrepr.models import AuditLog, Checkpoint, Fidelity, InstanceRepr, ReprFailure
from tests.app.moment import Leaf, Node, Slot
from tests.app.relations import Label, Line, Order
from tests.oracle import HISTORIES
from tests.truth.world import any_of
from tests.writers import READ_COMMITTED, REPEATABLE_READ, Writer, said

MODELS: list[type[Model]] = [Leaf, Node, Slot, Label, Line, Order]
WRITER = st.integers(0, 2)
NUMBER = st.integers(0, 5)
NAME = st.sampled_from(["a", "b", "c", "ä"])

seen: Counter[str] = Counter()  # over all examples


class Crowd(RuleBasedStateMachine):
    """Three connections whose transactions overlap, and the job in between."""

    def __init__(self) -> None:
        super().__init__()
        for model in [Order.labels.through, *MODELS]:
            QuerySet(model).delete()
        for model in (AuditLog, InstanceRepr, ReprFailure, Checkpoint):
            model.objects.all().delete()
        self.writers = [Writer(MODELS) for _ in range(3)]
        for writer in self.writers:
            writer.sql("SET lock_timeout = '20ms'")

    def teardown(self) -> None:
        try:
            for writer in self.writers:
                while writer.blocks:
                    self._commit(writer)
            call_command("backfill_reprs", verbosity=0)
            self.check()
        finally:
            for writer in self.writers:
                writer.close()

    def check(self) -> None:
        expected = said(self.writers)
        stored = InstanceRepr.objects.in_bulk()
        for row in AuditLog.objects.filter(pk__in=expected):
            representation = stored[row.pk]
            seen[representation.get_fidelity_display()] += 1
            if representation.fidelity == Fidelity.EXACT:
                assert representation.instance_repr == expected[row.pk], row
            else:
                seen[representation.reason] += 1

    def change(self, number, function) -> None:
        """Unless it would have to wait for another writer, which waits for its turn."""

        def change() -> None:
            with transaction.atomic():
                function()

        with undone_if_refused():
            self.writers[number](change)

    # --- transactions ------------------------------------------------------------------------

    @rule(writer=WRITER, isolation=st.sampled_from([READ_COMMITTED, REPEATABLE_READ]))
    def begin(self, writer, isolation):
        if len(self.writers[writer].blocks) < 2:
            self.writers[writer].begin(isolation)

    @rule(writer=WRITER)
    def commit(self, writer):
        if self.writers[writer].blocks:
            self._commit(self.writers[writer])

    def _commit(self, writer: Writer) -> None:
        with undone_if_refused():
            writer.commit()

    @rule(writer=WRITER)
    def roll_back(self, writer):
        if self.writers[writer].blocks:
            self.writers[writer].roll_back()

    @rule()
    def run_the_job(self):
        call_command("backfill_reprs", verbosity=0)

    # --- changes -----------------------------------------------------------------------------

    @rule(writer=WRITER, name=NAME, number=NUMBER)
    def new_node(self, writer, name, number):
        self.change(writer, lambda: Node.objects.create(name=name, parent=any_of(Node, number)))

    @rule(writer=WRITER, name=NAME, number=NUMBER)
    def new_leaf(self, writer, name, number):
        self.change(writer, lambda: Leaf.objects.create(name=name, node=any_of(Node, number)))

    @rule(writer=WRITER, number=NUMBER, some=NUMBER)
    def move_nodes(self, writer, number, some):
        def move():
            to = any_of(Node, number)
            Node.objects.filter(pk__gt=some).update(parent=to, rank=number)

        self.change(writer, move)

    @rule(writer=WRITER, number=NUMBER, name=NAME)
    def rename_node(self, writer, number, name):
        def rename():
            if node := any_of(Node, number):
                Node.objects.filter(pk=node.pk).update(name=name)

        self.change(writer, rename)

    @rule(writer=WRITER, number=NUMBER)
    def move_leaves(self, writer, number):
        self.change(writer, lambda: Leaf.objects.update(node=any_of(Node, number)))

    @rule(writer=WRITER, number=NUMBER, model=st.sampled_from(MODELS))
    def delete(self, writer, number, model):
        self.change(writer, lambda: (one := any_of(model, number)) and one.delete())

    @rule(writer=WRITER, name=NAME, number=NUMBER)
    def set_slot(self, writer, name, number):
        values = {"note": str(number), "next": any_name(number)}
        self.change(writer, lambda: Slot.objects.update_or_create(name=name, defaults=values))

    @rule(writer=WRITER, name=NAME, other=NAME)
    def rekey_slot(self, writer, name, other):
        def rekey():
            if not Slot.objects.filter(name=other).exists():
                Slot.objects.filter(name=name).update(name=other)

        self.change(writer, rekey)

    @rule(writer=WRITER, name=NAME, number=NUMBER)
    def new_order(self, writer, name, number):
        ref = f"{name}{number}{writer}"

        def create():
            if not Order.objects.filter(ref=ref).exists():
                Order.objects.create(ref=ref, parent=any_of(Order, number))

        self.change(writer, create)

    @rule(writer=WRITER, name=NAME, number=NUMBER)
    def new_line(self, writer, name, number):
        def create():
            if order := any_of(Order, number):
                Line.objects.create(order=order, item=name, quantity=number * 4)

        self.change(writer, create)

    @rule(writer=WRITER, number=NUMBER)
    def change_lines(self, writer, number):
        self.change(writer, lambda: QuerySet(Line).update(quantity=number * 4))

    @rule(writer=WRITER, name=NAME, number=NUMBER, remove=st.booleans())
    def label(self, writer, name, number, remove):
        def change():
            if order := any_of(Order, number):
                label = Label.objects.filter(name=name).first() or Label.objects.create(name=name)
                (order.labels.remove if remove else order.labels.add)(label)

        self.change(writer, change)


@contextmanager
def undone_if_refused():
    """Whatever the database may refuse of writers that get in each other's way, then or at COMMIT,
    where it looks at foreign keys."""
    try:
        yield
    except IntegrityError:
        pass  # REPEATABLE READ did not see the row that is in the way, or is referred to
    except OperationalError as error:
        if "lock timeout" not in str(error) and "serialize" not in str(error):
            raise


def any_name(number):
    return Slot(name="abcä"[number % 4])


@pytest.mark.postgresql
@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_every_exact_representation_is_what_the_events_transaction_saw():
    seen.clear()
    run_state_machine_as_test(
        Crowd,
        settings=HISTORIES,
    )
    sys.stderr.write(f"\n{connection.display_name}: {dict(seen)}\n")
    assert seen["exact"] > 9 * seen["mixed"]
