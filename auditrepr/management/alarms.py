"""What is wrong with a database and its job, so that ``backfill_status`` fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from ..job.monitoring import failure_counts, gaps
from ..job.monitoring.status import JobStatus
from ..utils.phrases import noun, span

#: Maximum number of tables to name on standard error.
MOST_ALARMS = 20


def alarms_of(found: JobStatus, window: timedelta, limit: float | None) -> Iterator[str]:
    """Yield what is wrong; any of it makes the command fail."""
    lasting = [finding for finding in found.findings if not finding.once]
    yield from _first(map(str, lasting))
    if found.migrations_since:
        waited = span((found.at - found.migrations_since).total_seconds())
        yield (
            f"Migrations have been pending for {waited}."
            f" Run: manage.py migrate --database {found.database}"
        )
    named = {finding.name for finding in lasting}
    recent = gaps.recently_recorded(found.database, window)
    yield from _first(
        f"{gap.table_name}: the log has a gap ({gap.get_reason_display()})."
        for gap in found.gaps
        if gap.table_name not in named and (gap.since_event is None or gap.table_name in recent)
    )
    failed = failure_counts.recently_failed(found.database, window)
    if failed.rows:
        within = span(window.total_seconds())
        yield f"{failed} {noun(failed.rows, 'event')} failed within {within}. The admin lists them."
    yield from late(found.lag, limit)


def late(lag: float, limit: float | None) -> Iterator[str]:
    """Yield that the oldest pending event has waited for longer than allowed, if it has."""
    if limit is not None and lag > limit:
        waited, allowed = span(lag), span(limit)
        yield f"The oldest pending event has waited {waited}; --max-lag allows {allowed}."


def _first(alarms: Iterable[str]) -> Iterator[str]:
    """Yield the first lines, and how many there are besides."""
    every = list(alarms)
    yield from every[:MOST_ALARMS]
    if len(every) > MOST_ALARMS:
        yield f"{len(every) - MOST_ALARMS} more like these: manage.py backfill_status"
