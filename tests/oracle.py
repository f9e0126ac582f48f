"""What ``str(instance)`` says at each change, noted while it happens, for tests to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from auditrepr.models import AuditLog
from auditrepr.tracking import log_name
from auditrepr.vendors import get_vendor


class Oracle:
    """Notes, for every event of these models, what their objects said at that moment."""

    def __init__(self, models: Sequence[type[Model]], using: str = "default") -> None:
        self.models = models
        self.using = using
        self.expected: dict[int, str] = {}

    @contextmanager
    def statement(self) -> Iterator[None]:
        """One change: as of its deletes is the state before it, as of the rest that after it."""
        before = self._said()
        highest = self._highest()
        yield
        after = self._said()
        for row in AuditLog.objects.using(self.using).filter(pk__gt=highest):
            said = before if row.action == "D" else after
            key = (row.table_name, row.object_id)
            if key in said:
                self.expected[row.pk] = said[key]

    def _highest(self) -> int:
        rows = AuditLog.objects.using(self.using).order_by("-pk")
        return rows.values_list("pk", flat=True).first() or 0

    def _said(self) -> dict[tuple[str, str], str]:
        vendor = get_vendor(self.using)
        return {
            (log_name(model._meta.db_table), key): _said(instance)
            for model in self.models
            for instances in [list(QuerySet(model, using=self.using))]
            for key, instance in zip(
                vendor.key_texts(model._meta.pk, [one.pk for one in instances]),
                instances,
                strict=True,
            )
        }


def _said(instance: Any) -> str:
    try:
        with transaction.atomic():
            return str(instance)
    except Exception as error:
        return f"{type(error).__name__}"
