"""Decides which findings to report: each when it is first seen, and then once an hour.

However many runs see it: what is repeated too often is not read. The database's clock decides, as
runs on several hosts share what they know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error, transaction
from django.db.models import QuerySet

from ..models import KnownFinding
from ..utils.phrases import Sentence
from ..vendors import get_vendor

#: How often a finding is reported while it lasts.
AGAIN = timedelta(hours=1)

#: The topics of findings; each is reported separately.
RECORDING, MIGRATIONS, FAILURES = "recording", "migrations", "failures"
#: Topics of which a run sees only a part: what it does not see may last.
SEEN_IN_PART = {FAILURES}


@dataclass(frozen=True)
class Finding:
    """A problem that needs attention.

    :param kind: with the name, what identifies it from one run to the next.
    :param patience: how long it lasts before it is reported.
    :param once: report it only once while it lasts.
    """

    kind: str
    name: str
    text: str
    remedy: str = ""  # what to do about it
    patience: timedelta = timedelta()
    once: bool = False

    @property
    def key(self) -> str:
        """Return what identifies it from one run to the next."""
        return f"{self.kind} {self.name}"

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}".rstrip()

    def translated(self) -> str:
        """Return the same in the active language, as far as it is translated."""
        parts = (self.text, self.remedy)
        said = (part.translated() if isinstance(part, Sentence) else part for part in parts)
        return " ".join(said).rstrip()


Found = Mapping[str, Sequence[Finding]]


def due(using: str, found: Found) -> list[Finding]:
    """Return the findings to report now; note that they are, and forget those that are over.

    :param found: all findings there are now, by topic; other topics stay as they are.
    :raises django.db.Error: if this cannot be stored.
    """
    known = KnownFinding.objects.using(using).filter(topic__in=found)
    if not any(found.values()) and not known.exists():
        return []
    with transaction.atomic(using):
        return [
            finding
            for topic, findings in found.items()
            for finding in _due(using, topic, {finding.key: finding for finding in findings})
        ]


def to_tell(using: str, found: Found) -> list[Finding]:
    """Return the findings to report now, even if that cannot be stored."""
    try:
        return due(using, found)
    except Error:
        return at_once(found)


def at_once(found: Found) -> list[Finding]:
    """Return the findings to report if it cannot be known which were: rather twice than never."""
    return [f for findings in found.values() for f in findings if not f.patience]


def first_seen(using: str, topic: str, patience: timedelta) -> datetime | None:
    """Return since when there are findings of this topic, if for longer than this."""
    known = KnownFinding.objects.using(using).filter(topic=topic)
    old = known.filter(first_seen_at__lte=get_vendor(using).clock(-patience.total_seconds()))
    return old.values_list("first_seen_at", flat=True).order_by("first_seen_at").first()


def _due(using: str, topic: str, found: Mapping[str, Finding]) -> list[Finding]:
    vendor = get_vendor(using)
    known = KnownFinding.objects.using(using).filter(topic=topic)
    _forget(known, found, vendor.clock(-AGAIN.total_seconds()) if topic in SEEN_IN_PART else None)
    if not found:
        return []
    now = vendor.clock()
    known.bulk_create(
        [KnownFinding(key=key, topic=topic, first_seen_at=now) for key in found],
        ignore_conflicts=True,
    )
    # Locked, so that of several runs one reports it.
    rows = known.filter(pk__in=found).annotate(now=now).select_for_update().order_by("pk")
    news = {row.pk for row in rows if _is_due(found[row.pk], row, row.now)}
    known.filter(pk__in=news).update(reported_at=vendor.clock())
    return [finding for key, finding in found.items() if key in news]


def _forget(known: QuerySet[KnownFinding], found: Iterable[str], before: object | None) -> None:
    over = known.exclude(pk__in=list(found))
    (over if before is None else over.filter(reported_at__lte=before)).delete()


def _is_due(finding: Finding, known: KnownFinding, now: datetime) -> bool:
    if known.reported_at is not None:
        return not finding.once and now - known.reported_at >= AGAIN
    return now - known.first_seen_at >= finding.patience
