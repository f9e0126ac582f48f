"""Writes what a run does to Python's logging: a sentence for people, fields for programs.

All messages are below WARNING: the command itself reports an error, once, on standard error.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .result import Result, Stored


logger = logging.getLogger("auditrepr.runs")


class RunId(NamedTuple):
    """Which run it is, in the names of the fields."""

    command: str
    database: str
    run: int | None  # the key of its BackfillRun


def batch_stored(run: RunId, batch: int, stored: Stored, seconds: float) -> None:
    """Log that a batch was committed, and how long after its begin."""
    fields = {
        **run._asdict(),
        "batch": batch,
        "rows": stored.rows,
        "failures": stored.failures,
        "again": stored.again,
        "seconds": round(seconds, 3),
    }
    logger.debug(
        "%(command)s: batch %(batch)d: %(rows)d stored, %(failures)d failed", fields, extra=fields
    )


def run_ended(run: RunId, result: Result) -> None:
    """Log that a run has ended, or never begun because another one held the lock."""
    fields = {
        **run._asdict(),
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
