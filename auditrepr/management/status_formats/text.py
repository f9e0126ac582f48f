"""Formats the state of the job as text, for one screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...job import logs
from ...job.monitoring.status import JobStatus
from ...job.rounds import shares
from ...lineage import unapplied
from ...models import BackfillRun
from ...utils.phrases import noun, span, timestamp
from ...utils.text import visible

#: This many runs in a row that found the lock held are no coincidence.
MANY_SKIPPED = 5


class Line(NamedTuple):
    """A line of text, and whether it needs attention."""

    text: str
    alarming: bool = False


def lines(status: JobStatus) -> Iterator[Line]:
    """Yield the lines of one screen."""
    yield Line(f"{'database':<12}{visible(logs.named(status.database))}{_schema(status)}")
    for name, part in _PARTS.items():
        for line in part(status):
            text, alarming = line if isinstance(line, Line) else Line(line)
            yield Line(f"{name:<12}{visible(text)}", alarming)
            name = ""


def _schema(status: JobStatus) -> str:
    """Return the schema of the log, if it is not the usual one."""
    return f" (schema {visible(status.schema)})" if status.schema else ""


def _pending(status: JobStatus) -> Iterator[str | Line]:
    waited = f"; the oldest has waited {span(status.lag)}" if status.oldest_at else ""
    yield f"{status.pending} {noun(status.pending.rows, 'event')}{waited}"


def _mark(status: JobStatus) -> Iterator[str | Line]:
    mark = status.mark
    if mark.settled_id is None:
        yield "not set: no event is settled yet"
        return
    yield f"event {mark.settled_id}"
    if mark.held_since:
        since = span((status.at - mark.held_since).total_seconds())
        held_by = ", ".join(mark.held_by)
        yield f"held back for {since} by transactions open at the last check: {held_by}"


def _sealed(status: JobStatus) -> Iterator[str | Line]:
    sealed = status.sealed
    if sealed is None:
        return
    told = "nothing yet"
    if sealed.at is not None:
        told = f"up to event {sealed.upto_id}, at {timestamp(sealed.at)}"
    waited = f"; the oldest event that is not has waited {span(sealed.lag(status.at))}"
    yield told + (waited if sealed.oldest_at else "")


def _imports(status: JobStatus) -> Iterator[str | Line]:
    for one in status.imports:
        told = f"{' and '.join(one.sources)}: {one.events:,}"
        if one.finished_at:
            before, finished = timestamp(one.until), timestamp(one.finished_at)
            events = noun(one.events, "event")
            yield f"{told} {events} from before {before}, finished {finished}"
            continue
        told += f" of {one.planned:,} events, begun {timestamp(one.started_at)}"
        if one.worker:
            yield f"{told}; {one.worker}"
        else:
            yield Line(f"{told}; interrupted. To continue: {one.command}", alarming=True)


def _partitions(status: JobStatus) -> Iterator[str | Line]:
    found = status.partitions
    if found is not None:
        yield f"{found.count:,}, {found.ahead:,} of them ahead of the events"


def _lock(status: JobStatus) -> Iterator[str | Line]:
    if status.lease is None:
        began = status.last_started_at
        yield f"free; the last run began {timestamp(began)}" if began else "free"
        return
    holder = status.lease.holder or "an unknown process"
    if status.lease.expired:
        yield f"expired, last held by {holder}; the next run takes it over"
    else:
        until = timestamp(status.lease.expires_at)
        yield f"held by {holder}, until {until} unless renewed"


def _round(status: JobStatus) -> Iterator[str | Line]:
    found = status.round
    if found is None:
        return
    what = "" if found.command == shares.BACKFILL else f"{found.command}: "
    done = f"{what}{found.done:,} of {found.planned:,} shares done, {len(found.held):,} held"
    if found.seconds_left is not None:
        done += f"; {found.rate:,.0f} event IDs per second, about {span(found.seconds_left)} left"
    yield done
    for share in found.held:
        yield f"events {share.first_id} to {share.last_id}: {share.holder or 'unknown process'}"


def _runs(status: JobStatus) -> Iterator[str | Line]:
    if not status.runs:
        yield Line("none yet: schedule backfill_reprs (see deploy/crontab)", alarming=True)
    for run in status.runs:
        error = status.error(run)
        text = (
            f"{timestamp(run.started_at)}  {run.command}: {status.stop_reason(run) or 'running'},"
            f" {run.rows:,} stored, {run.failures:,} failed{_duration(run)}{_idle(run)}"
        )
        yield Line(f"{text}  {error}".rstrip(), alarming=bool(error))
    if status.skipped >= MANY_SKIPPED:
        found = f"the last {status.skipped:,} runs found the lock held"
        yield Line(f"{found}: check whether its holder hangs", alarming=True)


def _failures(status: JobStatus) -> Iterator[str | Line]:
    found = status.failures
    if not found.by_error:
        yield "none"
        return
    yield f"{found.rows} {noun(found.rows.rows, 'event')}, {found.due} due for a retry"
    for error_class, count in found.by_error[:5]:
        yield f"{count:,} {error_class}"


def _final(status: JobStatus) -> Iterator[str | Line]:
    found = status.final
    if found.by_error:
        events = noun(found.rows.rows, "event")
        yield f"{found.rows} {events}: str() raised as of the event; not retried"
    for error_class, count in found.by_error[:5]:
        yield f"{count} {error_class}"


def _migrations(status: JobStatus) -> Iterator[str | Line]:
    if status.migrations:
        pending = f"{len(status.migrations):,} pending, of {unapplied.apps_of(status.migrations)}"
        yield Line(pending, alarming=status.migrations_since is not None)


def _triggers(status: JobStatus) -> Iterator[str | Line]:
    if status.attached:
        missing = "" if status.attached.in_place else "; its view is missing: run migrate"
        yield Line(f"attached to {status.attached.source}{missing}", alarming=bool(missing))
        return
    if not status.broken and not status.waiting:
        yield "OK"
    for state in status.broken:
        yield Line(f"{state.name}: {state.status.value}", alarming=True)
    if status.broken:
        yield status.remedy
    for state in status.waiting:
        yield f"{state.name}: waiting for migrate; still recorded"


def _coverage(status: JobStatus) -> Iterator[str | Line]:
    if status.attached:
        yield f"unknown: {status.attached.source} does not say when it recorded"
        return
    if not status.gaps:
        yield "no gaps"
    for gap in status.gaps:
        since = "still open" if gap.since_event is None else f"up to event {gap.since_event}"
        yield Line(
            f"{gap.table_name}: gap, {since} ({gap.get_reason_display()})",
            alarming=gap.since_event is None,
        )


def _retention(status: JobStatus) -> Iterator[str | Line]:
    for one in status.overdue:
        oldest = timestamp(one.oldest_at)
        yield f"{one.entry}: prune_audit_log is due; the oldest event is of {oldest} ({one.age})"


def _erasing(status: JobStatus) -> Iterator[str | Line]:
    if status.erasing_since is not None:
        since = timestamp(status.erasing_since)
        yield f"unfinished since {since}: run erase_from_audit_log again, with the same options"


def _rebuild(status: JobStatus) -> Iterator[str | Line]:
    if status.rebuild is None:
        yield "none"
        return
    yield f"at event {status.rebuild.reached_id} of {status.rebuild.top_id}"
    found = status.round
    has_workers = found and found.command == shares.REBUILD and found.held
    if not has_workers and (status.lease is None or status.lease.expired):
        yield "To continue: manage.py rebuild_reprs --resume"


_PARTS = {
    "pending": _pending,
    "watermark": _mark,
    "sealed": _sealed,
    "partitions": _partitions,
    "lock": _lock,
    "round": _round,
    "runs": _runs,
    "failed": _failures,
    "final": _final,
    "migrations": _migrations,
    "triggers": _triggers,
    "coverage": _coverage,
    "retention": _retention,
    "erasing": _erasing,
    "rebuild": _rebuild,
    "imports": _imports,
}


def _duration(run: BackfillRun) -> str:
    return f", {(run.ended_at - run.started_at).total_seconds():.1f} s" if run.ended_at else ""


def _idle(run: BackfillRun) -> str:
    idle = f", then {run.idle_runs:,} idle" if run.idle_runs else ""
    return idle + (f", {run.skipped_runs:,} skipped" if run.skipped_runs else "")
