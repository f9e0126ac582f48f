"""No page shows an example that no test runs."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.examples import PAGES, blocks, taken
from tests.project import ROOT

pytestmark = pytest.mark.sqlite


def test_each_example_is_taken_by_a_test():
    for file in (ROOT / "tests").glob("test_*.py"):
        if "from tests.examples import" in file.read_text():
            import_module(f"tests.{file.stem}")
    shown = {(page, language) for page in PAGES for language, _ in blocks(page)}
    assert sorted(shown - taken) == []
    assert sorted(taken - shown) == []


@pytest.mark.parametrize("page", PAGES)
def test_each_fence_of_a_page_begins_or_ends_an_example(page):
    fences = [
        line for line in (ROOT / page).read_text().splitlines() if line.strip().startswith("```")
    ]
    assert len(fences) == 2 * len(blocks(page))
