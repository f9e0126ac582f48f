"""A writer that has taken an id of the log and does not commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from . import data


@contextmanager
def open_writer() -> Iterator[None]:
    """Inside, its transaction is open; in the end it is rolled back."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(data.invoices("shop_invoice", 1, 1).replace("%", "%%"), [])
        yield
    finally:
        other.rollback()
        other.close()
