"""Divides the tests of a database into three parts of about the same cost.

``TEST_PART`` selects one; ``make test`` runs them side by side. A test is in exactly one.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.project import ROOT

PARTS = ("1", "2", "3")
#: The folders of the first and the third part. Everything else, now or later, is the second.
FIRST = frozenset({"asof", "lineage", "readers", "reprs", "truth", "upgrading", "utils", "vendors"})
THIRD = frozenset({"job", "management"})


def part_of(file: Path) -> str:
    """Return the part that the tests of this file belong to."""
    folder = file.relative_to(ROOT / "tests").parts[0]
    return "1" if folder in FIRST else "3" if folder in THIRD else "2"


def is_elsewhere(file: Path, selected: str | None = None) -> bool:
    """Return whether another part than the selected one has the tests of this file."""
    selected = os.environ.get("TEST_PART", "") if selected is None else selected
    if selected not in ("", *PARTS):
        raise ValueError(f"TEST_PART is {selected}, and can only be one of {', '.join(PARTS)}.")
    return bool(selected) and selected != part_of(file)
