"""Tests that a test of docs/verification.md shows each promise of docs/guarantees.md."""

from __future__ import annotations

import ast
import re

import pytest

from tests.project import ROOT

PAGE = (ROOT / "docs" / "guarantees.md").read_text()
PROOFS = (ROOT / "docs" / "verification.md").read_text()
NUMBERED = re.compile(r"^\| ([CJRL]\d+) \| (.+) \|$", re.MULTILINE)
NAMED = re.findall(r"`(\w+\.py)::(\w+)`", PAGE + PROOFS)

pytestmark = pytest.mark.sqlite


def test_each_test_that_they_name_exists():
    assert NAMED
    defined = {file: _tests(file) for file, _ in NAMED}
    assert [f"{file}::{name}" for file, name in NAMED if name not in defined[file]] == []


def test_each_guarantee_names_a_test():
    promised = [number for number, _ in NUMBERED.findall(PAGE)]
    proven = dict(NUMBERED.findall(PROOFS))
    assert len(promised) > 20
    assert promised == list(proven)
    test = r"`\w+\.py::\w+`"
    assert [n for n, tests in proven.items() if not re.fullmatch(f"{test}(, {test})*", tests)] == []


def test_the_guarantees_of_a_table_are_numbered_from_one_on():
    numbers = [number for number, _ in NUMBERED.findall(PAGE)]
    for letter in "CJRL":
        ours = [number for number in numbers if number[0] == letter]
        assert ours == [f"{letter}{n}" for n in range(1, len(ours) + 1)]


def test_the_summary_names_guarantees_that_are_there():
    summary = PAGE[: PAGE.index("## Capture")]
    named = set(re.findall(r"\b[CJRL]\d+\b", summary))
    assert named
    assert named <= {number for number, _ in NUMBERED.findall(PAGE)}


def _tests(file):
    """The tests in the files of this name, whatever folder they are in."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests").rglob(file)]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
