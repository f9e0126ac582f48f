"""Writes what a run does to Python's logging: a sentence for people, fields for programs.

All messages are below WARNING: the command itself reports an error, once, on standard error.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .result import Result, Stored
    from .run import Run


logger = logging.getLogger("auditrepr.runs")


def batch_stored(run: Run, stored: Stored, seconds: float) -> None:
    """Log that a batch was committed, and how long it took."""
    fields = {
        **_of(run),
        "batch": run.result.batches,
        "rows": stored.rows,
        "failures": stored.failures,
        "again": stored.again,
        "seconds": round(seconds, 3),
    }
    logger.debug(
        "%(command)s: batch %(batch)d: %(rows)d stored, %(failures)d failed", fields, extra=fields
    )


def run_ended(run: Run, result: Result) -> None:
    """Log that a run has ended, or was skipped because another one held the lock."""
    fields = {
        **_of(run),
        "batches": result.batches,
        "rows": result.rows,
        "failures": result.failures,
        "again": result.again,
        "seconds": round(result.seconds, 3),
        "stop_reason": str(result.stop_reason),
        "error": result.error,
    }
    logger.info(
        "%(command)s: %(stop_reason)s: %(rows)d stored, %(failures)d failed", fields, extra=fields
    )


def _of(run: Run) -> dict[str, object]:
    return {"command": run.command, "database": run.using, "run": run.record.pk}
