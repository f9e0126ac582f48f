"""Tests sets without an order: the server's own order may change with an update."""

from __future__ import annotations

import uuid
from datetime import date

import pytest
from django.db import connection
from django.db.models import (
    Aggregate,
    Case,
    CharField,
    Count,
    F,
    Index,
    Max,
    Q,
    QuerySet,
    Sum,
    UniqueConstraint,
    Value,
    When,
    Window,
)
from django.db.models.expressions import OrderBy, RawSQL
from django.db.models.functions import Collate, Length, Lower, Rank, RowNumber, Upper
from django.db.models.lookups import LessThan

from auditrepr.asof.related import index_order
from auditrepr.asof.related.related_querysets import NO_ORDER
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.fields import ByUUID
from tests.app.models import Author, Book, Tag
from tests.app.moment import Step
from tests.app.relations import Kiosk, Order, RatedPlace
from tests.oracle import Oracle

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "books_by"
SHOWS = {
    "loop": lambda order: [child.ref for child in order.children.all()],
    "sorted": lambda order: sorted(child.ref for child in order.children.all()),
    "first by place": lambda order: order.children.all()[0].ref,
    "values": lambda order: list(order.children.filter(pk__gt=0).values_list("ref")),
}
HIDES = {
    "count": lambda order: (order.children.count(), order.children.exists()),
    "order": lambda order: [child.ref for child in order.children.order_by("pk")],
    "first": lambda order: order.children.first().ref,
    "one": lambda order: [child.ref for child in order.children.filter(ref="c")],
}


def reasons(question, monkeypatch) -> list[str]:
    """Why what is said of an order is not certain, before and after one of its two was updated."""
    monkeypatch.setattr(Order, "__str__", lambda order: str(question(order)))
    order = Order.objects.create(ref="a")
    first, _ = (Order.objects.create(ref=ref, parent=order) for ref in "bc")
    Order.objects.filter(pk=order.pk).update(ref="a1")
    Order.objects.filter(pk=first.pk).update(ref="b1")
    Order.objects.filter(pk=order.pk).update(ref="a2")
    rows = AuditLog.objects.filter(table_name="app_order", object_id=str(order.pk)).order_by("pk")
    _, before, after = build([Event.of(row) for row in rows], "default")
    assert (before.failure, after.failure) == (None, None)
    return [before.reason, after.reason]


@pytest.mark.postgresql
@pytest.mark.parametrize("question", SHOWS.values(), ids=SHOWS)
def test_where_a_member_was_updated_the_order_of_a_set_is_in_doubt(question, monkeypatch):
    assert reasons(question, monkeypatch) == ["", NO_ORDER]


@pytest.mark.parametrize("question", HIDES.values(), ids=HIDES)
def test_what_does_not_show_the_order_is_not(question, monkeypatch):
    assert NO_ORDER not in reasons(question, monkeypatch)
    if connection.vendor == "postgresql":
        assert reasons_are_empty(question, monkeypatch)


def reasons_are_empty(question, monkeypatch) -> bool:
    AuditLog.objects.all().delete()
    Order.objects.all().delete()
    return reasons(question, monkeypatch) == ["", ""]


def changed(author, name, values):
    """Give the books of the author that are read first other values; the log keeps the rows'."""
    for book, value in zip(author.books.order_by("pk"), values, strict=True):
        setattr(book, name, value)
    return author.books


TIED = {
    "all": lambda author: [b.title for b in changed(author, "price", "12").order_by("price")],
    "first": lambda author: changed(author, "price", "12").order_by("price")[0].title,
}


@pytest.mark.postgresql
@pytest.mark.parametrize("question", TIED.values(), ids=TIED)
def test_members_are_equal_by_their_rows_whatever_code_has_set(question, monkeypatch):
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(Book(title=title, author=author, price=5) for title in "xy")
    Book.objects.filter(title="x").update(title="z")
    reason = said_of(monkeypatch, Author, question, lambda: Author.objects.update(name="b"))
    assert reason == NO_ORDER


