"""The shares of a round: how they are cut, counted and canceled.

What keeps a round safe:

- One planner at a time: it holds the run's lock, and has found no share under it.
- The watermark never passes what is not stored: it stays at or below the first share that is left,
  and below what was proven before any share was read. A round starts at the watermark, never at
  the end of the last share.
- The primary key of ``InstanceRepr`` is what prevents storing anything twice; a worker whose share
  was taken over or canceled commits nothing.
- How many workers there are is written nowhere.
- All shares are one command's work. Those of a rebuild move its cursor, and not the watermark; so
  ``backfill_reprs`` may work at the same time, but alone, until no process works on them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from ...conf import get_settings
from ...models import Checkpoint, Share
from ...vendors import get_vendor
from ..locks.base import Lock
from ..pending import Backlog, take

BACKFILL, REBUILD = "backfill_reprs", "rebuild_reprs"

#: The size of a share, in event IDs: a worker that dies costs at most the time for that.
WIDTH = 10_000
#: Maximum number of shares in a round.
MOST = 200
#: Event IDs in shares from which a round is worth it.
LEAST = 50_000


def exist(using: str, command: str | None = None) -> bool:
    """Return whether there is a round that is not finished, of this command or of any."""
    return (of(using, command) if command else Share.objects.using(using)).exists()


def left(using: str, command: str) -> int:
    """Return how many event IDs are in the shares that are left."""
    width = of(using, command).aggregate(width=Sum(F("upto_id") - F("after_id")))["width"]
    return width or 0


def of(using: str, command: str) -> QuerySet[Share]:
    """Return the shares that are this command's work."""
    return Share.objects.using(using).filter(command=command)


def first(using: str, command: str) -> int | None:
    """Return the event ID after which the first share that is left begins, if there is one."""
    return of(using, command).order_by("pk").values_list("pk", flat=True).first()


def is_large(using: str, *, rescan: bool = False) -> bool:
    """Return whether the backlog may be worth a round."""
    return _is_large(Backlog(using, rescan=rescan), LEAST)


def plan(
    using: str,
    command: str,
    lock: Lock,
    *,
    rescan: bool = False,
    enough: Callable[[], object] = lambda: False,
    width: int | None = None,
    most: int | None = None,
    least: int | None = None,
) -> int:
    """Cut what is pending into shares, and return how many; 0 if that is not worth it.

    :param lock: the run's lock, which is held.
    :param enough: called while it searches; true ends the search.
    :param least: event IDs in shares from which a round is worth it.
    """
    least, most = LEAST if least is None else least, most or MOST
    if exist(using):
        return 0
    backlog = Backlog(using, rescan=rescan)
    if not _is_large(backlog, least):
        return 0
    with lock.kept_alive():
        found, nothing_up_to = _cut(backlog, width or WIDTH, most, enough)
    if len(found) == most:
        backlog.provable = min(backlog.provable, found[-1][1])
    if enough() or sum(upto - after for after, upto in found) < least:
        found = []
    with transaction.atomic(using):
        get_vendor(using).end_if_idle(get_settings().LEASE_SECONDS / 2)
        put(using, command, found, backlog.provable)
        backlog.settle(nothing_up_to)  # or else the next search may take as long
        lock.renew()
    return len(found)


def put(using: str, command: str, parts: list[tuple[int, int]], provable: int) -> None:
    """Create a share for each of these parts, within the caller's transaction.

    :param provable: how far the command may move its mark once all are done.
    """
    ids = sum(upto - after for after, upto in parts)
    of_round: dict[str, Any] = {"command": command, "provable_id": provable}
    of_round |= {"planned": len(parts), "planned_ids": ids}
    Share.objects.using(using).bulk_create(
        Share(after_id=after, upto_id=upto, **of_round) for after, upto in parts
    )


def void(using: str, command: str | None = None) -> int:
    """Delete all shares, so that no worker can commit its batch; return how many there were.

    A command that must work alone calls this under the run's lock, so that no new round begins.

    :param command: void only the round that is this command's work.
    """
    with transaction.atomic(using):
        shares = of(using, command) if command else Share.objects.using(using).all()
        deleted = shares._raw_delete(using)
        if deleted:
            marks = Checkpoint.objects.using(using).filter(pk=1)
            marks.update(voided_at=get_vendor(using).clock())
    return deleted


def voided_at(using: str) -> datetime | None:
    """Return when a round was last canceled."""
    marks = Checkpoint.objects.using(using).filter(pk=1)
    return marks.values_list("voided_at", flat=True).first()


def follow(using: str, provable: int) -> None:
    """Move the watermark as far as the shares that are left allow, within the caller's transaction.

    Two that finish in the same moment see each other's share as left: the watermark lags.
    """
    left = first(using, BACKFILL)
    bound = provable if left is None else min(provable, left)
    marks = Checkpoint.objects.using(using).filter(pk=1, settled_id__lt=bound)
    marks.update(settled_id=bound)


def _is_large(backlog: Backlog, least: int) -> bool:
    return backlog.top - backlog.start >= least


def _cut(
    backlog: Backlog, width: int, most: int, enough: Callable[[], object]
) -> tuple[list[tuple[int, int]], int]:
    """Return parts of the backlog that begin with a pending event, over gaps and what is stored.

    :returns: the parts; and the event ID up to which nothing is pending.
    """
    parts: list[tuple[int, int]] = []
    done = nothing_up_to = backlog.start
    while done < backlog.top and len(parts) < most and not enough():
        found = take(backlog.using, done, backlog.top, 1)
        done = found.reaches
        if found.events:
            after, done = done - 1, min(done - 1 + width, backlog.top)
            parts.append((after, done))
        nothing_up_to = parts[0][0] if parts else done
    return parts, nothing_up_to
