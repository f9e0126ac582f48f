"""Tests which rows the events of a table leave in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from auditrepr.asof.states.neighbors import Neighbor
from auditrepr.asof.states.replay import rows_left

AT = datetime(2030, 1, 1, tzinfo=UTC)
#: Each event: its action, its key, and the key that it took its row from.
LEFT = {
    "": "",
    "I:a I:b": "a1 b2",
    "I:a U:a": "a2",
    "I:a D:a": "",
    "I:a D:a I:a": "a3",
    "I:a U:b:a": "b2",
    "I:a T I:b": "b3",
    "U:a": "a1",
    "I:a I:b U:b:a U:a:b": "b3 a4",
    "I:a I:b U:b:a U:c:b": "b3 c4",
    "I:a I:b U:c:b U:b:a": "c3 b4",
    "I:a I:b I:c U:b:a U:c:b U:a:c": "b4 c5 a6",
    "I:a U:b:a U:c:b": "c3",
    "I:a I:b U:b:a U:a:b D:a": "b3",
    "I:a I:b U:b:a U:a:b U:c:b": "a4 c5",
}


@pytest.mark.sqlite
@pytest.mark.parametrize("events", LEFT)
def test_rows_are_left_under_their_last_keys(events):
    every = [event(n, *one.split(":")) for n, one in enumerate(events.split(), start=1)]
    left = {f"{key}{one.id}" for key, one in rows_left(every).items()}
    assert left == set(LEFT[events].split())


def event(number: int, action: str, key: str | None = None, previous: str | None = None):
    return Neighbor(number, action, key, previous, None, None, AT)
