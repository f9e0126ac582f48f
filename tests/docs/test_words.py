"""Tests the vocabulary of pages, docs, docstrings and comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest

from tests.project import ROOT

pytestmark = pytest.mark.sqlite

PACKAGE = ROOT / "auditrepr"
#: What not to write, and what to write instead.
PLAIN = {
    "anew": "again, re-create, rebuild",
    "any more": "no longer",
    "at work": "running, holds the lock",
    "for want of": "because there is no",
    "goes into quarantine": "fails",
    "in quarantine": "failed",
    "mended?": "fix, fixed",
    "nobody": "no run, no user, no transaction",
    "not in order": "broken",
    "of others": "other, third-party",
    "settled mark": "watermark",
    "so many": "the number",
    "somebody": "another process, user or transaction",
    "steps? aside": "exits",
    "whoever": "users who, any process that",
    "(?:by|of) (?:itself|themselves)": "automatically, by default",
    # Good English: "there is no row", comparisons, "that is no reason".
    r"(?<!there )(?:is|are|was|were) no (?!(?:longer|more|less|larger|smaller|fewer|other"
    r"|obstacle|reason|coincidence)\b)\w+": "is not a",
    r"(?:go|goes|going|went|gone) on": "continue",
    r"(?:take|takes|taken|taking|took) (?:\w+ ){0,3}back": "cancel, reverse, undo",
    r"(?:look|looks|looked|looking) (?:again|at)": "read, check, search, inspect",
    r"tells(?!(?: \w+)* apart)": "shows, says, determines",
    r"(?:is|are|was|were) told(?! (?:apart|to|not)\b)": "is shown, is named",
    r"(?<!would )(?:has|have) to be": "must be",
    r"(?:for|to|from) who": "for users who",
    r"(?:a|the) present (?:round|row|run|state|value)": "current",
    r"beside": "next to",
    r"folders?": "directory",
    r"leads? on": "leads to, is a link",
    r"wins": "takes precedence",
}
#: Docstrings begin with what is returned or done, not with a question or a pronoun.
OPENINGS = re.compile(r"(Those|What|Whatever|Who|Whoever|Where|Since when|Has to|Does|Is|Are|It) ")
#: How a docstring of a module or class may still begin, as a title.
TITLES = re.compile(r"What \w+")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name != "migrations":
            yield path, ast.parse(path.read_text())


def documented(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield node, text


def strings(tree: ast.Module) -> Iterator[str]:
    """Every string of the module but its SQL and names: what has a blank in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield " ".join(node.value.split())


def complaints(text: str) -> list[str]:
    found = []
    for words, plain in PLAIN.items():
        if match := re.search(rf"\b(?:{words})\b", text, re.IGNORECASE):
            found.append(f"{match[0]!r}: write {plain!r}: {text[:100]}")
    return found


def test_every_word_to_avoid_is_found():
    text = "Another run is at work: it steps aside, for want of a lock that somebody mended."
    assert len(complaints(text)) == 5
    assert complaints("It is no date.") != []
    assert complaints("Nobody knows.") != []
    assert complaints("Noon is no time, and none of them is no user.") != []
    assert complaints("It went on, took the shares back and looked at a folder.") != []
    for good in (
        "It no longer exists.",
        "There is no row, which is no larger than that, and no reason to worry.",
        "Two of them cannot be told apart; the key tells them apart. It would have to be read.",
    ):
        assert complaints(good) == []


def test_strings_and_docstrings_are_in_plain_words():
    found = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path, tree in modules()
        for text in dict.fromkeys(strings(tree))
        for complaint in complaints(text)
    ]
    assert found == []


def test_comments_are_in_plain_words():
    found = [
        f"{path.relative_to(ROOT)}:{token.start[0]}: {complaint}"
        for path, _ in modules()
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        if token.type == tokenize.COMMENT
        for complaint in complaints(token.string)
    ]
    assert found == []


def test_the_documentation_is_in_plain_words():
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
    assert len(pages) > 30
    found = [
        f"{page.name}: {complaint}"
        for page in pages
        for line in page.read_text().splitlines()
        for complaint in complaints(re.sub(r"<!--.*?-->", "", line))
    ]
    assert found == []


def test_names_of_tests_have_todays_terms():
    words = "anew|at_work|mend(?:s|ed)?|quarantined?|settled_mark"
    old = re.compile(rf"\bdef (test_(?:\w*_)?(?:{words})(?:_\w*)?)\(")
    files = (ROOT / "tests").rglob("test_*.py")
    assert [name for file in files for name in old.findall(file.read_text())] == []


def test_templates_and_examples_are_in_plain_words():
    files = [*PACKAGE.rglob("*.html"), *(ROOT / "deploy").iterdir(), ROOT / ".env.example"]
    texts = [(file, " ".join(file.read_text().replace("#", " ").split())) for file in files]
    assert len(texts) > 8
    assert [(file.name, found) for file, text in texts if (found := complaints(text))] == []


def test_what_is_translated_is_in_plain_words():
    catalog = polib.pofile(str(PACKAGE / "locale" / "de" / "LC_MESSAGES" / "django.po"))
    assert [found for entry in catalog if (found := complaints(entry.msgid))] == []


def test_docstrings_begin_with_what_is_returned_or_done():
    found = []
    for path, tree in modules():
        for node, text in documented(tree):
            first = text.splitlines()[0]
            title = not isinstance(node, ast.FunctionDef) and TITLES.match(first)
            if first.endswith("?") or (OPENINGS.match(first) and not title):
                found.append(f"{path.relative_to(ROOT)}: {first}")
    assert found == []
