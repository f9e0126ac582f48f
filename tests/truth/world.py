"""Random changes of every kind, compared with what the oracle has noted."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.models import F, Model, QuerySet
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from auditrepr.asof.related.related_querysets import NO_ORDER
from auditrepr.asof.states.states import BESIDE
from auditrepr.models import AuditLog, Checkpoint, Fidelity, InstanceRepr, ReprFailure
from tests.app.fields import ByName, ByUUID
from tests.app.models import Author, Book, Tag
from tests.app.relations import Diner, Invoice, Label, Line, Order, Pizzeria, RatedPlace, Remark
from tests.oracle import Oracle, Raised

MODELS: list[type[Model]] = [
    Author, Book, Tag, Order, Label, Line, Invoice, Remark, RatedPlace, Diner, Pizzeria, ByName,
    ByUUID,
]  # fmt: skip
PAIRS: list[type[Model]] = [Order.labels.through, Book.tags.through]
NUMBER = st.integers(0, 5)
#: What the oracle notes of a relation whose object is not there any more.
LEADS_NOWHERE = {Author.DoesNotExist.__name__}
NAME = st.sampled_from(["a", "b", "c", "ä", "d e"])
seen: Counter[str] = Counter()  # over all examples


class Rolled(Exception):
    """Ends a transaction that is to leave no trace."""


def any_of(model: type[Model], number: int) -> Any:
    """One of the model's rows, if it has any."""
    rows = list(QuerySet(model).order_by("pk"))
    return rows[number % len(rows)] if rows else None