@pytest.mark.parametrize(("days", "reason"), [("12", ""), ("21", NO_ORDER)])
def test_an_index_orders_members_by_their_rows_whatever_code_has_set(
    days, reason, indexed, monkeypatch
):
    def said(author):
        other = [date(2024, 1, int(day)) for day in reversed(days)]
        return [book.title for book in changed(author, "published", other).all()]

    indexed("author", "published")
    author = Author.objects.create(name="a")
    for day in days:
        Book.objects.create(title=day, author=author, published=f"2024-01-0{day}")
    found = said_of(monkeypatch, Author, said, lambda: Author.objects.update(name="b"))
    assert found == reason


@pytest.mark.postgresql
def test_a_set_of_what_was_updated_in_bulk_is_in_doubt_likewise(monkeypatch):
    monkeypatch.setattr(Author, "__str__", lambda a: str([book.title for book in a.books.all()]))
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(Book(title=title, author=author) for title in "xy")
    Book.objects.filter(title="x").update(title="z")
    Author.objects.update(name="b")
    (outcome,) = build([Event.of(AuditLog.objects.latest("pk"))], "default")
    assert outcome.reason == NO_ORDER


def said_of(monkeypatch, model, question, change):
    """What is said as of the change of a row, and what was said of it then."""
    monkeypatch.setattr(model, "__str__", lambda one: str(question(one)))
    oracle = Oracle([model])
    with oracle.listening():
        change()
    row = AuditLog.objects.filter(table_name=model._meta.db_table).latest("pk")
    (outcome,) = build([Event.of(row)], "default")
    assert outcome.failure is None, outcome.failure
    if outcome.fidelity == Fidelity.EXACT:
        assert outcome.text == oracle.expected[row.pk]
    return outcome.reason


def friends(one):
    return [friend.pk.int for friend in one.byuuid_set.all()]


def labels(book):
    return [tag.label for tag in book.tags.all()]


@pytest.mark.parametrize("keys", [[7, 3, 5], [3, 5, 7], [5, 7, 3]])
def test_members_whose_keys_do_not_grow_come_as_they_were_inserted(keys, monkeypatch):
    other, hub = (ByUUID.objects.create(id=uuid.UUID(int=key)) for key in (1, 2))
    for key in keys:
        ByUUID.objects.create(id=uuid.UUID(int=key), friend=hub)
    touch = QuerySet(ByUUID).filter(pk=hub.pk)
    assert said_of(monkeypatch, ByUUID, friends, lambda: touch.update(friend=other)) == ""
    AuditLog.objects.exclude(object_id=str(hub.pk)).delete()
    assert said_of(monkeypatch, ByUUID, friends, lambda: touch.update(friend=None)) == NO_ORDER


def tagged(order):
    """A book whose tags were made in the order of their labels, and put on it in this one."""
    tags = {label: Tag.objects.create(label=label) for label in "ab"}
    book = Book.objects.create(title="t")
    for label in order:
        book.tags.add(tags[label])


@pytest.mark.parametrize(("order", "reason"), [("ab", ""), ("ba", NO_ORDER)])
def test_the_ends_of_links_are_exact_where_the_links_came_in_their_order(
    order, reason, monkeypatch
):
    tagged(order)
    assert said_of(monkeypatch, Book, labels, lambda: Book.objects.update(title="u")) == reason


def test_an_order_that_somebody_gives_is_exact_whatever_came_first(monkeypatch):
    tagged("ba")

    def in_order(book):
        return [tag.label for tag in book.tags.order_by("label")]

    assert said_of(monkeypatch, Book, in_order, lambda: Book.objects.update(title="u")) == ""


@pytest.mark.postgresql
def test_members_that_are_older_than_the_log_may_have_moved(monkeypatch):
    author = Author.objects.create(name="a")
    Book.objects.bulk_create([Book(title=title, author=author) for title in "xy"])
    Book.objects.filter(title="x").update(title="z")
    AuditLog.objects.all().delete()

    def titles(author):
        return [book.title for book in author.books.all()]

    assert said_of(monkeypatch, Author, titles, lambda: Author.objects.update(name="b")) == NO_ORDER


