"""Formats the state of the job as text, as JSON, and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..job import logs
from ..job.status import JobStatus
from ..models import BackfillRun
from ..utils.phrases import noun, timestamp
from ..utils.text import visible
from . import round_formats

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
    if not mark.is_set:
        yield "not set: the job has not run yet"
        return
    yield f"event {mark.settled_id}"
    if mark.held_since:
        since = span((status.at - mark.held_since).total_seconds())
        held_by = ", ".join(mark.held_by)
        yield f"held back for {since} by transactions open at the last check: {held_by}"


def _lock(status: JobStatus) -> Iterator[str | Line]:
    if status.lease is None:
        yield "free"
        return
    holder = status.lease.holder or "an unknown process"
    if status.lease.expired:
        yield f"expired, last held by {holder}; the next run takes it over"
    else:
        until = timestamp(status.lease.expires_at)
        yield f"held by {holder}, until {until} unless renewed"


def _round(status: JobStatus) -> Iterator[str | Line]:
    if status.round:
        yield from round_formats.lines(status.round, span)


def _runs(status: JobStatus) -> Iterator[str | Line]:
    if not status.runs:
        yield Line("none yet: schedule backfill_reprs (see deploy/crontab)", alarming=True)
    for run in status.runs:
        text = (
            f"{timestamp(run.started_at)}  {run.command}: {run.stop_reason or 'running'},"
            f" {run.rows:,} stored, {run.failures:,} failed{_duration(run)}{_idle(run)}"
        )
        yield Line(f"{text}  {run.error}".rstrip(), alarming=bool(run.error))
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


def _triggers(status: JobStatus) -> Iterator[str | Line]:
    if not status.broken and not status.waiting:
        yield "OK"
    for state in status.broken:
        yield Line(f"{state.name}: {state.status.value}", alarming=True)
    if status.broken:
        yield status.remedy
    for state in status.waiting:
        yield f"{state.name}: waiting for migrate; still recorded"


def _coverage(status: JobStatus) -> Iterator[str | Line]:
    if not status.gaps:
        yield "no gaps"
    for gap in status.gaps:
        since = "still open" if gap.since_event is None else f"up to event {gap.since_event}"
        yield Line(
            f"{gap.table_name}: gap, {since} ({gap.get_reason_display()})",
            alarming=gap.since_event is None,
        )


def _rebuild(status: JobStatus) -> Iterator[str | Line]:
    if status.rebuild is None:
        yield "none"
        return
    yield f"at event {status.rebuild.reached_id} of {status.rebuild.top_id}"
    if status.lease is None or status.lease.expired:
        yield "To continue: manage.py rebuild_reprs --resume"


_PARTS = {
    "pending": _pending,
    "watermark": _mark,
    "lock": _lock,
    "round": _round,
    "runs": _runs,
    "failed": _failures,
    "final": _final,
    "triggers": _triggers,
    "coverage": _coverage,
    "rebuild": _rebuild,
}


def document(status: JobStatus) -> dict[str, Any]:
    """Return the JSON document; times are ISO 8601, durations are seconds."""
    held = status.lease
    return {
        "database": status.database,
        "at": status.at,
        "pending": {"count": status.pending.rows, "complete": status.pending.complete},
        "lag_seconds": status.lag,
        "settled_id": status.mark.settled_id,
        "mark_held_by": status.mark.held_by,
        "mark_held_since": status.mark.held_since,
        "lock": held
        and {
            "holder": str(held.holder or ""),
            "expires_at": held.expires_at,
            "expired": held.expired,
        },
        "round": round_formats.document(status.round),
        "runs": [_run_document(run) for run in status.runs],
        "skipped_runs": status.skipped,
        "failures": {
            "count": status.failures.rows.rows,
            "complete": status.failures.rows.complete,
            "due": status.failures.due.rows,
            "by_error": dict(status.failures.by_error),
        },
        "final": {
            "count": status.final.rows.rows,
            "complete": status.final.rows.complete,
            "by_error": dict(status.final.by_error),
        },
        "schema": status.schema or None,
        "triggers": {state.name: state.status.value for state in status.broken},
        "findings": [str(finding) for finding in status.findings],
        "migrations_pending_since": status.migrations_since,
        "coverage_gaps": {gap.table_name: gap.since_event for gap in status.gaps},
        "rebuild": status.rebuild
        and {"reached_id": status.rebuild.reached_id, "top_id": status.rebuild.top_id},
    }


def _run_document(run: BackfillRun) -> dict[str, Any]:
    names = ("command", "started_at", "ended_at", "host", "pid", "failures", "batches")
    more = ("stop_reason", "error", "idle_runs", "skipped_runs")
    return {name: getattr(run, name) for name in (*names, *more)} | {"stored": run.rows}


def metrics(found: Sequence[JobStatus]) -> Iterator[str]:
    """Yield lines in Prometheus' text format, for the textfile collector of its node exporter.

    Each metric has a sample for each database.
    """
    values = {_labels(status): _metrics(status) for status in found}
    for name, (help_text, _) in next(iter(values.values())).items():
        yield from _head(name, help_text)
        for labels, its in values.items():
            yield f"auditrepr_{name}{{{labels}}} {its[name][1]}"
    yield from _head("failures", "Failed representations (lower bound) by error class.")
    for status in found:
        labels = _labels(status)
        for error_class, count in status.failures.by_error:
            yield f'auditrepr_failures{{{labels},error="{_escaped(error_class)}"}} {count}'


def _labels(status: JobStatus) -> str:
    """Return the labels of a sample: the database, and the schema if it is not the usual one."""
    labels = f'database="{_escaped(status.database)}"'
    return labels + (f',schema="{_escaped(status.schema)}"' if status.schema else "")


def _metrics(status: JobStatus) -> dict[str, tuple[str, Any]]:
    """Return the help text and the value of each metric that has one sample."""
    latest = status.runs[0] if status.runs else None
    held_since = status.mark.held_since
    return {
        "pending_rows": ("Pending events (lower bound).", status.pending.rows),
        "lag_seconds": ("Seconds that the oldest pending event has waited.", status.lag),
        "settled_id": ("Watermark: no event up to this ID is pending.", status.mark.settled_id),
        "mark_held_seconds": (
            "Seconds that open transactions have held back the watermark.",
            (status.at - held_since).total_seconds() if held_since else 0,
        ),
        "lock_held": (
            "1 if a run holds the database lock, else 0.",
            int(status.lease is not None and not status.lease.expired),
        ),
        **round_formats.metrics(status.round),
        "skipped_runs": (
            "Runs since the latest recorded run that found the lock held.",
            status.skipped,
        ),
        "last_run_start_seconds": (
            "Unix time at which the latest run that was not idle started.",
            latest.started_at.timestamp() if latest else 0,
        ),
        "last_run_failed": (
            "1 if the latest run that was not idle ended with an error, else 0.",
            int(bool(latest and latest.error)),
        ),
        "triggers_broken": (
            "Tables whose triggers are missing, outdated, disabled or left over.",
            len(status.broken),
        ),
        "findings": ("Problems that keep the log from being complete.", len(status.findings)),
        "migrations_pending": (
            "1 if migrations have been pending for more than ten minutes, else 0.",
            int(status.migrations_since is not None),
        ),
        "coverage_gaps": ("Tables with a gap in coverage.", len(status.gaps)),
        "failures_due": (
            "Failed representations that are due for a retry.",
            status.failures.due.rows,
        ),
        "final_events": (
            "Events without a representation because str() raised as of them (lower bound).",
            status.final.rows.rows,
        ),
    }


def _head(name: str, help_text: str) -> tuple[str, str]:
    return f"# HELP auditrepr_{name} {help_text}", f"# TYPE auditrepr_{name} gauge"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def span(seconds: float) -> str:
    """Return a duration in its two largest units: ``"2 h 5 min"``."""
    rest = int(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _duration(run: BackfillRun) -> str:
    return f", {(run.ended_at - run.started_at).total_seconds():.1f} s" if run.ended_at else ""


def _idle(run: BackfillRun) -> str:
    idle = f", then {run.idle_runs:,} idle" if run.idle_runs else ""
    return idle + (f", {run.skipped_runs:,} skipped" if run.skipped_runs else "")
