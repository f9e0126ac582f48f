"""Extracts the examples of the README and of docs/ for the tests that run them.

``tests/docs/test_docs.py`` asks whether any is left that no test takes.
"""

from __future__ import annotations

import re

from tests.project import ROOT

PAGES = ["README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Of which page examples in which language are run by some test.
taken: set[tuple[str, str]] = set()


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of the page, each with its language."""
    return BLOCK.findall((ROOT / page).read_text())


def examples(page: str, language: str) -> list[str]:
    """The page's blocks in this language, for the test module that runs all of them."""
    taken.add((page, language))
    return [text for found, text in blocks(page) if found == language]


def steps(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, without their prompts, and what each prints."""
    return [
        (command, output)
        for command, _, output in (step.partition("\n") for step in _STEP.split(block)[1:])
    ]


_STEP = re.compile(r"^\$ ", re.MULTILINE)


def without_figures(text: str) -> str:
    """Ids, times and durations differ, widths of columns with them, and the database's place."""
    text = re.sub(r'\((?:SQLite|PostgreSQL) ".*?"\)', "(database)", text)
    return re.sub(r" +", " ", re.sub(r"(?<!\d)-?\d[\d.]*", "0", text))