TIES = {
    "equal": lambda a: [book.title for book in a.books.order_by("price")],
    "expression": lambda a: [book.title for book in a.books.order_by(F("price").desc())],
    "relation": lambda a: [book.title for book in a.books.order_by("author_id", "-price")],
    "related order": lambda a: [book.title for book in a.books.order_by("author__name")],
    "values": lambda a: list(a.books.order_by("price").values_list("title", flat=True)),
    "first": lambda a: a.books.order_by("price").first().title,
    "slice without an order": lambda a: a.books.filter(title__gt="a")[0].title,
    "latest": lambda a: a.books.latest("price").title,
    "earliest": lambda a: a.books.earliest("price").title,
    "get of a slice": lambda a: a.books.order_by("price")[:1].get().title,
}
NO_TIES = {
    "distinct values": lambda a: [book.title for book in a.books.order_by("title")],
    "a key at last": lambda a: [book.title for book in a.books.order_by("price", "pk")],
    "by key": lambda a: a.books.order_by("-pk").first().title,
    "latest": lambda a: a.books.latest("pk").title,
    "get": lambda a: a.books.get(title="z").title,
    "numbered": lambda a: list(
        a.books.annotate(n=Window(RowNumber(), order_by="pk")).order_by("pk").values_list("n")
    ),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("question", [*TIES.values(), *NO_TIES.values()], ids=[*TIES, *NO_TIES])
def test_an_order_that_leaves_it_to_the_server_is_none(question, monkeypatch):
    monkeypatch.setattr(Author, "__str__", lambda author: str(question(author)))
    author = Author.objects.create(name="a")
    for title in "xyz":
        Book.objects.create(title=title, author=author)
    Author.objects.update(name="b")
    Book.objects.filter(title="x").update(title="w")
    oracle = Oracle([Author])
    with oracle.listening():
        Author.objects.update(name="c")
    found = AuditLog.objects.filter(table_name="app_author", action="U").order_by("pk")
    before, after = build([Event.of(row) for row in found], "default")
    assert before.failure is after.failure is None
    assert before.reason == ""
    assert after.reason == (NO_ORDER if question in TIES.values() else "")
    if not after.reason:
        assert after.text == oracle.expected[found[1].pk]


@pytest.fixture
def unique(monkeypatch):
    """No two books were published on one day, but several may not be published at all."""
    monkeypatch.setattr(Book._meta.get_field("published"), "unique", True)
    index_order.indexes.cache_clear()
    yield
    index_order.indexes.cache_clear()


def by_publication(author):
    return [book.title for book in author.books.order_by("published")]


def numbered(author):
    found = author.books.annotate(n=Window(RowNumber(), order_by="published"))
    return list(found.order_by("pk").values_list("n", flat=True))


@pytest.mark.parametrize("days", [(1, 2), (None, None)], ids=["days", "none"])
def test_members_without_a_value_of_a_unique_column_are_equal(days, unique, monkeypatch):
    author = Author.objects.create(name="a")
    for day in days:
        Book.objects.create(title="t", author=author, published=day and date(2024, 1, day))
    reason = said_of(monkeypatch, Author, by_publication, lambda: Author.objects.update(name="b"))
    assert reason == (NO_ORDER if None in days else "")


@pytest.mark.postgresql
def test_a_unique_column_without_values_does_not_number_members(unique, monkeypatch):
    author = Author.objects.create(name="a")
    for title in "xy":
        Book.objects.create(title=title, author=author)
    Book.objects.filter(title="x").update(title="z")  # which moves its row
    reason = said_of(monkeypatch, Author, numbered, lambda: Author.objects.update(name="b"))
    assert reason == NO_ORDER


@pytest.fixture
def declared(monkeypatch):
    """Gives the table of books an index, which its model declares in one way or another."""

    def by(index, **options):
        with connection.schema_editor() as editor:
            editor.add_index(Book, index)
        for name, value in (options or {"indexes": [index]}).items():
            monkeypatch.setattr(Book._meta, name, value)
        index_order.indexes.cache_clear()

    yield by
    index_order.indexes.cache_clear()
    with connection.schema_editor() as editor:
        editor.execute("DROP INDEX books_by")


@pytest.fixture
def indexed(declared):
    """Gives the table of books another index, on these fields."""
    return lambda *fields: declared(Index(fields=fields, name=NAME))


BY_INDEX = {
    "set": (["author", "title"], lambda a: [book.title for book in a.books.all()]),
    "values": (["author", "title"], lambda a: list(a.books.values_list("title", flat=True))),
    "equal": (["author", "title"], lambda a: [b.title for b in a.books.order_by("price")]),
    "first": (["price", "title"], lambda a: a.books.order_by("price").first().title),
    "backwards": (["author", "-price"], lambda a: [b.title for b in a.books.order_by("-price")]),
    "condition": (["title"], lambda a: [b.title for b in a.books.filter(title__gt="a")]),
    "or": (["title"], lambda a: [b.title for b in a.books.filter(Q(title="x") | Q(title="y"))]),
    "excluded": (["title"], lambda a: [b.title for b in a.books.exclude(title__lt="x")]),
    "all but one value": (
        ["author", "price"],
        lambda a: [book.title for book in a.books.exclude(price=1)],
    ),
    "a value of each row": (
        ["author", "title"],
        lambda a: [book.title for book in a.books.filter(title=F("title"))],
    ),
    "a value of other rows": (
        ["author", "title"],
        lambda a: [book.title for book in a.books.filter(author__books__title="x")],
    ),
}
# What gives the server's order away, whatever comes after it.
SUMS_UP = {
    "distinct": lambda a: list(a.books.values_list("title", flat=True).distinct()),
    "groups": lambda a: list(a.books.values_list("title").annotate(Count("pk"))),
    "joined": lambda a: a.books.aggregate(titles=Joined("title")),
    "joined within": lambda a: a.books.aggregate(titles=Upper(Joined("title"))),
    "numbered": lambda a: list(
        a.books.annotate(n=Window(RowNumber(), order_by="price")).order_by("pk").values_list("n")
    ),
    "expression": lambda a: [book.title for book in a.books.order_by(Length("title"))],
    "related": lambda a: [book.title for book in a.books.order_by("author__name")],
    "annotation": lambda a: list(
        a.books.annotate(n=Length("title")).order_by("n").values_list("title")
    ),
}
DOES_NOT = {
    "distinct in order": lambda a: list(a.books.values_list("title").distinct().order_by("title")),
    "sums": lambda a: a.books.aggregate(Sum("price"), Count("pk"), Max("title")),
    "numbered by key": lambda a: list(
        a.books.annotate(n=Window(RowNumber(), order_by="pk")).order_by("pk").values_list("n")
    ),
    "ranked": lambda a: list(
        a.books.annotate(n=Window(Rank(), order_by="price")).order_by("pk").values_list("n")
    ),
    "expression": lambda a: [book.title for book in a.books.order_by(Upper("title"))],
    "annotation": lambda a: list(
        a.books.annotate(n=Upper("title")).order_by("n").values_list("title")
    ),
    "first": lambda a: a.books.order_by(Upper("title")).first().title,
}


class Joined(Aggregate):
    """What the databases call otherwise: the values, one after the other."""

    output_field = CharField()

    def as_sql(self, compiler, connection, **context):
        template = "STRING_AGG(%(expressions)s, '')"
        return super().as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler, connection, **context):
        template = "GROUP_CONCAT(%(expressions)s, '')"
        return super().as_sql(compiler, connection, template=template, **context)


