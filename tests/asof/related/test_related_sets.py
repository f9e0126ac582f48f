"""Tests that querysets of related sets are answered as of the event, or marked."""

from copy import copy
from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import Count, F, Manager, OuterRef, Subquery, Sum
from django.db.models.expressions import RawSQL
from django.test import modify_settings

from auditrepr import capture
from auditrepr.asof.related.related_sets import _is_generic_relation
from auditrepr.asof.substitution import _reads_only
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.sqlite.affinity import cast
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.app.relations import Label, Line, Order, Remark
from tests.capturing import sql
from tests.oracle import Oracle

ANSWERED = {
    "filter": lambda o: [line.item for line in o.lines.filter(quantity__gt=1)],
    "exclude": lambda o: [line.item for line in o.lines.exclude(item="pen")],
    "in": lambda o: list(o.lines.filter(item__in=["ink", "lid"]).values_list("pk", flat=True)),
    "order": lambda o: [line.item for line in o.lines.order_by("-quantity", "pk")],
    "reverse": lambda o: [line.item for line in o.lines.reverse()],
    "count": lambda o: o.lines.filter(quantity__gt=1).count(),
    "distinct": lambda o: o.lines.values("item").distinct().count(),
    "distinct values": lambda o: list(o.lines.order_by("item").values_list("item").distinct()),
    "values": lambda o: list(o.lines.values("item", "quantity")),
    "aggregate": lambda o: o.lines.aggregate(Sum("quantity"), Count("item", distinct=True)),
    "aggregate of a slice": lambda o: o.lines.order_by("pk")[:2].aggregate(n=Sum("quantity")),
    "annotate": lambda o: list(o.lines.annotate(n=F("quantity") * 2).values_list("n")),
    "group": lambda o: list(o.lines.values_list("item").annotate(Count("pk")).order_by("item")),
    "exists": lambda o: (o.lines.exists(), o.lines.filter(item="ink").exists()),
    "slice": lambda o: [line.item for line in o.lines.all()[1:3]],
    "slice of ordered": lambda o: [line.item for line in o.lines.order_by("-item", "pk")[1:3]],
    "first": lambda o: (str(o.lines.first().item), o.lines.last().quantity),
    "get": lambda o: o.lines.get(item="lid").quantity,
    "latest": lambda o: o.lines.latest("quantity").item,
    "contains": lambda o: o.lines.contains(Line(pk=1)),
    "another manager": lambda o: [
        (len(o.lines.all()), line.item, line.hidden, line.order.ref)
        for line in o.lines(manager="with_hidden").order_by("pk")
    ],
    "what only another manager knows": lambda o: [
        line.item for line in o.lines(manager="with_hidden").few()
    ],
    "in_bulk": lambda o: sorted(o.lines.in_bulk()),
    "iterator": lambda o: [line.item for line in o.lines.iterator()],
    "none": lambda o: list(o.lines.none()),
    "only": lambda o: [line.quantity for line in o.lines.only("item").order_by("pk")],
    "defer": lambda o: [line.quantity for line in o.lines.defer("quantity").order_by("pk")],
    "or": lambda o: [n.item for n in o.lines.filter(item="pen") | o.lines.filter(item="lid")],
    "and": lambda o: [n.item for n in o.lines.filter(item="pen") & o.lines.filter(quantity=1)],
    "xor": lambda o: [n.item for n in o.lines.filter(item="pen") ^ o.lines.filter(quantity=1)],
    "back": lambda o: [line.order.ref for line in o.lines.all()],
    "many": lambda o: [label.name for label in o.labels.order_by("-name")],
    "many filtered": lambda o: o.labels.filter(name__startswith="b").count(),
    "generic": lambda o: [r.text for r in o.remarks.filter(text__gt="k").order_by("text")],
    "self": lambda o: [c.ref for c in o.children.filter(ref__gt="A").order_by("ref")],
}

