"""Sets how much the open-ended tests try.

A test that is marked ``sized`` runs twice: little of it in ``make test``, all of it in
``make prove``, which sets ``TEST_FULL_SIZE``.
"""

from __future__ import annotations

import os
from typing import Any

FULL = bool(os.environ.get("TEST_FULL_SIZE"))
#: The ID of the first event; on PostgreSQL all must hold from a negative one on, too.
FIRST_ID = int(os.environ.get("TEST_FIRST_ID", "1"))
#: Whether the log is partitioned, where the database can do that, by a few events each.
PARTITIONED = bool(os.environ.get("TEST_PARTITIONED"))


def size(quick: int, full: int, named: str = "") -> int:
    """How many to try; the environment variable of this name has the last word."""
    return int(os.environ.get(named) or (full if FULL else quick))


def examples(quick: int, full: int, named: str = "") -> dict[str, Any]:
    """Return Hypothesis's settings for this number; small ones use the same examples."""
    chosen: dict[str, Any] = {"max_examples": size(quick, full, named)}
    return chosen if FULL or os.environ.get(named) else chosen | {"derandomize": True}
