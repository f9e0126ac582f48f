"""Tests the vocabulary of pages, docs, docstrings and comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
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
    r"tells?(?!(?: \w+)* apart)": "shows, says, determines",
    r"(?:is|are|was|were) told(?! (?:apart|to|not)\b)": "is shown, is named",
    r"(?<!would )(?:has|have) to be": "must be",
    r"(?:for|to|from) who": "for users who",
    r"(?:a|the) present (?:round|row|run|state|value)": "current",
    r"beside": "next to",
    r"folders?": "directory",
    r"leads? on": "leads to, is a link",
    r"wins": "takes precedence",
}
ANY = re.compile(rf"\b(?:{'|'.join(PLAIN)})\b", re.IGNORECASE)
#: Docstrings begin with what is returned or done, not with a question or a pronoun.
OPENINGS = re.compile(r"(Those|What|Whatever|Who|Whoever|Where|Since when|Has to|Does|Is|Are|It) ")
#: How a docstring of a module or class may still begin, as a title.
TITLES = re.compile(r"What \w+")


@cache
def modules() -> list[tuple[Path, ast.Module]]:
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "migrations"]
    return [(path, ast.parse(path.read_text())) for path in paths]


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


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Every comment with its first line's number; lines that follow each other are one."""
    start, last, text = 0, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            line = token.start[0]
            if line != last + 1 and text:
                yield start, text
                text = ""
            start, last = start if text else line, line
            text += token.string.lstrip("#:") if text else token.string
    if text:
        yield start, text


def paragraphs(page: Path) -> Iterator[str]:
    text = re.sub(r"<!--.*?-->", "", page.read_text(), flags=re.DOTALL)
    return (" ".join(one.split()) for one in re.split(r"\n\s*\n|\n(?=[|#-])", text))


def complaints(text: str) -> list[str]:
    found = []
    for words, plain in PLAIN.items() if ANY.search(text) else ():
        if match := re.search(rf"\b(?:{words})\b", text, re.IGNORECASE):
            around = text[max(0, match.start() - 60) : match.end() + 40]
            found.append(f"{match[0]!r}: write {plain!r}: …{around}…")
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


def test_what_is_broken_over_lines_is_found_too(tmp_path):
    code = tmp_path / "code.py"
    code.write_text("x = 1  # It went\n# on.\n\n# On its own.\n#: Another.\n")
    assert list(comments(code)) == [(1, "# It went on."), (4, "# On its own. Another.")]
    page = tmp_path / "page.md"
    page.write_text("It went\non.\n- It went <!-- to -->\n- on.\n\nAnd on.\n")
    assert list(paragraphs(page)) == ["It went on.", "- It went", "- on.", "And on."]


@pytest.mark.proof
def test_strings_and_docstrings_are_in_plain_words():
    found = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path, tree in modules()
        for text in dict.fromkeys(strings(tree))
        for complaint in complaints(text)
    ]
    assert found == []


@pytest.mark.proof
def test_comments_are_in_plain_words():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {complaint}"
        for path, _ in modules()
        for line, text in comments(path)
        for complaint in complaints(text)
    ]
    assert found == []


def test_the_documentation_is_in_plain_words():
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
    assert len(pages) > 30
    found = [
        f"{page.name}: {complaint}"
        for page in pages
        for text in paragraphs(page)
        for complaint in complaints(text)
    ]
    assert found == []


@pytest.mark.proof
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


@pytest.mark.proof
def test_docstrings_begin_with_what_is_returned_or_done():
    found = []
    for path, tree in modules():
        for node, text in documented(tree):
            first = text.splitlines()[0]
            title = not isinstance(node, ast.FunctionDef) and TITLES.match(first)
            if first.endswith("?") or (OPENINGS.match(first) and not title):
                found.append(f"{path.relative_to(ROOT)}: {first}")
    assert found == []
