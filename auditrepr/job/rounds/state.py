"""The state of a round, for monitoring and for the admin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ...models import Share
from ...vendors import get_vendor
from ..locks.process import Process


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
    rate: float  # event IDs per second, of all workers since the round was planned
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
    seconds = max((at - first.planned_at).total_seconds(), 0.001)
    rate = max(0, first.planned_ids - ids) / seconds
    left = ids / rate if rate else None
    return Round(first.command, first.planned, len(found), held, rate, left)


def _held(share: Share) -> Held:
    return Held(Process.of(share.holder), share.after_id + 1, share.upto_id)
