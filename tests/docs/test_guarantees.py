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


@pytest.mark.proof
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


def test_the_headings_name_the_last_guarantee_of_each_table():
    promised = [number for number, _ in NUMBERED.findall(PAGE)]
    last = {number[0]: number for number in promised}
    named = re.findall(r"^\[([CJRL])1 to (\w+)\]\(guarantees", PROOFS, re.MULTILINE)
    assert dict(named) == last


def test_random_histories_are_as_many_as_it_says():
    numbers = r'quick=(\d+), full=(\d+), named="TRUTH_EXAMPLES"'
    usual = re.search(numbers, (ROOT / "tests" / "oracle.py").read_text())
    told = {
        file: (quick, full)
        for files, quick, full in re.findall(r"^\| (`test_.*`) \| (\d+) \| (\d+) \|$", PROOFS, re.M)
        for file in re.findall(r"`(\w+\.py)`", files)
    }
    tried = {
        path.name: (re.search(numbers, text) or usual).groups()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"^from hypothesis.stateful import", text := path.read_text(), re.MULTILINE)
    }
    assert told == tried


def _tests(file):
    """The tests in the files of this name, whatever folder they are in."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests").rglob(file)]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
