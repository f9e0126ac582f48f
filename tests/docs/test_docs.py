"""Tests that every example of the docs is run by a test."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from tests.examples import PAGES, blocks, taken
from tests.project import ROOT

pytestmark = pytest.mark.sqlite


def test_each_example_is_taken_by_a_test():
    for file in (ROOT / "tests").rglob("test_*.py"):
        if "from tests.examples import" in file.read_text():
            import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    shown = {(page, language) for page in PAGES for language, _ in blocks(page)}
    assert sorted(shown - taken) == []
    assert sorted(taken - shown) == []


@pytest.mark.parametrize("page", PAGES)
def test_each_fence_of_a_page_begins_or_ends_an_example(page):
    fences = [
        line for line in (ROOT / page).read_text().splitlines() if line.strip().startswith("```")
    ]
    assert len(fences) == 2 * len(blocks(page))


def test_each_page_that_the_code_names_is_there():
    folders = ("auditrepr", "management", "benchmarks", "deploy")
    files = [file for name in folders for file in (ROOT / name).rglob("*") if file.is_file()]
    texts = [file for file in files if file.suffix not in (".pyc", ".mo", ".sqlite3")]
    named = {
        page
        for file in [*texts, ROOT / ".env.example", ROOT / "setup.cfg", ROOT / "Makefile"]
        for page in re.findall(r"docs/[\w-]+\.md", file.read_text(errors="replace"))
    }
    assert len(named) > 3
    assert sorted(page for page in named if not (ROOT / page).exists()) == []


@pytest.mark.parametrize("page", PAGES)
def test_no_two_lists_of_a_page_become_one(page):
    """A blank line between two lists is no end of the first one in Markdown."""
    text = (ROOT / page).read_text()
    assert re.findall(r"^- .*\n\n+- .*", text, re.MULTILINE) == []
