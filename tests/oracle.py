"""The oracle: notes ``str(instance)`` at each change while it happens, for comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.models import Model, QuerySet
from hypothesis import HealthCheck, settings

from auditrepr.models import AuditLog
from auditrepr.utils.table_names import log_name
from auditrepr.vendors import get_vendor
from tests.sizes import examples

#: How many histories a state machine tries, and how long each is.
HISTORIES = settings(
    **examples(quick=15, full=100, named="TRUTH_EXAMPLES"),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

Key = tuple[str, str]  # the table as the log has it, and the object in it
Said = dict[Key, str]


class Raised(str):
    """The name of the exception that was raised in place of a text."""


class Oracle:
    """Notes, for every event of these models, the texts of their objects at that moment.

    For a delete, this is the state before its statement; for others, the state after it.

    :param rehearse: try each delete and roll it back first, to ask only the objects that it
        removes, where otherwise all are asked. For large tables, and one connection.
    """

    def __init__(
        self, models: Sequence[type[Model]], using: str = "default", rehearse: bool = False
    ) -> None:
        self.models = models
        self.using = using
        self.rehearse = rehearse
        self.vendor = get_vendor(using)
        self.expected: dict[int, str] = {}
        self._noting = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note every statement inside that changes something, whatever causes it."""
        with connections[self.using].execute_wrapper(self._execute):
            yield

    def _execute(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        verb = sql.lstrip().split(" ", 1)[0].upper()
        if self._noting or verb not in {"INSERT", "UPDATE", "DELETE", "WITH", "TRUNCATE"}:
            return execute(sql, params, many, context)
        self._noting = True
        try:
            # The objects of a delete must be read before it; others can be read afterwards.
            before: Said = {}
            if verb not in {"INSERT", "UPDATE"}:
                before = self._said(self._removed(lambda: execute(sql, params, many, context)))
            highest = self._highest()
            result = execute(sql, params, many, context)
            self._note(before, highest)
        finally:
            self._noting = False
        return result

    def _removed(self, statement: Callable[[], Any]) -> set[Key] | None:
        """Return the objects that a statement would change; unknown without a rehearsal."""
        if not self.rehearse:
            return None
        with transaction.atomic(self.using):
            highest = self._highest()
            statement()
            keys = {_key(row) for row in self._own(highest)}
            transaction.set_rollback(True, self.using)
        return keys

    def _note(self, before: Said, highest: int) -> None:
        rows = list(self._own(highest))
        deleted = AuditLog.Action.DELETE
        after = self._said({_key(row) for row in rows if row.action != deleted})
        for row in rows:
            self.expected.pop(row.pk, None)  # SQLite gives a rolled-back id again
            said = before if row.action == deleted else after
            if _key(row) in said:
                self.expected[row.pk] = said[_key(row)]

    def _own(self, highest: int) -> QuerySet[AuditLog]:
        """Return the statement's events, without those that other connections have committed."""
        rows = AuditLog.objects.using(self.using).filter(pk__gt=highest)
        connection = connections[self.using]
        if connection.vendor == "postgresql" and connection.in_atomic_block:
            return rows.extra(where=["transaction_id = txid_current()"])
        return rows

    def _highest(self) -> int:
        rows = AuditLog.objects.using(self.using).order_by("-pk")
        return rows.values_list("pk", flat=True).first() or 0

    def _said(self, wanted: set[Key] | None = None) -> Said:
        """Return the current texts of these objects, by default of all."""
        said: Said = {}
        tables = None if wanted is None else {table for table, _ in wanted}
        for model in self.models:
            table = log_name(model._meta.db_table)
            if tables is not None and table not in tables:
                continue
            instances = list(QuerySet(model, using=self.using))
            keys = self.vendor.key_texts(model._meta.pk, [one.pk for one in instances])
            for key, instance in zip(keys, instances, strict=True):
                if wanted is None or (table, key) in wanted:
                    said[table, key] = _said(instance)
        return said


def _key(row: AuditLog) -> Key:
    return row.table_name, row.object_id or ""


def _said(instance: Any) -> str:
    try:
        return str(instance)
    except DatabaseError:
        raise  # the transaction cannot go on
    except Exception as error:
        return Raised(type(error).__name__)