OTHER_ROWS = {
    "order by a relation": lambda o: [line.item for line in
                            o.lines.order_by("order__parent__ref", "id")],
    "filter by a relation": lambda o: o.lines.filter(order__ref="A").count(),
    "aggregate of a relation": lambda o: o.children.aggregate(Count("lines")),
    "filter by the same relation": lambda o: o.children.filter(children__isnull=False).count(),
    "grandchildren": lambda o: [len(c.children.all()) for c in
                                o.children.prefetch_related("children").order_by("ref")],
    "subquery": lambda o: o.lines.filter(pk__in=Line.objects.filter(quantity__gt=1)).count(),
    "subquery as column": lambda o: list(o.lines.annotate(n=Subquery(
        Order.objects.filter(pk=OuterRef("order")).order_by("pk").values("ref")[:1]
    )).values_list("n")),
    "union": lambda o: o.lines.order_by().union(Line.objects.order_by()).count(),
    "or others": lambda o: (o.lines.filter(item="pen") | Line.objects.filter(quantity=2)).count(),
    "others or": lambda o: (Line.objects.filter(quantity=2) | o.lines.filter(item="pen")).count(),
    "raw column": lambda o: list(o.lines.annotate(n=RawSQL(
        "(select count(*) from app_label)", ())).values_list("n")),
    "another table": lambda o: o.lines.extra(tables=["app_label"]).count(),
    "raw condition": lambda o: o.lines.extra(where=["exists (select 1 from app_label)"]).count(),
    "many by the other side": lambda o: o.labels.filter(orders__ref__gt="A").count(),
    "all others": lambda o: Line.objects.count(),
}  # fmt: skip


def story() -> None:
    """Changes that every one of the questions above has another answer to."""
    one = Order.objects.create(ref="A1")
    two = Order.objects.create(ref="B1", parent=one)
    three = Order.objects.create(ref="C1", parent=two)
    for item, quantity in [("pen", 1), ("ink", 2), ("ink", 3), ("lid", 4)]:
        Line.objects.create(order=one, item=item, quantity=quantity)
    Line.objects.create(order=three, item="other", quantity=2)
    Line.objects.create(order=one, item="cap", quantity=1, hidden=True)
    for name in ("big", "bad", "new"):
        one.labels.add(Label.objects.create(name=name))
        Remark.objects.create(target=one, text=name)
    Order.objects.update(ref=F("ref"), parent=F("parent"))
    Order.objects.filter(pk=one.pk).update(ref="A2")
    Order.objects.filter(pk=three.pk).update(parent=one)
    Line.objects.filter(item="pen").update(quantity=9, item="pencil")
    Order.objects.filter(pk=one.pk).update(ref="A3")
    Line.objects.filter(item="ink", quantity=2).delete()
    Line.objects.filter(item="other").update(order=one)
    Label.objects.filter(name="bad").delete()
    Label.objects.filter(name="new").update(name="broad")
    Remark.objects.filter(text="new").update(text="zero")
    Order.objects.filter(pk=one.pk).update(ref="A4")
    Line.objects.all().delete()
    Order.objects.filter(pk=two.pk).update(parent=None)
    Label.objects.all().delete()
    Remark.objects.all().delete()


def told(question, monkeypatch):
    """What was said at each event, and what is built of it afterwards."""

    def said(order):
        try:
            return repr(question(order))
        except (Line.DoesNotExist, AttributeError) as error:
            return type(error).__name__

    monkeypatch.setattr(Order, "__str__", said)
    AuditLog.objects.all().delete()
    oracle = Oracle([Order])
    with oracle.listening():
        story()
    rows = AuditLog.objects.filter(pk__in=oracle.expected)
    built = build([Event.of(row) for row in rows], "default")
    assert not [outcome.failure for outcome in built if outcome.failure]
    return [(oracle.expected[o.id], o.text, o.fidelity, o.reason) for o in built]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("question", ANSWERED.values(), ids=ANSWERED)
def test_what_a_set_is_asked_is_answered_as_of_the_event(question, monkeypatch):
    found = told(question, monkeypatch)
    assert not [one for one in found if one[0] != one[1] and one[2] == Fidelity.EXACT]
    assert found
    if connection.vendor == "postgresql":
        assert not [one for one in found if one[2] != Fidelity.EXACT]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("question", OTHER_ROWS.values(), ids=OTHER_ROWS)
