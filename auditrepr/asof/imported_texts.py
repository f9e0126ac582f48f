"""Reads the texts that another log stored for the objects of events that were imported from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..models import AuditLog
from ..vendors import Vendor
from ..vendors.types import LAST_IMPORTED


class ImportedText(NamedTuple):
    """What a source has said of an object."""

    text: str
    source: str  # its name


def imported_texts(vendor: Vendor, ids: Iterable[int]) -> dict[int, ImportedText]:
    """Return the texts that the sources of these events have brought, by the events' IDs."""
    imported = [pk for pk in ids if pk <= LAST_IMPORTED]
    if not imported:
        return {}
    condition, parameters = vendor.is_among(imported)
    rows = AuditLog.objects.using(vendor.using).filter(context__has_key="imported_text")
    found = rows.extra(where=[condition], params=parameters).values_list("pk", "context")  # noqa: S610
    return {
        pk: ImportedText(context["imported_text"], str(context.get("imported_from", "")))
        for pk, context in found
        if isinstance(context["imported_text"], str)
    }
