"""PostgreSQL's snapshots, as ``pg_current_snapshot()`` writes them: ``xmin:xmax:running``."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class Snapshot(NamedTuple):
    xmin: int  # every lower transaction has ended
    xmax: int  # no transaction from here on has ended
    running: frozenset[int]  # the transactions in between that have not ended


@lru_cache(maxsize=4096)
def parse(text: str) -> Snapshot:
    """Parse a snapshot. Source: PostgreSQL's documentation, "Snapshot Components"."""
    xmin, xmax, running = text.split(":")
    return Snapshot(int(xmin), int(xmax), frozenset(map(int, filter(None, running.split(",")))))


def sees_all(snapshot: str | None, upto: int | None) -> bool:
    """Return whether the snapshot sees every transaction up to this one."""
    return snapshot is None or upto is None or upto < parse(snapshot).xmin


def sees(snapshot: str | None, transaction_id: int | None) -> bool:
    """Return whether the snapshot sees what the transaction has committed.

    A database without snapshots has one writer at a time: everything in the log was seen.
    """
    if snapshot is None or transaction_id is None:
        return True
    xmin, xmax, running = parse(snapshot)
    return transaction_id < xmin or (transaction_id < xmax and transaction_id not in running)