def test_what_needs_other_rows_reads_whole_tables_as_of_the_event(question, monkeypatch):
    found = told(question, monkeypatch)
    assert not [one for one in found if one[0] != one[1] and one[2] == Fidelity.EXACT]
    if connection.vendor == "postgresql":
        assert not [one for one in found if one[2] != Fidelity.EXACT]


BY_PRICE = {
    "greater": lambda a: [b.title for b in a.books.filter(price__gt=Decimal("4.5")).order_by("pk")],
    "equal": lambda a: [b.title for b in a.books.filter(price=Decimal("5.00")).order_by("pk")],
    "in": lambda a: [b.title for b in a.books.filter(price__in=[4, Decimal("6.5")]).order_by("pk")],
    "order": lambda a: [b.title for b in a.books.order_by("-price")],
    "sum": lambda a: a.books.aggregate(Sum("price")),
    "values": lambda a: list(a.books.order_by("pk").values("price", "published", "title")),
    "date": lambda a: a.books.filter(published__lt=date(2000, 1, 1)).count(),
    "copy": lambda a: [b.title for b in copy(a).books.order_by("price")],
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("question", BY_PRICE.values(), ids=BY_PRICE)
def test_values_compare_as_those_of_the_tables_own_columns_do(question, monkeypatch):
    monkeypatch.setattr(Author, "__str__", lambda author: repr(question(author)))
    oracle = Oracle([Author])
    with oracle.listening():
        one, two = Author.objects.create(name="1"), Author.objects.create(name="2")
        for title, price, year in [("x", "4.00", 1900), ("Y", "5.50", 2001), ("z", "10", 1990)]:
            day = date(year, 1, 1)
            Book.objects.create(title=title, author=one, price=Decimal(price), published=day)
        Author.objects.filter(pk=one.pk).update(name="3")
        Book.objects.update(price=F("price") + 1)
        Author.objects.filter(pk=one.pk).update(name="4")
        Book.objects.filter(title="z").update(author=two, published=None)
        Author.objects.filter(pk=one.pk).update(name="5")
        Author.objects.filter(pk=two.pk).update(name="6")
        Book.objects.all().delete()
        Author.objects.filter(pk=one.pk).update(name="7")
    rows = AuditLog.objects.filter(pk__in=oracle.expected)
    found = {o.id: (o.text, o.fidelity) for o in build([Event.of(row) for row in rows], "default")}
    assert found == {pk: (text, Fidelity.EXACT) for pk, text in oracle.expected.items()}


@pytest.mark.sqlite
@pytest.mark.django_db
def test_texts_compare_by_the_collation_of_their_column(monkeypatch):
    monkeypatch.setattr(Book._meta.get_field("title"), "db_collation", "NOCASE")
    monkeypatch.setattr(Author, "__str__", lambda a: str(a.books.filter(title="Y").count()))
    author = Author.objects.create(name="1")
    Book.objects.create(title="y", author=author)
    Author.objects.update(name="2")
    outcome = AuditLog.objects.latest("pk").build_instance_repr()
    assert (outcome.text, outcome.fidelity) == ("1", Fidelity.EXACT)


NUMBERS = ["7", "'7'", "'7.0'", "7.5", "1", "NULL"]
TEXTS = ["'2000-01-01'", "'b'", "x'37'"]


@pytest.mark.sqlite
@pytest.mark.django_db
def test_values_that_do_not_fit_their_column_are_read_live_and_mixed(monkeypatch):
    outcome = outcome_with_quantity("1.5", monkeypatch)
    assert (outcome.text, outcome.fidelity) == ("1", Fidelity.MIXED)


@pytest.mark.sqlite
@pytest.mark.django_db
def test_a_value_that_no_column_of_its_type_would_give_costs_who_asks_for_the_set(monkeypatch):
    failure = outcome_with_quantity("'many'", monkeypatch).failure
    assert failure is not None
    assert failure.message == "'many' is not a valid integer"


def outcome_with_quantity(value, monkeypatch):
    """What SQLite lets a column of integers hold, although Django would not give it."""
    monkeypatch.setattr(Order, "__str__", lambda o: str(o.lines.filter(item="x").count()))
    order = Order.objects.create(ref="A")
    Line.objects.create(order=order, item="x", quantity=1)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE app_line SET quantity = {value}")
    Order.objects.update(ref="B")
    event = AuditLog.objects.latest("pk")
    Line.objects.update(quantity=2)
    return event.build_instance_repr()


@pytest.mark.sqlite
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("declared", "values", "others"),
    [
        ("integer", [7, True], NUMBERS),
        ("varchar(9)", ["7", "b"], NUMBERS + TEXTS),
        ("BLOB", [b"7", 7], NUMBERS + TEXTS),
        ("", ["7", 7], NUMBERS + TEXTS),
        ("real", [7, 0.5], NUMBERS),
        ("decimal", [7, 7.5], NUMBERS),
        ("date", ["2000-01-01", "1999-12-31"], TEXTS),
    ],
)
def test_values_out_of_the_log_compare_like_a_column_of_their_type(declared, values, others):
    """What SQLite does with a comparison rests on the declared type of either side."""
    picked = cast(declared, values)
    compared = ", ".join(f"{{0}} = {other}, {{0}} < {other}" for other in others)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE held (value {declared})")
        cursor.executemany("INSERT INTO held VALUES (%s)", [[value] for value in values])
        stored = cursor.execute(f"SELECT {compared.format('value')} FROM held").fetchall()
        rows = ", ".join(["(%s)"] * len(values))
        body = f"SELECT {picked.format('column1')} AS value FROM (VALUES {rows})"
        logged = cursor.execute(f"SELECT {compared.format('value')} FROM ({body})", values)
        assert logged.fetchall() == stored
        cursor.execute("DROP TABLE held")


