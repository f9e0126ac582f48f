"""Formats the state of the job as metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ...job.monitoring.status import JobStatus
from ...job.monitoring.unread import Unread


class Metric(NamedTuple):
    """A metric with one sample for each database.

    :param unread: its value if the status cannot be read; None where that is unknown.
    """

    name: str
    help: str
    value: Callable[[JobStatus], float | None]  # None: there is none yet
    unread: Callable[[Unread], float | None] = lambda u: None


METRICS = (
    Metric(
        "up",
        "1 if the status of the database could be read, else 0.",
        lambda s: 1,
        unread=lambda u: 0,
    ),
    Metric("pending_rows", "Pending events (lower bound).", lambda s: s.pending.rows),
    Metric(
        "lag_seconds",
        "Seconds that the oldest pending event has waited.",
        lambda s: s.lag,
        unread=lambda u: u.lag,
    ),
    Metric(
        "settled_id",
        "Watermark: no event up to this ID is pending.",
        lambda s: s.mark.settled_id,
    ),
    Metric(
        "mark_held_seconds",
        "Seconds that open transactions have held back the watermark.",
        lambda s: (s.at - s.mark.held_since).total_seconds() if s.mark.held_since else 0,
    ),
    Metric(
        "sealed_id",
        "Event ID up to which the log is sealed.",
        lambda s: s.sealed.upto_id if s.sealed else None,
    ),
    Metric(
        "seal_lag_seconds",
        "Seconds that the oldest event that is not sealed has waited.",
        lambda s: s.sealed.lag(s.at) if s.sealed else None,
    ),
    Metric(
        "partitions_ahead",
        "Partitions of the log that no event has reached yet.",
        lambda s: s.partitions.ahead if s.partitions else None,
    ),
    Metric(
        "lock_held",
        "1 if a run holds the database lock, else 0.",
        lambda s: int(s.lease is not None and not s.lease.expired),
    ),
    Metric(
        "shares_planned",
        "Shares that the current round had when it was planned; 0 if there is none.",
        lambda s: s.round.planned if s.round else 0,
    ),
    Metric(
        "shares_left",
        "Shares of the round that are not done.",
        lambda s: s.round.left if s.round else 0,
    ),
    Metric(
        "shares_held",
        "Shares that workers hold.",
        lambda s: len(s.round.held) if s.round else 0,
    ),
    Metric(
        "skipped_runs",
        "Runs since the latest recorded run that found the lock held.",
        lambda s: s.skipped,
    ),
    Metric(
        "last_run_start_seconds",
        "Unix time at which the latest run started, idle or not.",
        lambda s: s.last_started_at.timestamp() if s.last_started_at else 0,
    ),
    Metric(
        "last_run_failed",
        "1 if the last run of one of the commands to end failed or was killed, else 0.",
        lambda s: int(s.failed),
    ),
    Metric(
        "triggers_broken",
        "Tables whose triggers are missing, outdated, disabled or left over.",
        lambda s: len(s.broken),
    ),
    Metric(
        "findings",
        "Problems that keep the log from being complete.",
        lambda s: len(s.findings),
    ),
    Metric(
        "migrations_pending",
        "Pending migrations that the job needs.",
        # A role that may not read which they are knows at least that runs wait for them.
        lambda s: len(s.migrations) or int(s.migrations_since is not None),
        unread=lambda u: None if u.migrations is None else len(u.migrations),
    ),
    Metric("coverage_gaps", "Tables with a gap in coverage.", lambda s: len(s.gaps)),
    Metric(
        "import_events_left",
        "Events that the unfinished import has not imported yet; 0 if there is none.",
        lambda s: sum(one.left for one in s.imports),
    ),
    Metric(
        "retention_due_seconds",
        "Seconds since when the oldest event is to be pruned by RETENTION; 0 if none is.",
        lambda s: max((one.seconds for one in s.overdue), default=0),
    ),
    Metric(
        "erasing_seconds",
        "Seconds since which an erasure is unfinished; 0 if none is.",
        lambda s: (s.at - s.erasing_since).total_seconds() if s.erasing_since else 0,
    ),
    Metric(
        "failures_due",
        "Failed representations that are due for a retry.",
        lambda s: s.failures.due.rows,
    ),
    Metric(
        "final_events",
        "Events without a representation because str() raised as of them (lower bound).",
        lambda s: s.final.rows.rows,
    ),
)


def metrics(found: Sequence[JobStatus | Unread]) -> Iterator[str]:
    """Yield lines in Prometheus' text format, for the textfile collector of its node exporter."""
    for metric in METRICS:
        yield from _head(metric.name, metric.help)
        for one in found:
            value = metric.unread(one) if isinstance(one, Unread) else metric.value(one)
            if value is not None:
                yield f"auditrepr_{metric.name}{{{_labels(one)}}} {value}"
    yield from _head("failures", "Failed representations (lower bound) by error class.")
    for status in found:
        if isinstance(status, Unread):
            continue
        labels = _labels(status)
        for error_class, count in status.failures.by_error:
            yield f'auditrepr_failures{{{labels},error="{_escaped(error_class)}"}} {count}'


def _labels(status: JobStatus | Unread) -> str:
    """Return the labels of a sample: the database, and the schema if it is not the usual one."""
    labels = f'database="{_escaped(status.database)}"'
    return labels + (f',schema="{_escaped(status.schema)}"' if status.schema else "")


def _head(name: str, help_text: str) -> tuple[str, str]:
    return f"# HELP auditrepr_{name} {help_text}", f"# TYPE auditrepr_{name} gauge"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
