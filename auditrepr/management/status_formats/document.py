"""Formats the state of the job as a document for JSON."""

from __future__ import annotations

from typing import Any

from ...job.monitoring.status import JobStatus
from ...job.monitoring.unread import Unread
from ...job.rounds.state import Round
from ...models import BackfillRun


def document(status: JobStatus | Unread) -> dict[str, Any]:
    """Return the JSON document; times are ISO 8601, durations are seconds."""
    if isinstance(status, Unread):
        return _short_document(status)
    return {
        "database": status.database,
        "at": status.at,
        "error": None,
        **_progress(status),
        **_outcomes(status),
        **_recording(status),
    }


def _progress(status: JobStatus) -> dict[str, Any]:
    """Return how far the job is, and who works."""
    held, sealed = status.lease, status.sealed
    return {
        "pending": {"count": status.pending.rows, "complete": status.pending.complete},
        "lag_seconds": status.lag,
        "settled_id": status.mark.settled_id,
        "mark_held_by": status.mark.held_by,
        "mark_held_since": status.mark.held_since,
        "sealed": sealed
        and {
            "upto_id": sealed.upto_id,
            "at": sealed.at,
            "lag_seconds": sealed.lag(status.at),
        },
        "partitions": status.partitions
        and {"count": status.partitions.count, "ahead": status.partitions.ahead},
        "lock": held
        and {
            "holder": str(held.holder or ""),
            "expires_at": held.expires_at,
            "expired": held.expired,
        },
        "round": _round_document(status.round),
    }


def _outcomes(status: JobStatus) -> dict[str, Any]:
    """Return what the latest runs did, and what could not be built."""
    return {
        "last_run_started_at": status.last_started_at,
        "runs": [_run_document(status, run) for run in status.runs],
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
    }


def _recording(status: JobStatus) -> dict[str, Any]:
    """Return whether the log is complete, and what is to be done about it."""
    return {
        "schema": status.schema or None,
        "attached_to": status.attached and status.attached.source,
        "triggers": {state.name: state.status.value for state in status.broken},
        "findings": [str(finding) for finding in status.findings],
        "migrations_pending": status.migrations,
        "migrations_pending_since": status.migrations_since,
        "imports": [
            {
                "sources": one.sources,
                "until": one.until,
                "events": one.events,
                "left": one.left,
                "started_at": one.started_at,
                "finished_at": one.finished_at,
                "holder": str(one.worker or "") or None,
            }
            for one in status.imports
        ],
        "retention_due": [one._asdict() for one in status.overdue],
        "coverage_gaps": {gap.table_name: gap.since_event for gap in status.gaps},
        "erasing_since": status.erasing_since,
        "rebuild": status.rebuild
        and {"reached_id": status.rebuild.reached_id, "top_id": status.rebuild.top_id},
    }


def _short_document(unread: Unread) -> dict[str, Any]:
    return {
        "database": unread.database,
        "at": unread.at,
        "error": unread.error,
        "lag_seconds": unread.lag,
        "schema": unread.schema or None,
        "migrations_pending": unread.migrations,
    }


def _run_document(status: JobStatus, run: BackfillRun) -> dict[str, Any]:
    names = ("command", "started_at", "ended_at", "host", "pid", "failures", "batches")
    ended = {"stop_reason": status.stop_reason(run), "error": status.error(run)}
    counts = {name: getattr(run, name) for name in ("idle_runs", "skipped_runs")}
    return {name: getattr(run, name) for name in names} | ended | counts | {"stored": run.rows}


def _round_document(found: Round | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "command": found.command,
        "planned": found.planned,
        "done": found.done,
        "ids_per_second": found.rate,
        "seconds_left": found.seconds_left,
        "held": [
            {
                "holder": str(share.holder or ""),
                "first_id": share.first_id,
                "last_id": share.last_id,
            }
            for share in found.held
        ],
    }
