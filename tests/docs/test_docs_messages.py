"""Tests that messages in the docs are those of the code, and that every mixed reason is listed."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from auditrepr.asof import building, history, placeholders
from auditrepr.asof.queries import past_tables
from auditrepr.asof.related import related_querysets
from auditrepr.asof.states import shared_keys, states
from tests.project import ROOT

DOCS = ROOT / "docs"
PACKAGE = ROOT / "auditrepr"
#: What PostgreSQL says.
OF_THE_SERVER = {"canceling statement due to lock timeout"}
IDS = re.compile(r"auditrepr\.[EW]\d{3}")

pytestmark = pytest.mark.sqlite


@cache
def texts() -> str:
    """Every text of the code, one a line, with "…" for what is put in."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Constant(value=str(text)):
                    found.append(text)
                case ast.JoinedStr(values=values):
                    found.append("".join(map(_part, values)))
    return "\n".join(_as_the_docs_write(text) for text in found)


def _part(value: ast.expr) -> str:
    return value.value if isinstance(value, ast.Constant) else "{}"


def _as_the_docs_write(text: str) -> str:
    return re.sub(r"\"?(\{[^{}]*\}|%\(\w+\)s)\"?|%[sd]", "…", " ".join(text.split()))


def quoted(page: str, column: int, heading: str) -> list[str]:
    """The code in one column of the tables below a heading."""
    text = (DOCS / page).read_text()
    start = text.index(heading)
    end = text.find("\n## ", start + 1)
    rows = [
        line for line in text[start : end if end > 0 else None].splitlines() if line[:2] == "| "
    ]
    cells = [line.split(" | ")[column] for line in rows]
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


MESSAGES = [
    *quoted("troubleshooting.md", 0, "## Messages"),
    *quoted("checks.md", 2, "# System checks\n"),
    *quoted("exact-and-mixed.md", 0, "## Reasons for mixed"),
]


@pytest.mark.parametrize("message", [m for m in MESSAGES if not IDS.match(m)])
def test_each_message_that_they_quote_is_one_of_the_code(message):
    if message not in OF_THE_SERVER:
        wanted = re.sub(r'"…"', "…", message).strip("… ").removesuffix(": …")
        assert wanted in texts()


def test_the_page_lists_every_reason_for_mixed():
    listed = quoted("exact-and-mixed.md", 0, "## Reasons for mixed")
    reasons = [
        states.BESIDE, states.OVERTAKEN, states.UNCLEAR, states.EMPTIED, history.TYPE_GONE,
        history.LOOSE, placeholders.UNKNOWN, placeholders.ERASED_VALUE, building.TODAY,
        past_tables.ORDER, related_querysets.NO_ORDER, shared_keys.SHARED,
    ]  # fmt: skip
    assert [r for r in reasons if r.replace("{}", "…") not in listed] == []
