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
        return _alternatives(text.strip()[:BEGINNING] for text in self.texts)

    @cached_property
    def _compiled(self) -> list[re.Pattern[str]]:
        return [re.compile(pattern, re.IGNORECASE) for pattern in self.patterns]

    @cached_property
    def _whole(self) -> list[re.Pattern[str]]:
        patterns = _alternatives(text.strip() for text in self.texts)
        return [re.compile(pattern, re.IGNORECASE) for pattern in patterns]

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


def _alternatives(texts: Iterable[str]) -> list[str]:
    """Return regular expressions for all forms of these texts, the longest first."""
    forms: dict[str, str] = {}
    for text in texts:
        for form in _forms(text):
            forms.setdefault(form.lower(), form)
    ordered = sorted(forms.values(), key=len, reverse=True)
    return ["|".join(map(re.escape, some)) for some in _portions(ordered, TOGETHER)]


def _forms(text: str) -> Iterator[str]:
    """Yield the text as others may write it, some of them more than once."""
    cased = {text, text.lower(), text.upper(), text.title(), text.casefold()}
    for one in {unicodedata.normalize(way, c) for c in cased for way in ("NFC", "NFD")} | cased:
        yield from _escaped(one)


def _escaped(text: str) -> Iterator[str]:
    yield text
    yield from (html.escape(text), html.escape(text, quote=False))
    yield html.escape(text).replace("&#x27;", "&#39;")
    yield from (quote(text), quote(text, safe=""), quote_plus(text), visible(text))
    yield from (ascii(text)[1:-1], repr(text)[1:-1], repr(text.encode())[2:-1])
    yield text.encode().hex()
    for plain in (True, False):
        once = json.dumps(text, ensure_ascii=plain)[1:-1]
        yield from (once, json.dumps(once)[1:-1])


def _portions(forms: list[str], size: int) -> Iterator[tuple[str, ...]]:
    for n in range(0, len(forms), size):
        yield tuple(forms[n : n + size])
