"""Erasures of this log, which imported events know nothing of: they may name who was erased."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max

from ...lineage import recent_renames
from ...models import Erasure
from ...utils.table_names import model_for_table


@dataclass(frozen=True)
class Erasures:
    """Erasures of one kind; no record says whom they were about."""

    number: int
    last: datetime
    label: str  # of the objects' model, or their table; empty: actors
    columns: str  # those that were named; empty: all text

    @property
    def command(self) -> str:
        """Return the command that erases one of them again, with what only its reader knows."""
        what = f"--object {self.label}:KEY" if self.label else "--actor ACTOR"
        named = f" --columns {self.columns.replace(', ', ' ')}" if self.columns else ""
        return f"manage.py erase_from_audit_log {what}{named}"


def erasures(using: str) -> list[Erasures]:
    """Return the erasures of this log, the kind of the latest one first."""
    rows = Erasure.objects.using(using).values_list("subject", "table_name", "columns")
    kinds = rows.annotate(number=Count("pk"), last=Max("started_at")).order_by("-last")
    return [
        Erasures(number, last, _label(using, table, last) if table else "", columns)
        for _, table, columns, number, last in kinds
    ]


def _label(using: str, table: str, at: datetime) -> str:
    """Return the label of the model that has the table now."""
    name = recent_renames(using).shown_name(table, at)
    model = model_for_table(name)
    return model._meta.label if model else name
