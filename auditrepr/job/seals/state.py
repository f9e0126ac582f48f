"""Until where the log is sealed, for monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from ...conf import get_settings
from ...models import AuditLog
from ...vendors.types import BEGINNING
from . import chain, form


@dataclass(frozen=True)
class SealState:
    """The last seal, and what waits for the next one."""

    upto_id: int | None = None  # None: nothing is sealed yet
    at: datetime | None = None
    oldest_at: datetime | None = None  # when the first event that is not sealed occurred

    def lag(self, now: datetime) -> float:
        """Return the seconds that the oldest event that is not sealed has waited."""
        return max(0.0, (now - self.oldest_at).total_seconds()) if self.oldest_at else 0.0


def of(using: str) -> SealState | None:
    """Return until where the log is sealed; None if the project does not ask for seals."""
    if not get_settings().SEAL:
        return None
    last = chain.last_seal(using)
    later = AuditLog.objects.using(using).filter(pk__gt=last.upto_id if last else BEGINNING)
    oldest = later.order_by("pk").values_list("occurred_at", flat=True).first()
    if last is None:
        return SealState(oldest_at=oldest)
    return SealState(last.upto_id, _shown(form.moment(last.sealed_at)), oldest)


def _shown(moment: datetime) -> datetime:
    """Return the time as Django's own are."""
    return moment if settings.USE_TZ else timezone.make_naive(moment)
