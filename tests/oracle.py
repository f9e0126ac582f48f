"""What ``str(instance)`` says at each change, noted while it happens, for tests to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.models import Model, QuerySet

from auditrepr.models import AuditLog
from auditrepr.tracking import log_name
from auditrepr.vendors import get_vendor

Said = dict[tuple[str, str], str]


class Oracle:
    """Notes, for every event of these models, what their objects said at that moment.

    As of a delete is the state before its statement, as of the rest that after it.
    """

    def __init__(self, models: Sequence[type[Model]], using: str = "default") -> None:
        self.models = models
        self.using = using
        self.vendor = get_vendor(using)
        self.expected: dict[int, str] = {}
        self._noting = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Every statement that changes something inside is noted, however it comes about."""
        with connections[self.using].execute_wrapper(self._execute):
            yield

    def _execute(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        changes = sql.lstrip().split(" ", 1)[0].upper() in {"INSERT", "UPDATE", "DELETE", "WITH"}
        if self._noting or not changes:
            return execute(sql, params, many, context)
        self._noting = True
        try:
            before, highest = self._said(), self._highest()
            result = execute(sql, params, many, context)
            self._note(before, highest)
        finally:
            self._noting = False
        return result

    def _note(self, before: Said, highest: int) -> None:
        after = self._said()
        for row in self._own(highest):
            self.expected.pop(row.pk, None)  # SQLite gives a rolled-back id again
            said = before if row.action == "D" else after
            key = (row.table_name, row.object_id)
            if key in said:
                self.expected[row.pk] = said[key]

    def _own(self, highest: int) -> QuerySet[AuditLog]:
        """The events of the statement, not those that others have committed meanwhile."""
        rows = AuditLog.objects.using(self.using).filter(pk__gt=highest)
        connection = connections[self.using]
        if connection.vendor == "postgresql" and connection.in_atomic_block:
            return rows.extra(where=["transaction_id = txid_current()"])
        return rows

    def _highest(self) -> int:
        rows = AuditLog.objects.using(self.using).order_by("-pk")
        return rows.values_list("pk", flat=True).first() or 0

    def _said(self) -> Said:
        said: Said = {}
        for model in self.models:
            instances = list(QuerySet(model, using=self.using))
            keys = self.vendor.key_texts(model._meta.pk, [one.pk for one in instances])
            for key, instance in zip(keys, instances, strict=True):
                said[log_name(model._meta.db_table), key] = _said(instance, self.using)
        return said


def _said(instance: Any, using: str) -> str:
    try:
        # SQLite has no use for a savepoint, nor room for one while a RETURNING is being read.
        with transaction.atomic(using) if connections[using].vendor != "sqlite" else ExitStack():
            return str(instance)
    except Exception as error:
        return f"{type(error).__name__}"
