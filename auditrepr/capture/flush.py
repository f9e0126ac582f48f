"""Makes Django's flush, with which test suites start over, leave nothing in the log.

PostgreSQL truncates all tables in one statement, and the triggers know that the log is among them.
SQLite deletes from one table after the other, so the log would record every deleted row.
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
    """A mixin that comes before a database's own operations."""

    def sql_flush(self, style: Style, tables: Sequence[str], **options: Any) -> list[str]:
        statements = super().sql_flush(style, tables, **options)
        log = AuditLog._meta.db_table
        # The tables come in any order: delete what was recorded in the meantime at the end.
        if log in tables and get_vendor(self.connection.alias).flushes_table_by_table:
            statements += super().sql_flush(style, [log], **options)
        return statements


def connect() -> None:
    """Put the audited operations before those of every database; later calls do nothing."""
    for connection in connections.all():
        wrapper = type(connection)
        if not supports(connection):
            continue
        if not issubclass(wrapper.ops_class, AuditedOperations):
            bases = (AuditedOperations, wrapper.ops_class)
            wrapper.ops_class = type(wrapper.ops_class.__name__, bases, {})
        connection.ops = wrapper.ops_class(connection)
