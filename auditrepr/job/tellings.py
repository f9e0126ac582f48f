"""Reports what needs attention when it is first seen, and then once an hour."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.db import Error, transaction

from ..models.log import Telling
from ..vendors import get_vendor

#: Seconds until the same finding is reported again.
AGAIN = 3600


class Finding(NamedTuple):
    """Something that is not as it should be."""

    kind: str
    subject: str  # together with `kind`, identifies the finding
    text: str

    @property
    def name(self) -> str:
        """Return the key under which it is stored."""
        return f"{self.kind}: {self.subject}"


def due(using: str, findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings to report now, and note that they were reported.

    If that cannot be noted, return all of them: rather twice than never.
    """
    found = {finding.name: finding for finding in findings}
    if not found:
        return []
    try:
        with transaction.atomic(using):
            told = _told(using, found)
    except Error:
        return list(found.values())
    return [finding for name, finding in found.items() if name not in told]


def _told(using: str, names: Collection[str]) -> set[str]:
    """Return those that were reported within the hour, and note the others as reported now."""
    tellings = Telling.objects.using(using)
    vendor = get_vendor(using)
    tellings.filter(told_at__lte=vendor.clock(-AGAIN)).delete()
    told = set(tellings.filter(pk__in=names).values_list("pk", flat=True))
    tellings.bulk_create(
        [Telling(name, vendor.clock()) for name in names if name not in told],
        ignore_conflicts=True,  # another run has reported it meanwhile
    )
    return told
