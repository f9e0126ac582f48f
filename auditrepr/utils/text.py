"""Text made safe to show and to store."""

from __future__ import annotations

import re


def storable(text: str, length: int) -> tuple[str, str]:
    """The text as every database can store it, and what had to be changed, if anything.

    NUL becomes its visible symbol, a lone surrogate its escape; what is longer than `length`
    characters is cut, visibly.
    """
    if len(text) <= length and text.isprintable():
        return text, ""
    changed = []
    clean = text.replace("\0", "\N{SYMBOL FOR NULL}")
    clean = clean.encode("utf-8", "backslashreplace").decode("utf-8")
    if clean != text:
        changed.append("characters that cannot be stored were replaced")
    if len(clean) > length:
        mark = f"… ({len(clean)} characters)"
        clean = clean[: max(0, length - len(mark))] + mark
        changed.append(f"cut to {length} characters")
    return clean, "; ".join(changed)


# They act instead of being seen: a terminal obeys the controls, and bidirectional overrides make
# a text read other than it is. Joiners stay, since scripts and emoji need them.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def visible(text: str) -> str:
    r"""Return the text with every invisible control character written out: ``\x1b``."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
