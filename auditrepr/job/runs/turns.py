"""Divides the time of a run among several databases."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

#: Seconds that one database may work while others wait.
TURN = 120.0
#: Seconds below which a turn is not cut, whatever the others would get.
LEAST = 1.0

#: Works on a database for this many seconds; None: no limit. Returns whether the limit ended it.
Turn = Callable[[str, float | None], bool]


def take_turns(aliases: Sequence[str], turn: Turn, max_seconds: float | None = None) -> None:
    """Give each database a turn, and repeat this while one of them has more to do.

    :param max_seconds: for all of them together.
    """
    began = time.monotonic()
    again = True
    while again:
        again = False
        for n, alias in enumerate(aliases):
            left = None
            if max_seconds is not None:
                left = max(0.0, max_seconds - (time.monotonic() - began))
            again |= turn(alias, share(left, len(aliases) - n, alone=len(aliases) == 1))
        if max_seconds is not None and time.monotonic() - began >= max_seconds:
            return


def share(left: float | None, waiting: int, *, alone: bool) -> float | None:
    """Return the seconds of a turn if this number of databases share what is left."""
    if alone:
        return left
    if left is None:
        return TURN
    return min(TURN, max(left / waiting, min(left, LEAST)))
