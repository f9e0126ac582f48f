"""A batch asks as often for a thousand rows as for ten, whatever their objects say of others."""

import pytest
from django.db.models import Model, QuerySet

from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book, Tag
from tests.app.moment import Leaf, Node
from tests.app.relations import Diner, Invoice, Label, Line, Order, Pizzeria, RatedPlace, Remark


def orders(count):
    parents = Order.objects.bulk_create(Order(ref=f"p{n}") for n in range(count))
    return Order.objects.bulk_create(
        Order(ref=f"c{n}", parent=parent) for n, parent in enumerate(parents)
    )


def lines(count):
    QuerySet(Line).bulk_create(Line(order=order, item="pen") for order in orders(count))


def labelled(count):
    made = orders(count)
    labels = Label.objects.bulk_create(Label(name=f"l{n}") for n in range(count))
    through = Order.labels.through
    through.objects.bulk_create(
        through(order=order, label=label) for order, label in zip(made, labels, strict=True)
    )


def remarks(count):
    Remark.objects.bulk_create(Remark(target=order, text="late") for order in orders(count))


def invoices(count):
    Invoice.objects.bulk_create(
        Invoice(order=order, by_ref=order, number=n) for n, order in enumerate(orders(count))
    )


def pizzerias(count):
    for n in range(count):
        author = Author.objects.create(name=f"{n}")
        Pizzeria.objects.create(name=f"{n}", owner=author, oven="wood")


def updated_pizzerias(count):
    pizzerias(count)
    RatedPlace.objects.update(name="new")


def books(count):
    made = Book.objects.bulk_create(
        Book(title=f"{n}", author=Author.objects.create(name=f"{n}")) for n in range(count)
    )
    tags = Tag.objects.bulk_create(Tag(label=f"{n}") for n in range(count))
    through = Book.tags.through
    through.objects.bulk_create(
        through(book=book, tag=tag) for book, tag in zip(made, tags, strict=True)
    )


def chains(count):
    """Each node the child of the one before, in threes, with a leaf on the last."""
    parents = [None] * count
    for depth in range(3):
        parents = Node.objects.bulk_create(Node(name=f"{depth}", parent=p) for p in parents)
    Leaf.objects.bulk_create(Leaf(name="leaf", node=node) for node in parents)


KINDS = {
    "foreign key": (lines, Line, lambda line: line.order.ref),
    "two foreign keys": (lines, Line, lambda line: line.order.parent.ref),
    "three foreign keys": (chains, Leaf, lambda leaf: leaf.node.parent.parent.name),
    "reverse foreign key": (lines, Order, lambda o: [line.item for line in o.lines.all()]),
    "reverse, and on": (lines, Order, lambda o: [line.order.ref for line in o.lines.all()]),
    "sets of sets": (
        lines,
        Order,
        lambda o: [line.item for child in o.children.all() for line in child.lines.all()],
    ),
    "many to many": (labelled, Order, lambda o: [label.name for label in o.labels.all()]),
    "many to many, reverse": (labelled, Label, lambda la: [o.ref for o in la.orders.all()]),
    "plain many to many": (books, Book, lambda b: (b.author.name, [t.label for t in b.tags.all()])),
    "generic foreign key": (remarks, Remark, lambda remark: remark.target.ref),
    "generic, and on": (remarks, Remark, lambda remark: remark.target.parent.ref),
    "generic relation": (remarks, Order, lambda o: [r.text for r in o.remarks.all()]),
    "one to one": (invoices, Invoice, lambda i: (i.order.ref, i.by_ref.parent.ref)),
    "reverse one to one": (invoices, Order, lambda o: hasattr(o, "invoice") and o.invoice.number),
    "inheritance": (pizzerias, Pizzeria, lambda p: (p.name, p.stars, p.owner.name)),
    "to the child": (updated_pizzerias, RatedPlace, lambda p: p.diner.pizzeria.oven),
}


def queries(making, model, question, count, capture) -> int:
    for other in [Remark, Leaf, Node, Invoice, Line, Order, Label, Pizzeria, Diner, RatedPlace,
                  Book, Tag, Author]:  # fmt: skip
        QuerySet(other).delete()
    AuditLog.objects.all().delete()
    making(count)
    log = AuditLog.objects.filter(table_name=model._meta.db_table).order_by("-pk")[:count]
    events = [Event.of(row) for row in log]
    assert len(events) == count
    with capture(500) as captured:
        outcomes = build(events, "default")
    assert {(outcome.fidelity, outcome.failure) for outcome in outcomes} == {(Fidelity.EXACT, None)}
    return len(captured)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KINDS)
def test_ten_rows_and_a_thousand_take_as_many_queries(
    kind, monkeypatch, django_assert_max_num_queries
):
    making, model, question = KINDS[kind]

    def told(instance: Model) -> str:
        return str(question(instance))

    monkeypatch.setattr(model, "__str__", told)
    queries(making, model, question, 1, django_assert_max_num_queries)  # fills Django's caches
    few = queries(making, model, question, 10, django_assert_max_num_queries)
    many = queries(making, model, question, 1000, django_assert_max_num_queries)
    assert few == many
