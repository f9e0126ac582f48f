"""Waits for conditions as long as they take: no test depends on how busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

from auditrepr.models import Lease
from auditrepr.vendors import get_vendor

#: Nothing that is to come takes so long, and what is to be interrupted would: in seconds.
LONG = 300
ENDLESS = 600


def wait_until(condition: Callable[[], object]) -> None:
    """Fail if it does not come true."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def expire() -> None:
    """Let the lease run out."""
    Lease.objects.update(expires_at=get_vendor("default").clock(-1))


def is_held() -> bool:
    """Whether the lease has been renewed since."""
    return Lease.objects.filter(expires_at__gt=get_vendor("default").clock()).exists()
