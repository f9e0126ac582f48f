"""What can be said of a log whose status cannot be read, so that monitoring is never blind."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from django.db import Error, connections, transaction
from django.utils import timezone

from ...capture import inspection
from ...exceptions import MigrationsPending
from . import findings, summary


@dataclass(frozen=True)
class Unread:
    """A log whose status cannot be read."""

    database: str
    at: datetime
    error: str  # why
    schema: str = ""  # where the log is, unless it is the usual one
    migrations: tuple[str, ...] | None = None  # those that are pending; None: unknown
    lag: float | None = None  # seconds that the oldest pending event has waited; None: unknown


def of(using: str, error: BaseException, said: str) -> Unread:
    """Return what is known, without writing.

    :param error: why the status cannot be read.
    :param said: the same in one line.
    """
    now = timezone.now()
    if not isinstance(error, MigrationsPending):
        return Unread(using, now, said)
    # Those of another schema may be recorded here, too: then it is the log itself that is missing.
    pending = findings.migrations(using) or (inspection.FIRST_MIGRATION,)
    return Unread(using, now, said, inspection.schema_of(using), pending, _lag(using))


def _lag(using: str) -> float | None:
    within = connections[using].in_atomic_block  # where an error must not break what is around
    try:
        with transaction.atomic(using) if within else nullcontext():
            return summary.lag(using)
    except Error:  # there is no log, or that of a version before this was known of it
        return None