class World(RuleBasedStateMachine):
    """An application that changes its data in every way, with the job at odd moments."""

    def __init__(self) -> None:
        super().__init__()
        self.oracle = Oracle([*MODELS, *PAIRS])
        self.listening = self.oracle.listening()
        for model in [*reversed(MODELS), *PAIRS]:
            QuerySet(model).delete()
        for model in (AuditLog, InstanceRepr, ReprFailure, Checkpoint):
            model.objects.all().delete()
        _number_from_one()
        self.orders = 0
        self.listening.__enter__()
        self.blocks: list[transaction.Atomic] = []

    def teardown(self) -> None:
        while self.blocks:
            self.blocks.pop().__exit__(None, None, None)
        self.listening.__exit__(None, None, None)
        call_command("backfill_reprs", verbosity=0)
        self.check()
        seen["examples"] += 1

    def check(self) -> None:
        stored = InstanceRepr.objects.in_bulk()
        failures = ReprFailure.objects.in_bulk()
        for row in AuditLog.objects.all():
            if row.pk not in self.oracle.expected:
                continue
            said = self.oracle.expected[row.pk]
            if row.pk in failures:
                self.check_failure(row, said, failures[row.pk])
                continue
            representation = stored[row.pk]
            if representation.fidelity == Fidelity.EXACT:
                assert representation.instance_repr == said, row
                assert not isinstance(said, Raised), row
                seen["exact"] += 1
            else:
                self.check_doubts(row, said, representation.reason.splitlines())

    def check_failure(self, row: AuditLog, said: str, failure: ReprFailure) -> None:
        """What cannot be built could not be said then, either, and is final."""
        assert isinstance(said, Raised), (row, said, failure)
        assert failure.error_class.endswith(said), (row, said, failure)
        # Only SQLite doubts what has come in the same millisecond.
        assert failure.final or connection.vendor == "sqlite", (row, said, failure)
        seen["final" if failure.final else "failed"] += 1

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        """Only what leads nowhere any more, the order of a set, and on SQLite what came beside."""
        gone = [reason for reason in reasons if reason.endswith(" had been deleted")]
        others = {NO_ORDER, BESIDE} if connection.vendor == "sqlite" else {NO_ORDER}
        assert set(reasons) - set(gone) <= others, (row, said, reasons)
        assert not gone or said in LEADS_NOWHERE or said.endswith(" on nothing"), (row, said)
        seen["mixed, deleted" if gone else "mixed, beside"] += 1

    def delete(self, number: int, model: type[Model]) -> None:
        if instance := any_of(model, number):
            instance.delete()

    @initialize(number=NUMBER)
    def populate(self, number):
        """A few objects that refer to one another, for there is little to break in nothing."""
        author, other = (Author.objects.create(name=name) for name in ("a", "b"))
        Book.objects.bulk_create([Book(title=t, author=author) for t in ("x", "y")])
        parent = Order.objects.create(ref="first")
        order = Order.objects.create(ref="second", parent=parent)
        order.labels.add(Label.objects.create(name="b"))
        Line.objects.create(order=order, item="a", quantity=10 + number)
        Invoice.objects.create(order=order, number=number, by_ref=parent)
        for target in (parent, author):
            Remark.objects.create(target=target, text="c")
        Pizzeria.objects.create(name="p", owner=other)
        friend = ByUUID.objects.create(id=uuid.UUID(int=1))
        ByUUID.objects.create(id=uuid.UUID(int=2), friend=friend)

    # --- the ORM, one object at a time -------------------------------------------------------

    @rule(name=NAME)
    def new_author(self, name):
        Author.objects.create(name=name)

    @rule(name=NAME, number=NUMBER)
    def new_book(self, name, number):
        Book.objects.create(title=name, author=any_of(Author, number))

    @rule(name=NAME, number=NUMBER)
    def new_order(self, name, number):
        self.orders += 1
        Order.objects.create(ref=f"{name}/{self.orders}", parent=any_of(Order, number))

    @rule(name=NAME, number=NUMBER, quantity=st.integers(0, 20), hidden=st.booleans())
    def new_line(self, name, number, quantity, hidden):
        if order := any_of(Order, number):
            Line.objects.create(order=order, item=name, quantity=quantity, hidden=hidden)

    @rule(number=NUMBER, other=NUMBER)
    def new_invoice(self, number, other):
        order = any_of(Order, number)
        if order and not Invoice.objects.filter(order=order).exists():
            Invoice.objects.create(order=order, number=number, by_ref=any_of(Order, other))

    @rule(name=NAME)
    def new_label(self, name):
        Label.objects.create(name=name)

    @rule(name=NAME, number=NUMBER, model=st.sampled_from([Order, Label, Author]))
    def new_remark(self, name, number, model):
        if target := any_of(model, number):
            Remark.objects.create(target=target, text=name)

    @rule(name=NAME, number=NUMBER, model=st.sampled_from([RatedPlace, Diner, Pizzeria]))
    def new_place(self, name, number, model):
        model.objects.create(name=name, owner=any_of(Author, number))

    @rule(number=NUMBER)
    def befriend(self, number):
        ByUUID.objects.create(id=uuid.uuid4(), friend=any_of(ByUUID, number))

    @rule(number=NUMBER, other=NUMBER, remove=st.booleans())
    def change_labels(self, number, other, remove):
        order, label = any_of(Order, number), any_of(Label, other)
        if order and label:
            (order.labels.remove if remove else order.labels.add)(label)

    @rule(number=NUMBER, other=NUMBER)
    def set_tags(self, number, other):
        if book := any_of(Book, number):
            book.tags.set(QuerySet(Tag).filter(pk__gte=other))

    @rule(number=NUMBER, other=NUMBER, column=st.sampled_from(["order_id", "label_id"]))
    def move_a_pair(self, number, other, column):
        """By raw SQL: Django has no way to change one."""
        model = Order if column == "order_id" else Label
        pair, to = any_of(Order.labels.through, number), any_of(model, other)
        table = Order.labels.through._meta.db_table
        if pair and to:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE {table} SET {column} = %s WHERE id = %s AND NOT EXISTS ("
                    f"SELECT 1 FROM {table} taken, {table} was WHERE was.id = %s"
                    f" AND taken.{column} = %s AND taken.{_other(column)} = was.{_other(column)})",
                    [to.pk, pair.pk, pair.pk, to.pk],
                )  # fmt: skip

    @rule(number=NUMBER, model=st.sampled_from(MODELS))
    def delete_any(self, number, model):
        self.delete(number, model)

    @rule(number=NUMBER, model=st.sampled_from([Author, Order, Label, ByUUID]))
    def delete_what_others_refer_to(self, number, model):
        self.delete(number, model)

    @rule(name=NAME, number=NUMBER)
    def rename_pizzeria(self, name, number):
        if pizzeria := any_of(Pizzeria, number):
            pizzeria.name, pizzeria.oven, pizzeria.stars = name, name, number
            pizzeria.save()

    @rule(name=NAME, other=NAME)
    def rekey(self, name, other):
        if not ByName.objects.filter(name=other).exists():
            if ByName.objects.filter(name=name).exists():
                ByName.objects.filter(name=name).update(name=other)
            else:
                ByName.objects.create(name=other, note=name)

    # --- many at once ------------------------------------------------------------------------

    @rule(name=NAME, number=NUMBER)
    def update_authors(self, name, number):
        Author.objects.filter(pk__gte=number).update(name=name)

    @rule(name=NAME)
    def update_orders(self, name):
        Order.objects.update(ref=models.functions.Concat(models.Value(name), F("id")))

    @rule(number=NUMBER)
    def move_lines(self, number):
        if order := any_of(Order, number):
            QuerySet(Line).update(order=order, quantity=F("quantity") + 1)

    @rule(names=st.lists(NAME, max_size=4), number=NUMBER)
    def bulk_create(self, names, number):
        author = any_of(Author, number)
        Book.objects.bulk_create(Book(title=name, author=author) for name in names)

    @rule(names=st.lists(NAME, min_size=1, max_size=3, unique=True))
    def upsert(self, names):
        Tag.objects.bulk_create(
            [Tag(label=name) for name in names],
            update_conflicts=True, unique_fields=["label"], update_fields=["label"],
        )  # fmt: skip

    @rule(name=NAME)
    def bulk_update(self, name):
        books = list(Book.objects.all()[:3])
        for book in books:
            book.title += name
        Book.objects.bulk_update(books, ["title"])

    @rule(number=NUMBER)
    def raw_sql(self, number):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE app_line SET quantity = quantity + %s", [number])
            cursor.execute("DELETE FROM app_label WHERE id %% 4 = %s AND NOT EXISTS ("
                           "SELECT 1 FROM app_order_labels WHERE label_id = app_label.id)", [number])  # fmt: skip  # noqa: E501

    # --- transactions, and the job -----------------------------------------------------------

    @rule()
    def begin(self):
        if len(self.blocks) < 3:
            block = transaction.atomic()
            block.__enter__()
            self.blocks.append(block)

    @rule()
    def commit(self):
        if self.blocks:
            self.blocks.pop().__exit__(None, None, None)

    @rule()
    def roll_back(self):
        if self.blocks:
            self.blocks.pop().__exit__(Rolled, Rolled(), None)

    @rule()
    def run_the_job(self):
        if not self.blocks:
            call_command("backfill_reprs", verbosity=0)


class Unheard:
    """Has the job run without the oracle, which takes a query that begins with WITH for a change.

    It stands before the world among the bases.
    """

    @rule()
    def run_the_job(self):
        if not self.blocks:
            self.listening.__exit__(None, None, None)
            call_command("backfill_reprs", verbosity=0)
            self.listening = self.oracle.listening()
            self.listening.__enter__()


def _other(column: str) -> str:
    return "label_id" if column == "order_id" else "order_id"


def _number_from_one() -> None:
    """An example that is tried again meets the same ids, or it could not be made smaller."""
    tables = [
        m._meta.db_table for m in [*MODELS, *PAIRS] if isinstance(m._meta.pk, models.AutoField)
    ]
    sequences = [{"table": table, "column": "id"} for table in tables]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_by_name_sql(no_style(), sequences):
            cursor.execute(statement)
