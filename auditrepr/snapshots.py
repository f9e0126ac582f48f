"""PostgreSQL's snapshots, as ``pg_current_snapshot()`` writes them: ``xmin:xmax:running``."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple


class Snapshot(NamedTuple):
    xmin: int  # every lower transaction has ended
    xmax: int  # no transaction from here on has ended
    running: frozenset[int]  # those in between that have not


@lru_cache(maxsize=4096)
def parse(text: str) -> Snapshot:
    """Source: PostgreSQL's documentation, "Snapshot Components"."""
    xmin, xmax, running = text.split(":")
    return Snapshot(int(xmin), int(xmax), frozenset(map(int, filter(None, running.split(",")))))


def sees_all(snapshot: str | None, upto: int | None) -> bool:
    """Does the snapshot see every transaction up to this one?"""
    return snapshot is None or upto is None or upto < parse(snapshot).xmin


#: No transaction that began after a snapshot has written so long before it.
EARLIER = timedelta(minutes=1)


def sees(
    snapshot: str | None, at: datetime, transaction_id: int | None, written_at: datetime
) -> bool:
    """Does the snapshot, taken at that time, see what the transaction has committed?

    A database without snapshots has one writer at a time: what is in the log was seen. A log that
    was restored into another cluster holds higher transaction ids than that has come to, and there
    the time tells.
    """
    if snapshot is None or transaction_id is None:
        return True
    xmin, xmax, running = parse(snapshot)
    if transaction_id >= xmax:
        return written_at < at - EARLIER
    return transaction_id < xmin or transaction_id not in running
