"""Waits for locks in short turns, because all who come later wait behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import Error

from ...exceptions import LogBusy, WaitStopped
from ...vendors import get_vendor

T = TypeVar("T")

#: Seconds between two tries, in which those who have waited behind the last one continue.
PAUSE = 0.5


def patiently(
    using: str, step: Callable[[], T], seconds: float, stop: Callable[[], bool] = lambda: False
) -> T:
    """Return what this step returns, which gives up quickly if it cannot have its locks.

    :param seconds: how long to try it again.
    :raises LogBusy: if that was not long enough.
    :raises WaitStopped: if it is to stop.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return step()
        except Error as error:
            if not get_vendor(using).passes(error):
                raise
            if stop():
                raise WaitStopped(alias=using) from error
            if time.monotonic() >= end:
                raise LogBusy(alias=using, seconds=round(seconds)) from error
        time.sleep(PAUSE)
