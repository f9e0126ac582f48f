"""docs/guarantees.md promises nothing that no test shows."""

from __future__ import annotations

import ast
import re

import pytest

from tests.project import ROOT

PAGE = (ROOT / "docs" / "guarantees.md").read_text()
PROMISES, _, _ = PAGE.partition("## Not promised")
NAMED = re.findall(r"`(\w+\.py)::(\w+)`", PAGE)

pytestmark = pytest.mark.sqlite


def test_each_test_that_it_names_exists():
    assert NAMED
    defined = {file: _tests(file) for file, _ in NAMED}
    assert [f"{file}::{name}" for file, name in NAMED if name not in defined[file]] == []


def test_each_promise_names_a_test():
    rows = re.findall(r"^\| (?!promise )(.+) \|$", PROMISES, re.MULTILINE)
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"`\w+\.py::\w+`$", row)] == []


def _tests(file):
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
