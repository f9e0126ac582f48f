"""Finds the last run that failed, unless its command has ended well since.

The commands are judged one by one: `backfill_reprs`, which succeeds every two minutes, says nothing
about a rebuild. What counts is when a run ended, not when it began; of a run that was killed, it is
its last sign of life. A run that a signal stopped says neither that all is well nor that it is not:
the workers of a run that fails are stopped so, after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from ...models import BackfillRun, StopReason
from ..locks.process import Process
from . import killed

COMMANDS = ("backfill_reprs", "rebuild_reprs")


class FailedRun(NamedTuple):
    """The last run of a command to end, which did not end well."""

    at: datetime
    command: str
    error: str  # empty if it was killed


def last(using: str, holders: Sequence[Process]) -> FailedRun | None:
    """Return the last run that failed or was killed, if it is the last one of its command to end.

    The number of queries does not depend on the runs.

    :param holders: who held the lock or a share right before.
    """
    known = Q(ended_at=None)
    for command in COMMANDS:
        known |= Q(pk=Subquery(_ends(using, command).values("pk")[:1]))
    runs = list(BackfillRun.objects.using(using).filter(known))
    ends = {run.command: run.ended_at for run in runs if run.ended_at}
    doubtful = [run for run in runs if not run.ended_at and _seen_after(run, ends.get(run.command))]
    lost = killed.among(using, doubtful, holders)
    found = [FailedRun(run.ended_at, run.command, run.error) for run in runs if run.ended_at]
    found = [run for run in found if run.error]
    found += [FailedRun(_seen(run), run.command, "") for run in doubtful if run.pk in lost]
    return max(found, default=None)


def _seen(run: BackfillRun) -> datetime:
    return run.seen_at or run.started_at


def _seen_after(run: BackfillRun, end: datetime | None) -> bool:
    return end is None or _seen(run) > end


def ended_well(using: str, command: str) -> QuerySet[BackfillRun]:
    """Return the last run of the command to end, for an update; none if there is any doubt.

    In doubt are a run that failed, and one that may have been killed after it.
    """
    runs: QuerySet[Any] = BackfillRun.objects.using(using)
    unclear = runs.filter(ended_at=None, command=command).alias(seen=killed.SEEN)
    later = unclear.filter(seen__gt=OuterRef("ended_at"))
    # Equal, not IN: PostgreSQL may run a subquery with a limit several times for the latter.
    last_end = Subquery(_ends(using, command).values("pk")[:1])
    return runs.filter(~Exists(later), pk=last_end, error="")


def _ends(using: str, command: str) -> QuerySet[BackfillRun]:
    """Return the runs that say whether all is well, the last one to end first."""
    runs = BackfillRun.objects.using(using).filter(command=command, ended_at__isnull=False)
    return runs.exclude(stop_reason=StopReason.SIGNAL).order_by("-ended_at", "-pk")
