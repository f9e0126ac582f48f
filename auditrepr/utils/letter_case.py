"""Which characters differ only in case, as Python's regular expressions see it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

#: No character above has a case.
LAST = 0x1FFFF


@cache
def cased() -> str:
    """Return all characters that have a case."""
    every = map(chr, range(LAST + 1))
    return "".join(c for c in every if not c.lower() == c.upper() == c.casefold() == c)


@lru_cache(maxsize=4096)
def alike(character: str) -> str:
    """Return the characters that a regular expression which ignores case takes for this one."""
    found = re.findall(re.escape(character), cased(), re.IGNORECASE)
    return "".join(sorted({character, *found}))


class Folding:
    """Replaces the characters of these texts, in whatever case, by one for all that are alike.

    That is the small letter of ASCII, if one of them is. Other characters may keep their case.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        characters = {character for text in texts for character in text}
        self.table = {ord(one): _first(c) for c in characters for one in alike(c)}

    def __call__(self, text: str) -> str:
        """Return the text in the case in which these texts are found in it."""
        return text.lower() if text.isascii() else text.translate(self.table)


def _first(character: str) -> str:
    first = alike(character)[0]
    return first.lower() if first.isascii() else first
