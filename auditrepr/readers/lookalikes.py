"""Texts that differ and look the same: what cannot be told apart by eye is written out."""

from __future__ import annotations

import unicodedata

#: Letters of other scripts that look like Latin ones, and signs that look like ASCII's.
_LATIN = str.maketrans(
    # Cyrillic
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u04bb\u04cf\u0501\u051b\u051d"
    # Greek
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u03bd\u03bf\u03f2"
    # Hyphens, a minus sign and apostrophes
    "\u2010\u2011\u2012\u2013\u2212\u02bc\u2019\u2032",
    "ABESIJKMHOPCTYXaeopcyxsijhldqwABEZHIKMNOPTYXvoc-----'''",
)


#: Characters of a difference; of a longer one, some can be seen.
LONGEST = 10_000


def told_apart(one: str, other: str) -> tuple[str, str]:
    """Return both texts; if they look the same, with the characters in which they differ escaped.

    Blanks stay, unless more than they differs: pages mark those.
    """
    if one.isascii() and other.isascii():
        return one, other
    start = _common(one, other)
    end = _common(one[start:][::-1], other[start:][::-1])
    parts = one[start : len(one) - end], other[start : len(other) - end]
    if max(map(len, parts)) > LONGEST or parts[0].split() == parts[1].split():
        return one, other
    if _look(parts[0]) != _look(parts[1]):
        return one, other
    shown = (f"{one[:start]}{_escaped(part)}{one[len(one) - end :]}" for part in parts)
    return next(shown), next(shown)


def _common(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _look(text: str) -> str:
    """Return what is seen of the text: composed letters, without what only steers others."""
    shown = unicodedata.normalize("NFC", text).translate(_LATIN)
    return "".join(c for c in shown if not _is_unseen(c)).replace("\N{NO-BREAK SPACE}", " ")


def _is_unseen(character: str) -> bool:
    selects = "\ufe00" <= character <= "\ufe0f"  # a variant of the character before
    return selects or unicodedata.category(character) == "Cf"


def _escaped(text: str) -> str:
    return "".join(c if c.isascii() else ascii(c)[1:-1] for c in text)
