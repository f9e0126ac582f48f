"""Django's flush, with which test suites start over: it leaves nothing in the log.

PostgreSQL empties all tables in one statement, and the triggers know that the log is among them.
SQLite empties them one after the other, so that the log holds every row that went.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.management.color import Style
from django.db import connections
from django.db.backends.base.operations import BaseDatabaseOperations

from ..models import AuditLog
from ..vendors import get_vendor, supports


class AuditedOperations(BaseDatabaseOperations):
    """Goes in front of a database's own operations."""

    def sql_flush(self, style: Style, tables: Sequence[str], **options: Any) -> list[str]:
        statements = super().sql_flush(style, tables, **options)
        log = AuditLog._meta.db_table
        # The tables come in any order: what was written into the log meanwhile goes at the end.
        if log in tables and get_vendor(self.connection.alias).flushes_table_by_table:
            statements += super().sql_flush(style, [log], **options)
        return statements


def connect() -> None:
    """Put the audited operations in front of those of every database; once is enough."""
    for connection in connections.all():
        wrapper = type(connection)
        if not supports(connection):
            continue
        if not issubclass(wrapper.ops_class, AuditedOperations):
            bases = (AuditedOperations, wrapper.ops_class)
            wrapper.ops_class = type(wrapper.ops_class.__name__, bases, {})
        connection.ops = wrapper.ops_class(connection)
