"""A writer that has taken an ID of the log and does not commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from . import data


@contextmanager
def open_writer() -> Iterator[None]:
    """Keep its transaction open during the block, then roll it back."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(data.invoices("shop_invoice", 1, 1).replace("%", "%%"), [])
        yield
    finally:
        other.rollback()
        other.close()
