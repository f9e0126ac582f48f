"""Sets how much the open-ended tests try.

A test that is marked ``sized`` runs twice: little of it in ``make test``, all of it in
``make prove``, which sets ``TEST_FULL_SIZE``.
"""

from __future__ import annotations

import math
import os
from typing import Any

FULL = bool(os.environ.get("TEST_FULL_SIZE"))
#: Whether the tests of full size try fewer examples: the geometric mean of the two numbers.
FEW = bool(os.environ.get("TEST_FEW_EXAMPLES"))
#: The ID of the first event; on PostgreSQL all must hold from a negative one on, too.
FIRST_ID = int(os.environ.get("TEST_FIRST_ID", "1"))
#: Whether the log is partitioned, where the database can do that, by a few events each.
PARTITIONED = bool(os.environ.get("TEST_PARTITIONED"))


def size(quick: int, full: int) -> int:
    """Return how large something is to be."""
    return full if FULL else quick


def tries(quick: int, full: int, named: str = "") -> int:
    """Return how many examples to try; the environment variable of this name has the last word."""
    if given := os.environ.get(named):
        return int(given)
    return math.isqrt(quick * full) if FULL and FEW else size(quick, full)


def examples(quick: int, full: int, named: str = "") -> dict[str, Any]:
    """Return Hypothesis's settings for this number; few are always the same examples."""
    chosen: dict[str, Any] = {"max_examples": tries(quick, full, named)}
    random = (FULL and not FEW) or os.environ.get(named)
    return chosen if random else chosen | {"derandomize": True}