@pytest.mark.parametrize("name", [*SUMS_UP, *(f"no {name}" for name in DOES_NOT)])
def test_what_shows_the_order_in_another_way_is_noticed(name, indexed, monkeypatch):
    exact = name.startswith("no ")
    question = DOES_NOT[name[3:]] if exact else SUMS_UP[name]
    indexed("author", "title")
    author = Author.objects.create(name="a")
    for title in "yx":
        Book.objects.create(title=title, author=author)
    reason = said_of(monkeypatch, Author, question, lambda: Author.objects.update(name="b"))
    assert reason == ("" if exact else NO_ORDER)


NOT_BY_INDEX = {
    "growing": (["author", "published"], lambda a: [book.title for book in a.books.all()]),
    "other columns": (["title"], lambda a: [book.title for book in a.books.all()]),
    "one value": (["author", "price"], lambda a: [b.title for b in a.books.filter(price=0)]),
    "an order": (["author", "title"], lambda a: [b.title for b in a.books.order_by("-pk")]),
    "one": (["author", "title"], lambda a: [b.title for b in a.books.filter(title="x")]),
    "an exclusion": (
        ["author", "published"],
        lambda a: [book.title for book in a.books.exclude(title="w")],
    ),
    "a value in all": (["author"], lambda a: [b.title for b in a.books.order_by("author_id")]),
    "not the first column": (["title", "author"], lambda a: [b.title for b in a.books.all()]),
}