@pytest.mark.django_db(transaction=True)
def test_a_set_whose_link_is_excluded_is_mixed(settings, monkeypatch):
    settings.AUDITREPR = {"EXCLUDE": {"app.Line": ["order"]}}
    capture.install("default")
    try:
        order = Order.objects.create(ref="A")
        Line.objects.create(order=order, item="pen")
        outcome = questioned(lambda order: [line.item for line in order.lines.all()], monkeypatch)
    finally:
        settings.AUDITREPR = {}
        capture.install("default")
    assert (outcome.text, outcome.fidelity) == ("[]", Fidelity.MIXED)
    assert outcome.reason == "order_id is not in the log"


@pytest.mark.django_db(transaction=True)
def test_a_set_whose_table_cannot_be_read_fails_what_reads_it(monkeypatch):
    order = Order.objects.create(ref="A")
    Line.objects.create(order=order, item="pen")
    monkeypatch.setattr(Line._meta.get_field("item"), "column", "no_such_column")
    outcome = questioned(lambda order: list(order.lines.all()), monkeypatch)
    assert outcome.failure is not None
    assert "no_such_column" in outcome.failure.message
    assert questioned(lambda order: order.ref, monkeypatch).fidelity == Fidelity.EXACT


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("joins", [False, True])
def test_what_a_manager_annotates_is_there(joins, monkeypatch):
    def get_queryset(manager):
        found = Manager.get_queryset(manager).annotate(double=F("quantity") * 2)
        return found.annotate(n=Count("order__children")) if joins else found

    monkeypatch.setattr(type(Line._default_manager), "get_queryset", get_queryset)
    monkeypatch.setattr(Order, "__str__", lambda o: str([line.double for line in o.lines.all()]))
    oracle = Oracle([Order])
    with oracle.listening():
        order = Order.objects.create(ref="A")
        Line.objects.create(order=order, item="x", quantity=2)
        Order.objects.update(ref="B")
        Line.objects.update(quantity=3)
        Order.objects.update(ref="C")
    rows = AuditLog.objects.filter(pk__in=oracle.expected)
    found = build([Event.of(row) for row in rows], "default")
    assert not [outcome.failure for outcome in found if outcome.failure]
    exact = [outcome for outcome in found if outcome.fidelity == Fidelity.EXACT]
    assert len(exact) == 3
    assert not [o for o in exact if o.text != oracle.expected[o.id]]


