"""Erasures of this log, which imported events know nothing of: they may name who was erased."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max

from ...models import Erasure


@dataclass(frozen=True)
class Erasures:
    """Erasures of one kind."""

    number: int
    last: datetime
    command: str  # that erases one of them again


def erasures(using: str) -> list[Erasures]:
    """Return the erasures of this log, the kind of the latest one first."""
    rows = Erasure.objects.using(using).values_list("subject", "table_name", "columns")
    kinds = rows.annotate(number=Count("pk"), last=Max("started_at")).order_by("-last")
    return [
        Erasures(
            number,
            last,
            Erasure(subject=subject, table_name=table, columns=columns, started_at=last).command(
                using
            ),
        )
        for subject, table, columns, number, last in kinds
    ]