@pytest.mark.parametrize("name", [*BY_INDEX, *NOT_BY_INDEX])
def test_equal_members_may_come_in_the_order_of_an_index(name, indexed, monkeypatch):
    fields, question = {**BY_INDEX, **NOT_BY_INDEX}[name]
    indexed(*fields)
    author = Author.objects.create(name="a")
    for day, title in enumerate("yx", 1):
        Book.objects.create(title=title, author=author, published=f"2024-01-0{day}")
    reason = said_of(monkeypatch, Author, question, lambda: Author.objects.update(name="b"))
    assert reason == (NO_ORDER if name in BY_INDEX else "")


def books(author):
    return [book.title for book in author.books.all()]


def constrained(*expressions, **options):
    return {"constraints": [UniqueConstraint(*expressions, **options, name=NAME)]}


def meant(*expressions, **options):
    """The model declares this index, whatever the table has."""
    return {"indexes": [Index(*expressions, **options, name=NAME)]}


def by_day(author):
    return list(author.books.filter(published__gt="2000-01-01").values_list("title"))


def by_title(author):
    return list(author.books.filter(title__gt="A").values_list("title"))


BY_NAME = Index(fields=["author", "title"], name=NAME)
BY_DAY = Index(fields=["published"], name=NAME)
DECLARED = {
    "unique together": (BY_NAME, {"unique_together": (("author", "title"),)}, books),
    "unique": (BY_NAME, constrained(fields=["author", "title"]), books),
    "descending": (Index(fields=["author", "-published"], name=NAME), {}, books),
    "descending column": (Index("author", F("published").desc(), name=NAME), {}, books),
    "columns": (Index("author", OrderBy(F("title")), name=NAME), {}, books),
    "expression": (Index("author", Upper("title"), name=NAME), {}, books),
    "unique expression": (
        Index("author", Upper("title"), name=NAME),
        constrained("author", Upper("title")),
        books,
    ),
    "expression in an order": (
        Index(Length("title"), "title", name=NAME),
        {},
        lambda a: [book.title for book in a.books.order_by(Length("title"))],
    ),
    "expression in a condition": (
        Index(Upper("title"), name=NAME),
        {},
        lambda a: list(a.books.alias(t=Upper("title")).filter(t__gt="A").values_list("title")),
    ),
    "one value of another expression": (
        Index("author", Upper("title"), name=NAME),
        {},
        lambda a: list(a.books.alias(n=Length("title")).filter(n=1).values_list("title")),
    ),
    "expression that the database compares": (
        Index(Upper("title"), name=NAME),
        {},
        lambda a: [book.title for book in a.books.exclude(title__iexact="b")],
    ),
    "its own condition": (
        Index("title", condition=Q(price=0), name=NAME),
        {},
        lambda a: [book.title for book in a.books.filter(price=0)],
    ),
    "transform": (BY_NAME, meant(F("published__year")), by_day),
    "transform in an order": (BY_NAME, meant(OrderBy(F("published__year"))), by_day),
    "transform within an expression": (BY_NAME, meant(Lower("title__upper")), by_title),
    "transform after a column": (BY_NAME, meant("author", F("published__year")), books),
    "unique transform": (BY_NAME, constrained(Lower("title"), F("published__year")), by_title),
    "choice": (BY_NAME, meant(Case(When(Q(published__year=1), then=1), default=0)), by_day),
    "raw": (BY_NAME, meant(RawSQL("lower(title)", ())), by_title),
    "collation": (BY_NAME, meant(Collate("title", "C")), by_title),
}
NOT_DECLARED = {
    "transform": (BY_DAY, meant(F("published__year")), books),
    "no field": (BY_DAY, meant(F("nothing__year")), books),
    "several rows": (BY_DAY, meant(F("tags__label")), books),
    "condition on no field": (BY_DAY, meant("title", condition=Q(nothing__year=0)), books),
    "key": (Index("author", "pk", name=NAME), {}, books),
    "growing": (Index("author", "published", name=NAME), {}, books),
    "other expression": (Index(Upper("title"), name=NAME), {}, books),
    "other condition": (Index("title", condition=Q(price=0), name=NAME), {}, books),
}


