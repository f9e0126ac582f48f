"""Divides the tests of a database into two parts of about the same cost.

``TEST_PART`` selects one; ``make test`` runs them side by side. A test is in exactly one.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.project import ROOT

PARTS = ("1", "2")
#: The folders of the first part. Everything else, now or later, is the second.
FIRST = frozenset({"asof", "lineage", "readers", "reprs", "truth", "upgrading", "utils", "vendors"})


def part_of(file: Path) -> str:
    """Return the part that the tests of this file belong to."""
    return PARTS[file.relative_to(ROOT / "tests").parts[0] not in FIRST]


def is_elsewhere(file: Path, selected: str | None = None) -> bool:
    """Return whether another part than the selected one has the tests of this file."""
    selected = os.environ.get("TEST_PART", "") if selected is None else selected
    if selected not in ("", *PARTS):
        raise ValueError(f"TEST_PART is {selected}, and can only be {' or '.join(PARTS)}.")
    return bool(selected) and selected != part_of(file)