@pytest.mark.parametrize(
    ("sql", "reads_only"),
    [
        ('SELECT "t"."a" FROM "t"', True),
        ('SELECT "t"."a" FROM "t" WHERE "t"."a" IN (%s, %s) ORDER BY "t"."a", "t"."b"', True),
        ('SELECT "t"."a", COUNT("t"."b") FROM "t" GROUP BY "t"."a", 2', True),
        ('SELECT COUNT(*) FROM (SELECT DISTINCT "t"."a" FROM "t" LIMIT 3) subquery', True),
        ('SELECT U0."a" FROM "t" U0 INNER JOIN "l" ON (U0."a" = "l"."b")', True),
        ("SELECT ' FROM x ' FROM \"t\"", True),
        ('SELECT 1 FROM "t", "u"', False),
        ('SELECT 1 FROM "t" T1 , u', False),
        ('SELECT 1 FROM "t" INNER JOIN "l" ON (1 = 2), "u"', False),
        ('SELECT 1 FROM "t" JOIN "t" T2 ON (1 = 1)', False),
        ('SELECT 1 FROM "s"."t"', False),
        ('SELECT 1 FROM "t"."u"', False),
        ('SELECT 1 FROM t', False),
        ('SELECT 1 FROM "t" WHERE EXISTS(select 1 from u)', False),
        ('SELECT 1 FROM "t" WHERE "t"."a" IS DISTINCT FROM "t"."b"', False),
        ("SELECT 1 FROM \"t\" WHERE E'\\'' = (SELECT 1 FROM u)", False),
        ('SELECT 1 FROM "t" -- FROM', False),
        ('SELECT 1 FROM ONLY "t"', False),
        ('SELECT f FROM generate_series(1, 2) f', False),
        ('(SELECT 1 FROM "t") UNION (SELECT 1 FROM "l")', False),
        ('UPDATE "t" SET "a" = 1', False),
        ("SELECT 1", True),
    ],
)  # fmt: skip
def test_a_query_is_read_only_where_nothing_is_in_doubt(sql, reads_only):
    assert _reads_only(sql, ['"t"', '"l"']) == reads_only


def questioned(question, monkeypatch):
    """What a question about an order is answered as of its only event, when all has changed."""
    monkeypatch.setattr(Order, "__str__", lambda order: str(question(order)))
    (event,) = AuditLog.objects.filter(table_name="app_order")
    (outcome,) = build([Event.of(event)], "default")
    return outcome


@pytest.mark.django_db(transaction=True)
def test_rows_that_the_log_never_mentions_are_filtered_as_they_are_now(monkeypatch):
    order = Order.objects.create(ref="A")
    for item, quantity in [("pen", 1), ("ink", 2)]:
        Line.objects.create(order=order, item=item, quantity=quantity)
    AuditLog.objects.filter(table_name="app_line").delete()
    outcome = questioned(ANSWERED["filter"], monkeypatch)
    assert outcome.text == "['ink']"


@pytest.mark.django_db(transaction=True)
def test_a_set_whose_order_needs_another_table_is_asked_for_each_row(monkeypatch):
    order = Order.objects.create(ref="A")
    Line.objects.create(order=order, item="pen")
    Order.objects.filter(pk=order.pk).update(ref="B")
    AuditLog.objects.filter(table_name="app_order", action="I").delete()
    monkeypatch.setattr(Line._meta, "ordering", ["order__ref"])
    outcome = questioned(lambda order: [n.item for n in order.lines.all()], monkeypatch)
    assert (outcome.text, outcome.fidelity) == ("['pen']", Fidelity.EXACT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "model", "unread"),
    [
        ("lines", Line, "item"),
        ("labels", Label, "name"),
        ("labels", Order.labels.through, "label"),
        ("remarks", Remark, "text"),
    ],
)
@pytest.mark.parametrize("found", ["in the log", "today"])
def test_a_row_of_a_set_that_cannot_be_read_costs_who_asks_for_it(
    monkeypatch, name, model, unread, found
):
    def refuse(value, expression, connection):
        raise ValueError("cannot be read")

    order = Order.objects.create(ref="A")
    Line.objects.create(order=order, item="pen")
    order.labels.add(Label.objects.create(name="big"))
    Remark.objects.create(target=order, text="late")
    Order.objects.filter(pk=order.pk).update(ref="B")
    AuditLog.objects.filter(table_name="app_order", action="I").delete()
    if found == "today":
        AuditLog.objects.exclude(table_name="app_order").delete()
    monkeypatch.setattr(model._meta.get_field(unread), "from_db_value", refuse, raising=False)
    outcome = questioned(lambda order: list(getattr(order, name).all()), monkeypatch)
    assert outcome.failure is not None
    assert "cannot be read" in outcome.failure.message
    assert questioned(lambda order: order.ref, monkeypatch).fidelity == Fidelity.EXACT