@pytest.mark.parametrize("name", [*DECLARED, *(f"no {name}" for name in NOT_DECLARED)])
def test_an_index_counts_however_it_is_declared(name, declared, monkeypatch):
    exact = name.startswith("no ")
    index, options, question = NOT_DECLARED[name[3:]] if exact else DECLARED[name]
    declared(index, **options)
    author = Author.objects.create(name="a")
    for day, title in enumerate("yx", 1):
        Book.objects.create(title=title, author=author, published=f"2024-01-0{day}")
    reason = said_of(monkeypatch, Author, question, lambda: Author.objects.update(name="b"))
    assert reason == ("" if exact else NO_ORDER)


BY_YEAR = {
    "year": lambda books: books.filter(published__year=2024),
    "years": lambda books: books.filter(published__year__gt=1),
    "iso year": lambda books: books.filter(published__iso_year__gte=2024),
    "column on the right": lambda books: books.filter(
        LessThan(Value(date(2000, 1, 1)), F("published"))
    ),
}


def two_books():
    """The later one was published first."""
    author = Author.objects.create(name="a")
    for day, title in ((2, "x"), (1, "y")):
        Book.objects.create(title=title, author=author, published=date(2024, 1, day))


@pytest.mark.parametrize("name", [*BY_YEAR, "no month", "no other column"])
def test_an_index_answers_what_compares_its_column_with_a_time(name, indexed, monkeypatch):
    def titles(author):
        if name == "no month":
            return [book.title for book in author.books.filter(published__month=1)]
        return [book.title for book in BY_YEAR.get(name, BY_YEAR["year"])(author.books)]

    indexed("title" if name == "no other column" else "published")
    two_books()
    reason = said_of(monkeypatch, Author, titles, lambda: Author.objects.update(name="b"))
    assert reason == ("" if name.startswith("no ") else NO_ORDER)


@pytest.mark.postgresql
@pytest.mark.parametrize("name", BY_YEAR)
def test_the_server_gives_them_in_the_order_of_that_index(name, indexed):
    indexed("published")
    two_books()
    chosen = BY_YEAR[name](Book.objects)
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        try:
            assert f"using {NAME} on app_book" in chosen.explain()
            assert [book.title for book in chosen] == ["y", "x"]
        finally:
            cursor.execute("RESET enable_seqscan; RESET enable_bitmapscan")


@pytest.fixture
def inherited(monkeypatch):
    """An index on a column that kiosks inherit."""
    with connection.schema_editor() as editor:
        editor.execute(f"CREATE INDEX {NAME} ON app_ratedplace (name)")
    monkeypatch.setattr(RatedPlace._meta, "indexes", [Index(fields=["name"], name=NAME)])
    index_order.indexes.cache_clear()
    yield
    index_order.indexes.cache_clear()
    with connection.schema_editor() as editor:
        editor.execute(f"DROP INDEX {NAME}")


