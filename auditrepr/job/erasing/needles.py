"""The texts that are searched for, in all the ways in which other texts may hold them."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from ...utils.letter_case import alike
from ...utils.text import visible
from ...vendors.sought import Sought, Stretch

#: What replaces a text.
MARK = "[erased]"
#: Characters of a text that is replaced wherever it is found; a shorter one may stand for anything.
LEAST = 4
#: The beginning of a longer one is searched for, too: what shows it may have cut it.
BEGINNING = 40
#: Texts in one pattern.
TOGETHER = 20
#: What follows where a text was cut: dots in one of their notations, or nothing but what closes.
_CUT = re.compile(
    r"""
    \s* [\[(]? (?: … | \.\.\. | \\+u2026 | &hellip; | &\#8230; | %E2%80%A6 | \\xe2\\x80\\xa6 )
    | (?<= [0-9a-f]{40} ) (?: e280a6 | 2e2e2e | (?! [0-9a-f] ) )
    | \\* ["'] \s* [,:)}\]]
    | </
    | (?: [\s"'\])}>] | \\ )* \Z
    """,
    re.IGNORECASE | re.VERBOSE,
)
#: How programs name entries: as ``user_name`` or ``X-Request-ID``.
_WORD = re.compile(r"[\w.:/-]+")
_SHORT_NUMBER = re.compile(r"\d{1,6}(?!\d)")
# Digits that escape a character are not part of a number.
_NO_NUMBER_BEFORE = (
    r"(?:(?<!\d)|(?<=%[0-9a-f][0-9a-f])|(?<=\\x[0-9a-f][0-9a-f])"
    r"|(?<=\\u[0-9a-f][0-9a-f][0-9a-f][0-9a-f]))"
)


class Needles:
    """Texts to search for, whatever their case, and however they are escaped."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = sorted(set(texts), key=lambda text: (-len(text), text))

    def __bool__(self) -> bool:
        return bool(self.texts)

    @cached_property
    def sought(self) -> Sought:
        """Return what a database may search for: whatever holds one of the texts has it, too."""
        return Sought(form.stretch for form in self._forms)

    @cached_property
    def _forms(self) -> list[_Form]:
        """Return all forms of the texts; for long texts, only their beginning."""
        return _forms_of(self.texts, most=BEGINNING)

    @cached_property
    def patterns(self) -> list[str]:
        """Return regular expressions of which one matches."""
        return _alternatives(self._forms)

    @cached_property
    def _compiled(self) -> list[re.Pattern[str]]:
        return [re.compile(pattern, re.IGNORECASE) for pattern in self.patterns]

    @cached_property
    def _whole(self) -> list[re.Pattern[str]]:
        patterns = map(self._bounded, _alternatives(_forms_of(self.texts)))
        return [re.compile(pattern, re.IGNORECASE) for pattern in patterns]

    @cached_property
    def _beginnings(self) -> list[tuple[re.Pattern[str], list[str]]]:
        """Return how forms of long texts begin, and the forms."""
        found: dict[str, list[str]] = {}
        for form in _forms_of(text for text in self.texts if len(text.strip()) > BEGINNING):
            found.setdefault(form.text[:BEGINNING], []).append(form.text)
        starts = ((self._start + re.escape(start), forms) for start, forms in found.items())
        return [(re.compile(start, re.IGNORECASE), forms) for start, forms in starts]

    #: What a regular expression asks before a text.
    _start = ""

    def _bounded(self, pattern: str) -> str:
        """Return the regular expression as it counts."""
        return pattern

    def within(self, value: Any) -> bool:
        """Return whether a value, or a part of it, holds one of the texts, or has one cut.

        What only begins like a long text, and continues in another way, is something else.
        """
        return any(map(self._is_in, _texts(value, with_names=True)))

    def _is_in(self, text: str) -> bool:
        # First what is quick, and seldom true.
        return any(pattern.search(text) for pattern in self._compiled) and (
            any(pattern.search(text) for pattern in self._whole) or self._has_cut(text)
        )

    def _has_cut(self, value: str) -> bool:
        return any(
            _continues(value[match.start() :], form)
            for pattern, forms in self._beginnings
            for match in pattern.finditer(value)
            for form in forms
        )

    def replaced(self, value: Any) -> Any:
        """Return the value with the mark in place of the texts; the same one if it holds none.

        A text that holds no more than a beginning, which something has cut, is replaced as a whole;
        so is a value that is nested too deeply.
        """
        if not self.within(value):
            return value
        try:
            return self._replaced(value)
        except RecursionError:
            return MARK

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, str):
            for pattern in self._whole if self._is_in(value) else ():
                value = pattern.sub(MARK, value)
            return MARK if self._is_in(value) else value
        if isinstance(value, dict):
            return {self._replaced(name): self._replaced(part) for name, part in value.items()}
        return list(map(self._replaced, value)) if isinstance(value, list | tuple) else value

    def replaced_in(self, document: Any) -> Any:
        """Return a document, such as a context, with the mark in the values of its entries.

        Their names are a program's, and stay, even if a person is called User. A name that
        is not a single word may be data, and is replaced, too.
        """
        if not isinstance(document, dict):
            return self.replaced(document)
        return {
            name if _WORD.fullmatch(name) else self.replaced(name): self.replaced(value)
            for name, value in document.items()
        }


class Words(Needles):
    """Texts that only count if nothing continues them, as short ones may stand in any word."""

    _start = r"(?<!\w)"

    def _bounded(self, pattern: str) -> str:
        return rf"{self._start}(?:{pattern})(?!\w)"


def _continues(value: str, form: str) -> bool:
    """Return whether a value continues as the form does, until it ends or is visibly cut."""
    pairs = zip(value, form, strict=False)
    same = (a == b or a in alike(b) for a, b in pairs)
    length = next((n for n, one in enumerate(same) if not one), min(len(value), len(form)))
    return bool(_CUT.match(value, length))


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts that a value of the log's JSON holds, none of them empty."""
    for text in _texts(value):
        if text.strip():
            yield text
            yield from texts_in(_document(text))


def _document(text: str) -> Any:
    """Return the JSON that a text is, as SQLite keeps it; None if it is none."""
    with suppress(ValueError, RecursionError):
        return json.loads(text) if text[0] in "{[" else None
    return None


def _texts(value: Any, *, with_names: bool = False) -> Iterator[str]:
    """Yield the texts in a value, in their order, however deeply it is nested.

    :param with_names: also those by which its parts are called.
    """
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            left += reversed(part.values())
            left += part if with_names else ()
        elif isinstance(part, list | tuple):
            left += reversed(part)


class _Form(NamedTuple):
    """One way to write a text."""

    text: str
    #: Whether it is a number, or ends with one, which further digits would make another one. A
    #: long number is found behind others, too: as a telephone number behind a country's.
    alone_before: bool
    alone_after: bool

    @property
    def pattern(self) -> str:
        start = _NO_NUMBER_BEFORE if self.alone_before else ""
        end = r"(?!\d)" if self.alone_after else ""
        return f"{start}{re.escape(self.text)}{end}"

    @property
    def stretch(self) -> Stretch:
        text, before, after = self
        return Stretch.of(text, alone_before=before, alone_after=after)


def _alternatives(forms: Sequence[_Form]) -> list[str]:
    """Return regular expressions for these forms."""
    patterns = [form.pattern for form in forms]
    return ["|".join(some) for some in _portions(patterns, TOGETHER)]


def _forms_of(texts: Iterable[str], most: int | None = None) -> list[_Form]:
    """Return all forms of these texts, the longest first.

    :param most: characters of a text that are searched for, at its beginning; None: all.
    """
    found: dict[str, _Form] = {}
    for text in texts:
        stripped = text.strip()
        some = stripped[:most]
        for form in _forms(some, cut=some != stripped):
            small = form.text.lower()  # some letters have two different forms
            found.setdefault(small if len(small) == len(form.text) else form.text, form)
    return [found[text] for text in sorted(found, key=len, reverse=True)]


def _forms(text: str, *, cut: bool) -> Iterator[_Form]:
    """Yield the text as others may write it, some more than once."""
    cased = {text, text.lower(), text.upper(), text.title(), text.casefold()}
    for one in {unicodedata.normalize(way, c) for c in cased for way in ("NFC", "NFD")} | cased:
        yield _Form(one.encode().hex(), alone_before=False, alone_after=False)
        for form in _escaped(one):
            after = form[-1:].isdecimal() and not cut
            yield _Form(form, bool(_SHORT_NUMBER.match(form)), after)


def _escaped(text: str) -> Iterator[str]:
    yield text
    yield from (html.escape(text), html.escape(text, quote=False))
    yield html.escape(text).replace("&#x27;", "&#39;")
    yield from (quote(text), quote(text, safe=""), quote_plus(text), visible(text))
    yield from (ascii(text)[1:-1], repr(text)[1:-1], repr(text.encode())[2:-1])
    for plain in (True, False):
        once = json.dumps(text, ensure_ascii=plain)[1:-1]
        yield from (once, json.dumps(once)[1:-1])


def _portions(forms: list[str], size: int) -> Iterator[tuple[str, ...]]:
    for n in range(0, len(forms), size):
        yield tuple(forms[n : n + size])
