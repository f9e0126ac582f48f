"""A query that ``__str__`` sends by itself: on the table as of the event, and as it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any
from unittest.mock import patch

from django.db import connection

from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event

from . import data
from .shop.models import Country, Customer
from .table import milliseconds, show, times

QUERIES = 50  # that one event's text takes
EVENTS = 5
CHANGED = (0, 100, 1000)  # rows of the large table since the event


def asked(sizes: Sequence[int], repeat: int) -> None:
    """``get(pk=…)`` on a table of so many rows, of which some have changed since."""
    size = max(sizes)
    data.countries(size)
    live = median(seconds for _ in range(repeat) for seconds in _get(size))
    rows: list[list[Any]] = [["current rows", milliseconds(live), times(1)]]
    for changed in (number for number in CHANGED if number <= size):
        past = median(seconds for _ in range(repeat) for seconds in _as_of(size, changed))
        name = f"as of the event, {changed:,} rows changed since"
        rows.append([name, milliseconds(past), times(past / live)])
    show(f"Asked: get() on a table of {size:,} rows", ["", "a query", "ratio"], rows)


def _get(size: int) -> list[float]:
    """The seconds that each of some queries takes."""
    seconds = []
    for n in range(QUERIES):
        began = time.perf_counter()
        Country.objects.get(pk=1 + n * size // QUERIES)
        seconds.append(time.perf_counter() - began)
    return seconds


def _as_of(size: int, changed: int) -> list[float]:
    """Likewise, of those that are sent while texts are built."""
    seconds: list[float] = []

    def ask(customer: Customer) -> str:
        seconds.extend(_get(size))
        return customer.name

    first = data.highest()
    for n in range(EVENTS):
        Customer.objects.filter(pk=n + 1).update(phone=f"{time.time()}")
    moments = AuditLog.objects.filter(pk__gt=first)
    events = [Event.of(row) for row in moments]
    step = size // (changed or size)
    Country.objects.filter(pk__in=range(1, changed * step, step)).update(area=time.time() % 1000)
    if connection.vendor == "postgresql":
        data.run("VACUUM shop_country")
    with patch.object(Customer, "__str__", ask):
        outcomes = build(events, "default")
    assert {outcome.fidelity for outcome in outcomes} == {Fidelity.EXACT}
    return seconds