@pytest.fixture
def _annotating(monkeypatch):
    def get_queryset(manager):
        return Manager.get_queryset(manager).annotate(double=F("quantity") * 2)

    monkeypatch.setattr(type(Line._default_manager), "get_queryset", get_queryset)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_annotating")
@pytest.mark.parametrize("found", ["in the log", "today"])
def test_a_row_that_cannot_be_read_takes_nothing_of_what_a_manager_annotates(monkeypatch, found):
    def refuse(value, expression, connection):
        if value == "ink":
            raise ValueError("cannot be read")
        return value

    order = Order.objects.create(ref="A")
    for item in ("pen", "ink"):
        Line.objects.create(order=order, item=item)
    Order.objects.update(ref="B")
    AuditLog.objects.filter(table_name="app_order", action="I").delete()
    if found == "today":
        AuditLog.objects.exclude(table_name="app_order").delete()
    monkeypatch.setattr(Line._meta.get_field("item"), "from_db_value", refuse, raising=False)
    outcome = questioned(lambda order: [line.double for line in order.lines.all()], monkeypatch)
    assert outcome.failure is not None
    assert "cannot be read" in outcome.failure.message


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_annotating")
def test_nor_does_a_value_that_no_column_of_its_type_would_give(monkeypatch):
    order = Order.objects.create(ref="A")
    for item in ("pen", "ink"):
        Line.objects.create(order=order, item=item)
    sql("UPDATE app_line SET quantity = 'many' WHERE item = 'ink'")
    Order.objects.update(ref="B")
    AuditLog.objects.filter(table_name="app_order", action="I").delete()
    outcome = questioned(lambda order: [line.double for line in order.lines.all()], monkeypatch)
    assert outcome.failure is not None
    assert outcome.failure.message == "'many' is not a valid integer"


def test_without_content_types_no_relation_is_generic(settings):
    field = Order._meta.get_field("remarks")
    assert _is_generic_relation(field)
    with modify_settings(INSTALLED_APPS={"remove": ["django.contrib.contenttypes"]}):
        assert not _is_generic_relation(field)


@pytest.mark.django_db
@pytest.mark.parametrize("changed", [[], ["x"], ["x", "y"]], ids=len)
@pytest.mark.parametrize("selected", ["extra", "annotate"])
def test_own_sql_gives_values_of_the_types_that_columns_have(selected, changed, monkeypatch):
    def days(author):
        books = author.books.order_by("pk")
        if selected == "extra":
            return str(list(books.extra(select={"day": "published"}).values_list("day")))
        return str(list(books.annotate(day=RawSQL("published", ())).values_list("day")))

    monkeypatch.setattr(Author, "__str__", days)
    author = Author.objects.create(name="a")
    for day, title in enumerate("xy", 1):
        Book.objects.create(title=title, author=author, published=f"2024-01-0{day}")
    Author.objects.filter(pk=author.pk).update(name="b")
    as_then = str(author)
    Book.objects.filter(title__in=changed).update(published=None)
    (event,) = AuditLog.objects.filter(table_name="app_author", action="U")
    (found,) = build([Event.of(event)], "default")
    assert (found.text, found.reason) == (as_then, "")