def two_kiosks():
    author = Author.objects.create(name="a")
    for name in "yx":
        Kiosk.objects.create(name=name, keeper=author)


@pytest.mark.parametrize(
    ("chosen", "exact"),
    [
        (lambda kiosks: kiosks.filter(name__gt="A"), False),
        (lambda kiosks: kiosks.exclude(name="A"), False),
        (lambda kiosks: kiosks.filter(pk__gt=0), True),
    ],
)
def test_the_index_of_a_parent_may_give_the_order_of_a_set(chosen, exact, inherited, monkeypatch):
    def names(author):
        return [kiosk.name for kiosk in chosen(author.kiosks)]

    two_kiosks()
    reason = said_of(monkeypatch, Author, names, lambda: Author.objects.update(name="b"))
    assert reason == ("" if exact else NO_ORDER)


@pytest.mark.postgresql
@pytest.mark.parametrize("change", ["none", "parent", "child", "crosswise"])
def test_the_rows_that_members_inherit_from_lie_in_an_order_of_their_own(change, monkeypatch):
    def names(author):
        return [kiosk.name for kiosk in author.kiosks.all()]

    author = Author.objects.create(name="a")
    places = [RatedPlace.objects.create(name=name) for name in "yx"]
    for place in places[:: -1 if change == "crosswise" else 1]:
        child = Kiosk(ratedplace_ptr=place, keeper=author)
        child.save_base(raw=True)
    if change == "parent":
        RatedPlace.objects.filter(pk=places[0].pk).update(name="z")
    elif change == "child":
        Kiosk.objects.filter(pk=places[0].pk).update(keeper=None)
        Kiosk.objects.filter(pk=places[0].pk).update(keeper=author)
    reason = said_of(monkeypatch, Author, names, lambda: Author.objects.update(name="b"))
    assert reason == ("" if change == "none" else NO_ORDER)


def test_the_server_may_read_children_by_an_index_of_their_parent(inherited):
    two_kiosks()
    chosen = Kiosk.objects.filter(name__gt="A")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
            cursor.execute("SET enable_hashjoin = off; SET enable_mergejoin = off")
        try:
            assert NAME in chosen.explain()
            assert [kiosk.name for kiosk in chosen] == ["x", "y"]
        finally:
            if connection.vendor == "postgresql":
                cursor.execute("RESET ALL")


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["gist", "spgist", "exclusion", "no brin"])
def test_an_index_that_is_not_sorted_gives_an_order_of_its_own(kind, monkeypatch):
    from django.contrib.postgres import constraints, indexes  # requires psycopg

    if kind == "exclusion":
        pairs = [("author", "="), ("published", "<>")]
        one = constraints.ExclusionConstraint(name=NAME, expressions=pairs)
    else:
        made = {"gist": indexes.GistIndex, "spgist": indexes.SpGistIndex}
        one = made.get(kind, indexes.BrinIndex)(fields=["author", "published"], name=NAME)
    monkeypatch.setattr(Book._meta, "constraints" if kind == "exclusion" else "indexes", [one])
    index_order.indexes.cache_clear()
    author = Author.objects.create(name="a")
    for day, title in ((1, "x"), (2, "y")):  # as a sorted index would give them, too
        Book.objects.create(title=title, author=author, published=date(2024, 1, day))
    reason = said_of(monkeypatch, Author, books, lambda: Author.objects.update(name="b"))
    index_order.indexes.cache_clear()
    assert reason == ("" if kind == "no brin" else NO_ORDER)


@pytest.mark.postgresql
def test_the_server_reads_by_the_index_of_an_exclusion():
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        cursor.execute(
            "CREATE TEMP TABLE kept (author_id bigint, day date, EXCLUDE USING gist"
            " (author_id WITH =, day WITH <>))"
        )
        cursor.execute("INSERT INTO kept SELECT n, '2024-01-01' FROM generate_series(1, 99) n")
        cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        try:
            cursor.execute("EXPLAIN SELECT ctid FROM kept WHERE author_id = 7::bigint")
            assert "'Index Scan using kept_author_id_day_excl" in str(cursor.fetchall())
        finally:
            cursor.execute("RESET ALL; DROP TABLE kept; DROP EXTENSION btree_gist")


