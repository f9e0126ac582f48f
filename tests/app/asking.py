"""A model whose ``__str__`` queries the database in many ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection, models
from django.db.models import Count, Exists, F, Max, OuterRef, Q, Subquery, Sum
from django.db.models.functions import ExtractYear, Length, Now, Upper

import auditrepr

from .models import Author, Book
from .relations import Label, Line, Order


def _raw(sql: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(parameters) or None)
        return cursor.fetchall()


def _one(model: type[models.Model], **lookups: Any) -> Any:
    try:
        return QuerySet(model).get(**lookups).pk
    except (model.DoesNotExist, model.MultipleObjectsReturned) as error:
        return type(error).__name__


QuerySet = models.QuerySet
BOOKS_BY_AUTHOR = """
    SELECT a.name, b.title FROM app_author a, app_book b
    WHERE b.author_id = a.id AND a.name IS DISTINCT FROM %s ORDER BY a.id, b.id
"""
TREE = """
    WITH RECURSIVE tree (id, parent_id, depth) AS (
        SELECT id, parent_id, 0 FROM app_order WHERE parent_id IS NULL
        UNION ALL SELECT o.id, o.parent_id, depth + 1
        FROM app_order o JOIN tree t ON o.parent_id = t.id
        WHERE depth < 9
    ) SELECT id, depth FROM tree ORDER BY id
"""

QUESTIONS: dict[str, Callable[[], Any]] = {
    "first": lambda: Author.objects.order_by("pk").first(),
    "get": lambda: [_one(Author, pk=pk) for pk in range(1, 4)],
    "get by name": lambda: _one(Author, name="a"),
    "count": lambda: (Author.objects.count(), Book.objects.filter(author=None).count()),
    "exists": lambda: (Author.objects.filter(name="b").exists(), Book.objects.exists()),
    "values": lambda: list(Author.objects.order_by("name", "pk").values_list("name", flat=True)),
    "distinct": lambda: list(Book.objects.order_by("title").values_list("title").distinct()),
    "join": lambda: list(
        Book.objects.filter(author__name__in=["a", "b"]).order_by("pk").values_list("author__name")
    ),
    "select_related": lambda: [
        line.order.ref for line in Line.with_hidden.select_related("order").order_by("pk")
    ],
    "prefetch": lambda: [
        [line.item for line in order.lines.all()]
        for order in Order.objects.prefetch_related("lines").order_by("pk")
    ],
    "instance's relation": lambda: [line.order.ref for line in Line.with_hidden.order_by("pk")[:2]],
    "subquery": lambda: sorted(
        a.name
        for a in Author.objects.filter(pk__in=Book.objects.filter(title="x").values("author"))
    ),
    "outer": lambda: list(
        Author.objects.annotate(
            has=Exists(Book.objects.filter(author=OuterRef("pk"))),
            title=Subquery(
                Book.objects.filter(author=OuterRef("pk")).order_by("-pk").values("title")[:1]
            ),
        )
        .order_by("pk")
        .values_list("has", "title")
    ),
    "or": lambda: sorted(
        (Author.objects.filter(name="a") | Author.objects.filter(pk__gt=2)).values_list("pk")
    ),
    "q": lambda: Line.objects.filter(Q(item="a") | ~Q(quantity__gt=10)).count(),
    "sum": lambda: Line.with_hidden.aggregate(n=Sum("quantity"), most=Max("quantity")),
    "grouped": lambda: [
        (a.name, a.n) for a in Author.objects.annotate(n=Count("books")).order_by("pk")
    ],
    "grouped by value": lambda: list(
        Book.objects.values("title").annotate(n=Count("pk")).order_by("title")
    ),
    "having": lambda: list(
        Author.objects.annotate(n=Count("books"))
        .filter(n__gte=1)
        .order_by("pk")
        .values_list("pk", "n")
    ),
    "union": lambda: sorted(
        Author.objects.values_list("name").union(Label.objects.order_by().values_list("name"))
    ),
    "functions": lambda: list(
        Author.objects.annotate(n=Length("name"), u=Upper("name"))
        .order_by("pk")
        .values_list("n", "u")
    ),
    "extract": lambda: Author.objects.annotate(y=ExtractYear(Now())).filter(y__gt=2000).count(),
    "f": lambda: Line.with_hidden.filter(order_id__lte=F("quantity")).count(),
    "many to many": lambda: list(
        Order.objects.filter(labels__name="b").order_by("pk").values_list("pk", "labels__name")
    ),
    "self join": lambda: list(
        Order.objects.filter(parent__parent=None).order_by("pk").values_list("ref", "parent__ref")
    ),
    "in bulk": lambda: sorted(Author.objects.in_bulk([1, 2])),
    "iterator": lambda: [a.name for a in Author.objects.order_by("pk").iterator(chunk_size=2)],
    "raw": lambda: [
        a.name for a in Author.objects.raw("SELECT id, name FROM app_author ORDER BY id")
    ],
    "raw, comma": lambda: _raw(BOOKS_BY_AUTHOR, "a"),
    "raw, recursive": lambda: _raw(TREE),
    "raw, without parameters": lambda: _raw(
        "SELECT count(id) FROM app_author WHERE name LIKE 'a%'"
    ),
    "raw, own relation": lambda: _raw(
        "WITH few AS (SELECT id FROM app_author WHERE id < 3) SELECT count(few.id) FROM few"
        " JOIN app_book b ON b.author_id = few.id"
    ),
}


@auditrepr.track
class Question(models.Model):
    kind = models.CharField(max_length=30)
    n = models.IntegerField(default=0)

    def __str__(self):
        return f"{self.kind}: {QUESTIONS[self.kind]()}"
