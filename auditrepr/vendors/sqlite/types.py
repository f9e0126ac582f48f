"""What SQLite and Python's driver make of a raw value in a column of a declared type."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

_NUMBERS = ("INT", "REAL", "FLOA", "DOUB", "DECIMAL", "BOOL")


def converter(declared: str) -> Callable[[Any], Any]:
    """What a value that the log holds has become when a query gives it.

    A value from before the column had this type is converted as the table would do it.

    :raises ValueError: by what is given, for a value that the type cannot hold.
    """
    # The driver goes by the first word (PARSE_DECLTYPES).
    words = declared.upper().replace("(", " ").split()
    convert = sqlite3.converters.get(words[0]) if words else None
    fitted = _affinity(declared.upper())
    if convert is None:
        return fitted

    def convert_fitted(value: Any) -> Any:
        if value is None:
            return None
        held = fitted(value)
        found = convert(held if isinstance(held, bytes) else str(held).encode())
        if found is None:
            raise ValueError(f"{value!r} is no {declared}")
        return found

    return convert_fitted


def _affinity(declared: str) -> Callable[[Any], Any]:
    """Source: SQLite's documentation, "Determination Of Column Affinity"."""
    if "INT" not in declared and any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return lambda value: str(value) if isinstance(value, int | float) else value
    if any(word in declared for word in _NUMBERS):
        return lambda value: _number(value, declared) if isinstance(value, str) else value
    return lambda value: value


def _number(text: str, declared: str) -> float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no {declared.lower()}") from None
