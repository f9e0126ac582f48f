"""Builds the page about the backfill job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.admin import AdminSite
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from ..job.monitoring import summary
from ..lineage import recent_renames
from ..models import BackfillRun, Erasure, ReprFailure, ReprFailureQuerySet
from ..readers.changes import model_label
from ..readers.permissions import asked_log, readable_failures, readable_tables
from ..utils.text import visible
from . import notices
from .event_lines import query_of
from .filters import failures_in
from .job_facts import facts
from .job_headline import headline
from .keyset import LOOKED_AT

#: Maximum number of failures that the page counts, the newest first.
MOST_FAILURES = 1000
DAY = timedelta(days=1)
BARS = 96  # a quarter of an hour each
MINUTES = DAY / timedelta(minutes=1) / BARS  # of one bar
HEIGHT = 100  # of the chart, in its own units


class Kinds(NamedTuple):
    """Failures by model and error."""

    rows: list[dict[str, Any]]
    counted: bool  # all that were searched
    notes: list[str]  # how far they were searched


@dataclass(frozen=True)
class Bar:
    """A part of the day: its start, and the representations stored per minute."""

    since: datetime
    rate: float
    x: int = 0
    height: float = 0.0

    @property
    def y(self) -> float:
        return HEIGHT - self.height


def context(request: HttpRequest, site: AdminSite) -> dict[str, Any]:
    """Return what the template needs in addition to the list of runs."""
    using = asked_log(request)
    now = timezone.now()
    runs = BackfillRun.objects.using(using)
    bars = chart(runs.filter(Q(ended_at__gte=now - DAY) | Q(ended_at=None)), now)
    failures = _by_kind(request.user, using, "failed")
    final = _by_kind(request.user, using, "final")
    found = summary.of(using)
    told = [*notices.on_recording(using), *notices.on_gaps(using)]
    return {
        "title": _("Backfill status"),
        "notices": [*told, *failures.notes, *final.notes],
        "headline": headline(found, using, len(told), sum(one["count"] for one in failures.rows)),
        "facts": facts(found, using),
        "in_log": query_of(using),
        "failing_query": query_of(using, state="failed"),
        "final_query": query_of(using, state="final"),
        "bars": bars,
        "hours": _hours(bars),
        "highest": max(bar.rate for bar in bars),
        "failures": failures.rows,
        "all_failures": failures.counted,
        "final": final.rows,
        "all_final": final.counted,
        "most_failures": MOST_FAILURES,
        "may_retry": may_retry(request.user),
        "may_cancel": found.round and may_cancel(request.user),
        "may_read_erasures": site.is_registered(Erasure)
        and request.user.has_perm("auditrepr.view_erasure"),
        "may_read_failures": site.is_registered(ReprFailure)
        and request.user.has_perm("auditrepr.view_reprfailure"),
    }


def may_retry(user: Any) -> bool:
    return bool(user.has_perm("auditrepr.change_reprfailure"))


def may_cancel(user: Any) -> bool:
    return bool(user.has_perm("auditrepr.delete_share"))


def retry(user: Any, using: str, table_name: str, error_class: str) -> int:
    """Make these failures due for the next run; return their number."""
    failures = readable_failures(user, using).failing().filter(error_class=error_class)
    its_events = recent_renames(failures.db).lineage(table_name).events("audit_log__")
    return failures.filter(its_events).update(next_attempt_at=Now())


def _by_kind(user: Any, using: str, state: str) -> Kinds:
    """Return the newest failures in this state by model and error, as far as this user may see."""
    failures = failures_in(readable_failures(user, using), state).order_by("-pk")
    since = _searched_since(user, failures_in(ReprFailure.objects.using(using), state))
    if since is not None:
        failures = failures.filter(pk__gte=since)
    renames = recent_renames(using)
    kinds = failures.values_list("audit_log__table_name", "audit_log__occurred_at", "error_class")
    newest = kinds[: MOST_FAILURES + 1]
    found = [(renames.shown_name(name, at), error) for name, at, error in newest]
    counts = Counter(found[:MOST_FAILURES]).most_common()
    rows = [
        {
            "table_name": table,
            "error_class": error,
            "model": model_label(table),
            "error": visible(error),
            "count": count,
        }
        for (table, error), count in counts
    ]
    counted = len(found) <= MOST_FAILURES
    return Kinds(
        rows, counted, [_not_searched(state, since)] if counted and since is not None else []
    )


def _searched_since(user: Any, failures: ReprFailureQuerySet) -> int | None:
    """Return the failure at which the search for the few that this user may see stops, if any."""
    if readable_tables(user) is None:
        return None
    keys = failures.order_by("-pk").values_list("pk", flat=True)
    return keys[LOOKED_AT : LOOKED_AT + 1].first()


def _not_searched(state: str, since: int) -> str:
    if state == "final":
        return _("Final events were searched as far as event %(number)d; there may be more.") % {
            "number": since
        }
    text = _("Failed representations were searched as far as event %(number)d; there may be more.")
    return text % {"number": since}


def chart(runs: Iterable[BackfillRun], now: datetime) -> list[Bar]:
    """Return the representations per minute over the last day; each run's are spread evenly."""
    begin = now - DAY
    rates = [0.0] * BARS
    for run in runs:
        first = (run.started_at - begin) / DAY * BARS
        last = max(((run.ended_at or run.seen_at or now) - begin) / DAY * BARS, first + 1e-6)
        for n in range(max(0, int(first)), min(BARS, int(last) + 1)):
            share = (min(last, n + 1) - max(first, n)) / (last - first)
            rates[n] += max(0.0, share) * run.rows / MINUTES
    highest = max(rates) or 1.0
    return [
        Bar(begin + n * DAY / BARS, rate, 10 * n, HEIGHT * rate / highest)
        for n, rate in enumerate(rates)
    ]


def _hours(bars: Sequence[Bar]) -> list[Bar]:
    quarters = BARS // 24
    return [
        Bar(bars[n].since, sum(bar.rate for bar in bars[n : n + quarters]) / quarters)
        for n in range(0, BARS, quarters)
    ]
