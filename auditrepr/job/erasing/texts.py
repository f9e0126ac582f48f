"""Erases in what is stored besides the log: representations, failures, runs, and more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import Model, Q, QuerySet

from ...models import (
    BackfillRun,
    Erasure,
    Fidelity,
    Import,
    InstanceRepr,
    KnownFinding,
    RelatedObject,
    ReprFailure,
)
from ...vendors import get_vendor
from .needles import MARK, Needles

#: The reason of a representation that was replaced, until it is built again.
WAITING = "erased, and not yet built again"
#: The texts of failures.
_FAILURE = ("error_class", "message", "traceback")
#: Texts of the tables in which a row is about no event.
_OTHERS: dict[type[Model], tuple[str, ...]] = {
    BackfillRun: ("error", "host", "holder", "command"),
    KnownFinding: ("key", "topic"),
    Import: ("sources", "parts"),
    Erasure: ("by",),
}


def naming(rows: QuerySet[Any], columns: Sequence[str], needles: Needles) -> list[Any]:
    """Return the rows with one of the texts in one of these columns."""
    if not needles:
        return []
    condition = get_vendor(rows.db).naming(columns, needles.sought)
    found = rows.filter(condition).only(*columns).iterator()
    return [row for row in found if any(needles.within(getattr(row, name)) for name in columns)]


def representations(rows: QuerySet[InstanceRepr], needles: Needles) -> list[int]:
    """Return the events whose representation, or why it is mixed, has one of the texts."""
    return [one.pk for one in naming(rows, ("instance_repr", "reason"), needles)]


def mark(using: str, ids: Collection[int]) -> int:
    """Replace these representations by the mark, until they are built again."""
    rows = InstanceRepr.objects.using(using).filter(pk__in=ids)
    return rows.update(instance_repr=MARK, fidelity=Fidelity.MIXED, reason=WAITING)


def waiting(using: str) -> QuerySet[InstanceRepr]:
    """Return the representations that are to be built again."""
    return InstanceRepr.objects.using(using).filter(fidelity=Fidelity.MIXED, reason=WAITING)


def failures(rows: QuerySet[ReprFailure], needles: Needles) -> list[int]:
    """Return the events whose failure has one of the texts."""
    return [one.pk for one in naming(rows, _FAILURE, needles)]


def own_failures(rows: QuerySet[ReprFailure]) -> list[int]:
    """Return the events of these failures that say more than the mark."""
    more = ~Q(message=MARK) | ~Q(traceback__in=(MARK, ""))
    return list(rows.filter(more).values_list("pk", flat=True))


def erase_failures(using: str, ids: Collection[int], needles: Needles) -> int:
    """Replace the texts of these failures by the mark."""
    rows = ReprFailure.objects.using(using).filter(pk__in=ids)
    for row in naming(rows, ("error_class",), needles):
        rows.filter(pk=row.pk).update(error_class=MARK)
    rows.exclude(traceback="").update(traceback=MARK)
    return rows.update(message=MARK)


def others(using: str, needles: Needles, record: Erasure | None = None) -> list[Model]:
    """Return the runs, findings, imports and erasures that have one of the texts.

    :param record: the erasure that is under way: who erases stays.
    """
    found: list[Model] = []
    for model, columns in _OTHERS.items():
        rows = naming(model._base_manager.using(using).all(), columns, needles)
        found += [row for row in rows if row != record and _erased(row, needles)]
    return found


def erase_others(using: str, rows: Iterable[Model], needles: Needles) -> None:
    """Erase the texts in these rows; a finding is deleted, and found again if it persists."""
    for row in rows:
        own = type(row)._base_manager.using(using).filter(pk=row.pk)
        if isinstance(row, KnownFinding):
            own.delete()
        else:
            own.update(**_erased(row, needles))


def _erased(row: Model, needles: Needles) -> dict[str, Any]:
    """Return the columns of the row in which something is erased, as they become."""
    was = {name: getattr(row, name) for name in _OTHERS[type(row)]}
    now = {name: needles.replaced_in(value) for name, value in was.items()}
    return {name: value for name, value in now.items() if value != was[name]}


def about(using: str, tables: Collection[str], keys: Collection[str]) -> QuerySet[RelatedObject]:
    """Return where other events are about the rows of these tables with these keys."""
    rows = RelatedObject.objects.using(using)
    return rows.filter(table_name__in=tables, object_id__in=keys)


def replace_keys(using: str, tables: Collection[str], keys: dict[str, str]) -> None:
    """Replace keys of the object where other events are about it."""
    for key, replacement in keys.items():
        about(using, tables, [key]).update(object_id=replacement)
