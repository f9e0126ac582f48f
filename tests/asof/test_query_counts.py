"""Tests that a batch sends as many queries for many rows as for ten.

Many are a thousand at full size.
"""

import pytest
from django.db.models import Model, QuerySet

from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.managing import Hidden, Holder, ShownPart
from tests.app.models import Author, Book, Tag
from tests.app.moment import Leaf, Node
from tests.app.relations import Diner, Invoice, Label, Line, Order, Pizzeria, RatedPlace, Remark
from tests.capturing import next_moment, sql
from tests.sizes import size

MANY = size(50, 1000)


def orders(count):
    parents = Order.objects.bulk_create(Order(ref=f"p{n}") for n in range(count))
    return Order.objects.bulk_create(
        Order(ref=f"c{n}", parent=parent) for n, parent in enumerate(parents)
    )


def lines(count):
    QuerySet(Line).bulk_create(Line(order=order, item="pen") for order in orders(count))


def labeled(count):
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
    "many to many": (labeled, Order, lambda o: [label.name for label in o.labels.all()]),
    "many to many, reverse": (labeled, Label, lambda la: [o.ref for o in la.orders.all()]),
    "plain many to many": (books, Book, lambda b: (b.author.name, [t.label for t in b.tags.all()])),
    "generic foreign key": (remarks, Remark, lambda remark: remark.target.ref),
    "generic, and on": (remarks, Remark, lambda remark: remark.target.parent.ref),
    "generic relation": (remarks, Order, lambda o: [r.text for r in o.remarks.all()]),
    "one to one": (invoices, Invoice, lambda i: (i.order.ref, i.by_ref.parent.ref)),
    "reverse one to one": (invoices, Order, lambda o: hasattr(o, "invoice") and o.invoice.number),
    "inheritance": (pizzerias, Pizzeria, lambda p: (p.name, p.stars, p.owner.name)),
    "to the child": (updated_pizzerias, RatedPlace, lambda p: p.diner.pizzeria.oven),
}


def holders(count):
    hidden = Hidden.everything.bulk_create(Hidden(name=f"{n}") for n in range(count))
    Holder.objects.bulk_create(Holder(name="h", hidden=one) for one in hidden)


def shown_parts(count):
    holders(count)
    ShownPart.everything.bulk_create(
        ShownPart(name="p", holder=holder) for holder in Holder.objects.all()
    )
    Holder.objects.update(name="i")


def changed_authors(count):
    """Each has been changed, added or deleted since the event of its book."""
    books(count)
    Author.objects.create(name="late")
    Author.objects.filter(pk__in=Author.objects.order_by("pk")[1:4]).update(name="x")


def holders_after_books(count):
    books(count)
    next_moment()
    Holder.objects.bulk_create(Holder(name=f"{n}") for n in range(count))
    Author.objects.filter(name="0").update(name="x")
    Book.objects.filter(title="0").update(title="x")


def gone_targets(count):
    remarks(count)
    QuerySet(Order).filter(remarks__text="late")._raw_delete("default")
    Remark.objects.update(text="later")


def emptied_lines(count):
    """The table is known whole, for it was emptied before, too."""
    sql("TRUNCATE app_line")
    lines(count)
    Order.objects.update(parent=None)
    sql("TRUNCATE app_line")


#: What also asks by itself, so many times for each row.
ASKING = {
    "base manager": (holders, Holder, lambda holder: holder.hidden.name, 1),
    "manager of a set": (shown_parts, Holder, lambda h: [p.name for p in h.shown.all()], 0),
    "get": (changed_authors, Book, lambda book: Author.objects.get(pk=book.author_id).name, 1),
    "join": (
        holders_after_books,
        Holder,
        lambda h: Book.objects.values("pk").get(author__name=h.name),
        1,
    ),
    "two tables": (books, Book, lambda b: (Author.objects.exists(), Tag.objects.count()), 2),
    "generic, gone": (gone_targets, Remark, lambda remark: str(remark.target), 0),
}
EMPTIED = {
    "set": (emptied_lines, Order, lambda o: [line.item for line in o.lines.all()], 0),
    "free": (emptied_lines, Order, lambda o: Line.with_hidden.filter(order=o.pk).count(), 1),
}


def queries(making, model, question, count, capture) -> int:
    for other in [ShownPart, Holder, Hidden, Remark, Leaf, Node, Invoice, Line, Order, Label,
                  Pizzeria, Diner, RatedPlace, Book, Tag, Author]:  # fmt: skip
        QuerySet(other).delete()
    AuditLog.objects.all().delete()
    making(count)
    every = AuditLog.objects.filter(table_name=model._meta.db_table).exclude(object_id=None)
    log = every.order_by("-pk")[:count]
    events = [Event.of(row) for row in log]
    assert len(events) == count
    with capture(5000) as captured:
        outcomes = build(events, "default")
    found = {(outcome.fidelity, outcome.failure, outcome.reason) for outcome in outcomes}
    assert found == {(Fidelity.EXACT, None, "")}
    # Signs of life depend on how long it takes.
    return sum(query["sql"] != "SELECT" for query in captured.captured_queries)


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KINDS)
def test_ten_rows_and_many_take_as_many_queries(kind, monkeypatch, django_assert_max_num_queries):
    making, model, question = KINDS[kind]

    def told(instance: Model) -> str:
        return str(question(instance))

    monkeypatch.setattr(model, "__str__", told)
    queries(making, model, question, 1, django_assert_max_num_queries)  # fills Django's caches
    few = queries(making, model, question, 10, django_assert_max_num_queries)
    many = queries(making, model, question, MANY, django_assert_max_num_queries)
    assert few == many


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ASKING)
def test_what_asks_by_itself_adds_its_own_queries_and_no_others(
    kind, monkeypatch, django_assert_max_num_queries
):
    ours(ASKING[kind], (10, MANY), monkeypatch, django_assert_max_num_queries)


@pytest.mark.sized
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", EMPTIED)
def test_what_asks_for_emptied_tables_does_too(kind, monkeypatch, django_assert_max_num_queries):
    ours(EMPTIED[kind], (10, size(100, 300)), monkeypatch, django_assert_max_num_queries)


def ours(asking, counts, monkeypatch, capture) -> None:
    """auditrepr's own queries are as many for a few rows as for many."""
    making, model, question, theirs = asking
    monkeypatch.setattr(model, "__str__", lambda instance: str(question(instance)))
    queries(making, model, question, 1, capture)  # fills Django's caches
    few, many = (
        queries(making, model, question, count, capture) - theirs * count for count in counts
    )
    assert few == many
