"""Helpers: what two logs that see the same writes are compared by."""

from __future__ import annotations

from datetime import date
from typing import Any

from auditrepr.models import AuditLog
from tests.app.fields import ByName, ByPair
from tests.app.models import Author, Book
from tests.capturing import sql

#: The tables that both record.
TABLES = ("app_author", "app_book", "app_everything", "app_byname", "app_bypair")
FIELDS = ("table_name", "object_id", "previous_object_id", "action", "row_data", "changed_from")


def recorded() -> list[Any]:
    """Return the events of our log, without what only the log itself knows."""
    return list(AuditLog.objects.order_by("pk").values_list(*FIELDS))


def story() -> None:
    """Write to each of the tables."""
    author = Author.objects.create(name='Ann "A" \\ O\'Hara, %s')
    book = Book.objects.create(title="Go", author=author, price="9.90", published=date(2026, 1, 31))
    Book.objects.update(price="10", published=None, secret="x")
    Author.objects.update(name="Bea")
    ByName.objects.create(name="a", note="b")
    ByName.objects.update(name="c")
    ByPair.objects.create(left=1, right=2)
    book.delete()
    sql("TRUNCATE app_bypair")


def by_object(events: list[Any]) -> list[Any]:
    """Return the events sorted by object, each object's in their order."""
    return sorted(events, key=lambda event: (event[1], event[2] or ""))
