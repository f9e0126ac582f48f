"""Tests that the parts in which the tests run are together all of them, and each test once."""

from __future__ import annotations

import re

import pytest

from tests.parts import FIRST, PARTS, THIRD, is_elsewhere
from tests.project import ROOT

FILES = sorted((ROOT / "tests").rglob("test_*.py"))


def test_each_file_is_in_one_part_and_without_a_part_all_are_chosen():
    chosen = {part: [f for f in FILES if not is_elsewhere(f, part)] for part in ("", *PARTS)}
    assert chosen[""] == FILES
    assert sorted(file for part in PARTS for file in chosen[part]) == FILES
    assert all(chosen.values())
    assert {f.name for f in (ROOT / "tests").iterdir() if f.is_dir()} >= FIRST | THIRD


def test_make_runs_every_part():
    (suites,) = re.findall("^SUITES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    databases = ("sqlite", "postgresql")
    assert set(suites.split()) == {f"suite-{name}-{part}" for name in databases for part in PARTS}


def test_a_part_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="TEST_PART is 4, and can only be one of 1, 2, 3"):
        is_elsewhere(FILES[0], "4")
