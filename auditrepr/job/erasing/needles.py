"""The texts that are searched for, in all the ways in which other texts may hold them."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from ...utils.text import visible

#: What replaces a text.
MARK = "[erased]"
#: Characters of a text that is replaced wherever it is found; a shorter one may stand for anything.
LEAST = 4
#: The beginning of a longer one is searched for, too: what shows it may have cut it.
BEGINNING = 40
#: Texts in one pattern.
TOGETHER = 20
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
    def patterns(self) -> list[str]:
        """Return regular expressions, for databases too, of which one matches.

        What has a long text has its beginning.
        """
        return _alternatives(self.texts, most=BEGINNING)

    @cached_property
    def _compiled(self) -> list[re.Pattern[str]]:
        return [re.compile(pattern, re.IGNORECASE) for pattern in self.patterns]

    @cached_property
    def _whole(self) -> list[re.Pattern[str]]:
        return [re.compile(pattern, re.IGNORECASE) for pattern in _alternatives(self.texts)]

    def within(self, value: Any) -> bool:
        """Return whether a value, or a part of it, holds one of the texts, or its beginning."""
        if isinstance(value, str):
            return any(pattern.search(value) for pattern in self._compiled)
        if isinstance(value, dict):
            return any(self.within(part) for pair in value.items() for part in pair)
        return isinstance(value, list | tuple) and any(map(self.within, value))

    def replaced(self, value: Any) -> Any:
        """Return the value with the mark in place of the texts.

        A text that holds no more than a beginning, which something has cut, is replaced as a whole.
        """
        if isinstance(value, str):
            for pattern in self._whole if self.within(value) else ():
                value = pattern.sub(MARK, value)
            return MARK if self.within(value) else value
        if isinstance(value, dict):
            return {self.replaced(name): self.replaced(part) for name, part in value.items()}
        return list(map(self.replaced, value)) if isinstance(value, list | tuple) else value


class Words(Needles):
    """Texts that only count if nothing continues them, as short ones may stand in any word."""

    @cached_property
    def _compiled(self) -> list[re.Pattern[str]]:
        patterns = (rf"(?<!\w)(?:{pattern})(?!\w)" for pattern in self.patterns)
        return [re.compile(pattern, re.IGNORECASE) for pattern in patterns]


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts that a value of the log's JSON holds, none of them empty."""
    if isinstance(value, str) and value.strip():
        yield value
        if value[0] in "{[":  # JSON, as SQLite keeps it
            try:
                yield from texts_in(json.loads(value))
            except (ValueError, RecursionError):
                return
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts_in(part)


def _alternatives(texts: Iterable[str], most: int | None = None) -> list[str]:
    """Return regular expressions for all forms of these texts, the longest first.

    :param most: characters of a text that are searched for, at its beginning; None: all.
    """
    forms: dict[str, str] = {}
    for text in texts:
        stripped = text.strip()
        some = stripped[:most]
        for form, pattern in _forms(some, cut=some != stripped):
            forms.setdefault(form.lower(), pattern)
    ordered = [forms[form] for form in sorted(forms, key=len, reverse=True)]
    return ["|".join(some) for some in _portions(ordered, TOGETHER)]


def _forms(text: str, *, cut: bool) -> Iterator[tuple[str, str]]:
    """Yield the text as others may write it, and the pattern of that, some more than once."""
    cased = {text, text.lower(), text.upper(), text.title(), text.casefold()}
    for one in {unicodedata.normalize(way, c) for c in cased for way in ("NFC", "NFD")} | cased:
        hexadecimal = one.encode().hex()
        yield hexadecimal, hexadecimal
        for form in _escaped(one):
            yield form, _by_itself(form, cut=cut)


def _by_itself(form: str, *, cut: bool) -> str:
    """Return a pattern for the form, unless further digits make its number another one.

    A long number is found behind others, too: as a telephone number behind a country's.
    """
    start = _NO_NUMBER_BEFORE if _SHORT_NUMBER.match(form) else ""
    end = r"(?!\d)" if form[-1:].isdecimal() and not cut else ""
    return f"{start}{re.escape(form)}{end}"


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
