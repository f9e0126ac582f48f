"""Records in ``Coverage`` up to which event, and which transaction, events are pruned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db.models import Q, QuerySet

from ...models import Coverage
from .due import Due


class Deleted(NamedTuple):
    """An event that is deleted."""

    pk: int
    transaction_id: int | None
    table_name: str


def mark(using: str, due: Due, end: int, deleted: Sequence[Deleted]) -> None:
    """Record that these events, up to this ID, are pruned; call this before."""
    coverage = Coverage.objects.using(using)
    tables = due.tables({name for *_, name in deleted})
    if tables is None:
        _mark_rows(coverage, end, (number for _, number, _ in deleted))
        return
    for table, names in tables.items():
        own = [(pk, number) for pk, number, name in deleted if name in names]
        last = max(pk for pk, _ in own)
        _mark_rows(coverage.filter(table_name=table), last, (number for _, number in own))


def _mark_rows(
    coverage: QuerySet[Coverage], pruned_id: int, transactions: Iterable[int | None]
) -> None:
    coverage.filter(pruned_id__lt=pruned_id).update(pruned_id=pruned_id)
    latest = max((number for number in transactions if number is not None), default=None)
    if latest is not None:
        unknown = Q(pruned_transaction_id=None) | Q(pruned_transaction_id__lt=latest)
        coverage.filter(unknown).update(pruned_transaction_id=latest)
