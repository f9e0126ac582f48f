"""For fields of each kind: a value, and another one."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

#: Old and new values of fields, as Python has them.
CHANGED = {
    "boolean": (False, True),
    "float": (1.0, 0.1),
    "decimal": (Decimal("1.5000000000"), Decimal("2.2500000000")),
    "uuid": (uuid.UUID(int=1), uuid.UUID(int=2)),
    "json": ({}, {"b": [1, None, True], "a": 0.5}),
    "duration": (None, timedelta(days=-1, seconds=5)),
    "date_time": (None, datetime(2024, 3, 31, 1, 30, 0, 5, tzinfo=UTC)),
    "date": (None, date(2024, 1, 2)),
    "time": (None, time(1, 2, 3)),
    "binary": (None, b"\0\xff"),
    "char": ("", "x"),
    "big_integer": (None, 2**62),
    "pair": ((1, 2), (3, 4)),
    "scrambled": ("ab", "cd"),
    "renamed": ("a", None),
}
