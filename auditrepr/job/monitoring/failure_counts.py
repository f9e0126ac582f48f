"""Counts the failed and the final events of a database, up to a limit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Func, QuerySet
from django.db.models.functions import Now

from ...models import ReprFailure
from ...vendors import get_vendor
from ..pending import Count

#: Maximum number of failures to count, the newest first.
MOST_FAILURES = 10_000


@dataclass(frozen=True)
class Failures:
    """The failed events."""

    by_error: tuple[tuple[str, int], ...]  # the most frequent first
    rows: Count
    due: Count


@dataclass(frozen=True)
class FinalEvents:
    """The events without a representation because ``str()`` raised as of them, too."""

    by_error: tuple[tuple[str, int], ...]
    rows: Count


def failing(using: str) -> Failures:
    """Return the failed events of this database."""
    entries = ReprFailure.objects.using(using).failing()
    due = len(entries.filter(next_attempt_at__lte=Now()).values_list("pk")[:MOST_FAILURES])
    return Failures(*_by_error(entries), Count(due, complete=due < MOST_FAILURES))


def final(using: str) -> FinalEvents:
    """Return the final events of this database."""
    return FinalEvents(*_by_error(ReprFailure.objects.using(using).final()))


def _by_error(entries: QuerySet[ReprFailure]) -> tuple[tuple[tuple[str, int], ...], Count]:
    """Return the numbers by error class, and how many there are."""
    errors = list(entries.order_by("-pk").values_list("error_class", flat=True)[:MOST_FAILURES])
    rows = Count(len(errors), complete=len(errors) < MOST_FAILURES)
    return tuple(Counter(errors).most_common()), rows


def recently_failed(using: str, window: timedelta) -> Count:
    """Return how many events failed, or failed again, within this time."""
    entries = ReprFailure.objects.using(using).failing()
    failed = entries.filter(last_failed_at__gte=_ago(using, window))
    rows = len(failed.values_list("pk")[:MOST_FAILURES])
    return Count(rows, complete=rows < MOST_FAILURES)


def _ago(using: str, window: timedelta) -> Func:
    """Return a time by the database's clock, as the times are that it is compared with."""
    return get_vendor(using).clock(-window.total_seconds())
