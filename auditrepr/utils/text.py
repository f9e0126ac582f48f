"""Text made safe to show and to store."""

from __future__ import annotations

import re


def one_line(error: BaseException) -> str:
    """Return what the error says as one line, or the name of its class if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def event_id(text: str) -> int | None:
    """Return the event ID that the text is, in decimal digits; None if it is none of 64 bits."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
        return None
    found = int(text)
    return found if -(2**63) <= found < 2**63 else None


def clean(text: str) -> str:
    """Return the text as every database can store it.

    NUL becomes its visible symbol, a lone surrogate its escape.
    """
    shown = text.replace("\0", "\N{SYMBOL FOR NULL}")
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


def can_be_stored(text: str) -> bool:
    """Return whether a database can hold this very text, and so find it."""
    return clean(text) == text


def storable(text: str, length: int) -> tuple[str, str]:
    """Return the text as every database can store it, and what had to be changed, if anything.

    See :func:`clean`; what is longer than `length` characters is cut, visibly.
    """
    if len(text) <= length and text.isprintable():
        return text, ""
    changed = []
    stored = clean(text)
    if stored != text:
        changed.append("characters that cannot be stored were replaced")
    if len(stored) > length:
        mark = f"… ({len(stored)} characters)"
        stored = stored[: max(0, length - len(mark))] + mark
        changed.append(f"cut to {length} characters")
    return stored, "; ".join(changed)


# They act instead of being seen: a terminal obeys the controls, and bidirectional overrides make
# a text read other than it is. Joiners stay, since scripts and emoji need them.
_CONTROLS = "\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
_UNSEEN = re.compile(f"[\x00-\x1f{_CONTROLS}")
_UNSEEN_IN_LINES = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f{_CONTROLS}")


def as_json_escapes(document: str) -> str:
    """Return the JSON document with such characters, which only its strings have, escaped."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def visible(text: str) -> str:
    r"""Return the text with every invisible control character written out: ``\x1b``."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def visible_lines(text: str) -> str:
    """Return the text likewise, but with its line ends and tabs as they are."""
    return _UNSEEN_IN_LINES.sub(lambda found: ascii(found[0])[1:-1], text)