@pytest.mark.postgresql
def test_an_index_with_a_class_of_operators_counts(declared, monkeypatch):
    from django.contrib.postgres.indexes import OpClass  # requires psycopg

    declared(BY_NAME, **meant(OpClass("title", "text_pattern_ops")))
    author = Author.objects.create(name="a")
    for title in "yx":
        Book.objects.create(title=title, author=author)
    change = Author.objects.filter(pk=author.pk)
    assert said_of(monkeypatch, Author, by_title, lambda: change.update(name="b")) == NO_ORDER


def test_the_index_of_a_composite_key_gives_an_order():
    assert index_order.indexes(Step) >= {("slot_id", "number")}


def test_a_later_column_of_an_index_counts_where_none_begins_with_it(declared, monkeypatch):
    """Servers may skip through an index from one value of its first column to the next."""
    monkeypatch.setattr(Book._meta.get_field("author"), "db_index", False)
    declared(Index(fields=["title", "author"], name=NAME))
    author = Author.objects.create(name="a")
    for title in "yx":
        Book.objects.create(title=title, author=author)
    assert said_of(monkeypatch, Author, books, lambda: Author.objects.update(name="b")) == NO_ORDER


@pytest.mark.proof
def test_equal_members_come_in_the_opposite_order_where_an_index_is_read_backwards(
    indexed, monkeypatch
):
    indexed("published")
    author = Author.objects.create(name="a")
    for title in "yx":
        Book.objects.create(title=title, author=author, published="2024-01-01")
    assert said_of(monkeypatch, Author, books, lambda: Author.objects.update(name="b")) == ""

    def by_day(author):
        return [book.title for book in author.books.order_by("-published")]

    touch = Author.objects.filter(pk=author.pk)
    assert said_of(monkeypatch, Author, by_day, lambda: touch.update(name="c")) == NO_ORDER


def test_a_unique_field_has_an_index(monkeypatch):
    def after_a(book):
        return [tag.label for tag in book.tags.filter(label__gt="A")]

    tagged("ab")
    assert said_of(monkeypatch, Book, after_a, lambda: Book.objects.update(title="u")) == NO_ORDER


def test_links_may_come_in_the_order_of_their_index(monkeypatch):
    """Their unique index gives the ends by their keys."""
    tags = [Tag.objects.create(pk=pk, label=str(pk)) for pk in (7, 3)]
    book = Book.objects.create(title="t")
    for tag in tags:
        book.tags.add(tag)
    assert said_of(monkeypatch, Book, labels, lambda: Book.objects.update(title="u")) == NO_ORDER


def test_an_index_on_an_expression_has_no_part_in_links(monkeypatch):
    monkeypatch.setattr(Tag._meta, "indexes", [Index(Upper("label"), name="tags_by")])
    index_order.indexes.cache_clear()
    tagged("ab")
    reason = said_of(monkeypatch, Book, labels, lambda: Book.objects.update(title="u"))
    index_order.indexes.cache_clear()
    assert reason == ""


def test_equal_members_of_many_sets_come_as_their_rows_lie(monkeypatch):
    """One query orders the members of all sets of a batch, whose equal members lie far apart."""
    monkeypatch.setattr(
        Author, "__str__", lambda author: str([b.title for b in author.books.all()])
    )
    monkeypatch.setattr(Book._meta, "ordering", ["price"])
    authors = [Author.objects.create(name="a") for _ in range(9)]
    for title in "zyx":
        for author in authors:
            Book.objects.create(title=title, author=author, price=author.pk % 2)
    for author in authors:
        Author.objects.filter(pk=author.pk).update(name="b")
    rows = AuditLog.objects.filter(table_name="app_author", action="U")
    assert {(o.text, o.reason) for o in build([Event.of(row) for row in rows], "default")} == {
        ("['z', 'y', 'x']", "")
    }
