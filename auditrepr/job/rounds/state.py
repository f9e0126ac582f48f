"""The state of a round, for monitoring and for the admin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ...models import BackfillRun, Share
from ...vendors import get_vendor
from ..locks.process import Process
from ..runs.record import SIGN


@dataclass(frozen=True)
class Held:
    """A share that a worker holds."""

    holder: Process | None
    first_id: int
    last_id: int


@dataclass(frozen=True)
class Round:
    """A round that is not finished."""

    command: str
    planned: int  # shares
    left: int
    held: tuple[Held, ...]  # by workers that may still run
    rate: float  # event IDs per second, of all workers, over the time in which any of them worked
    seconds_left: float | None  # of this round at that rate; None: nothing is done yet

    @property
    def done(self) -> int:
        return self.planned - self.left


def of(using: str, at: datetime) -> Round | None:
    """Return the round of this database, if there is one, without writing.

    :param at: the present.
    """
    found = list(Share.objects.using(using).order_by("pk"))
    if not found:
        return None
    live = Share.objects.using(using).filter(expires_at__gt=get_vendor(using).clock())
    tokens = set(live.exclude(token=None).values_list("token", flat=True))
    held = tuple(_held(share) for share in found if share.token in tokens)
    held = tuple(one for one in held if not (one.holder and one.holder.is_dead()))
    first = found[0]
    ids = sum(share.upto_id - share.after_id for share in found)
    rate = max(0, first.planned_ids - ids) / max(_worked(using, first, at).total_seconds(), 0.001)
    left = ids / rate if rate else None
    return Round(first.command, first.planned, len(found), held, rate, left)


def _held(share: Share) -> Held:
    return Held(Process.of(share.holder), share.after_id + 1, share.upto_id)


def _worked(using: str, share: Share, at: datetime) -> timedelta:
    """Return for how long any run has worked on the share's round: it may have been interrupted."""
    runs = BackfillRun.objects.using(using).filter(command=share.command)
    runs = runs.exclude(ended_at__lt=share.planned_at)
    worked, upto = timedelta(), share.planned_at
    for run in runs.order_by("started_at").only("started_at", "ended_at", "seen_at"):
        # One without an end works, or was killed within that time.
        ended = run.ended_at or (run.seen_at or run.started_at) + timedelta(seconds=SIGN)
        began, ended = max(run.started_at, upto), min(ended, at)
        if began < ended:
            worked, upto = worked + (ended - began), ended
    return worked or at - share.planned_at
