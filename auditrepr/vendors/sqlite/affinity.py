"""What SQLite and Python's driver make of a raw value in a column of a declared type."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

_ZONED = re.compile(r":\d\d(\.\d+)?\s*([+-]\d\d|Z)", re.IGNORECASE)
_REALS = ("REAL", "FLOA", "DOUB")
_MOST = 2**63
_NUMBERS = ("INT", "REAL", "FLOA", "DOUB", "DECIMAL", "BOOL")


def converter(declared: str) -> Callable[[Any], Any]:
    """Return a function that converts a value from the log as a query of the column would.

    A value from before the column had this type is converted as the table would do it.

    :raises ValueError: by the function, for a value that the type cannot hold.
    """
    # The driver uses the first word (PARSE_DECLTYPES).
    words = declared.upper().replace("(", " ").split()
    convert = sqlite3.converters.get(words[0]) if words else None
    fit = fitted(declared)
    if convert is None:
        return fit

    def convert_fitted(value: Any) -> Any:
        if value is None:
            return None
        held = fit(int(value) if isinstance(value, bool) else value)
        found = convert(held if isinstance(held, bytes) else str(held).encode())
        if found is None:
            raise ValueError(f"{value!r} is not a valid {declared}")
        return found

    return convert_fitted


def is_unlike(declared: str, value: Any) -> bool:
    """Return whether a value of an imported row is of another kind than the column would hold.

    The type may read it all the same: but a text that was written as a number may have lost zeros.
    """
    declared = declared.upper()
    if isinstance(value, bool):
        return "BOOL" not in declared
    if isinstance(value, list):
        return True
    if "INT" not in declared and any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return isinstance(value, int | float)
    if isinstance(value, str):
        # Django stores times without an offset.
        return "BLOB" in declared or (declared == "DATETIME" and _ZONED.search(value) is not None)
    return False


def cast(declared: str, values: Iterable[Any]) -> str | None:
    """Return SQL that gives these values the comparisons of a column of this type.

    The expression has a place for the value; None if no expression does. Without values, they are
    as usual for the type.
    """
    kinds = {type(value) for value in values if value is not None}
    declared = declared.upper()
    if "INT" in declared:
        return "CAST({} AS INTEGER)" if kinds <= {int, bool} else None
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return "CAST({} AS TEXT)" if kinds <= {str} else None
    if "BLOB" in declared or not declared:
        return "{}"
    usual = kinds or ({int} if any(word in declared for word in _NUMBERS) else {str})
    if usual == {str}:  # as dates are
        return "{}"
    name = "REAL" if any(word in declared for word in _REALS) else "NUMERIC"
    return f"CAST({{}} AS {name})" if kinds <= {int, bool, float} else None


def changes_numbers(declared: str) -> bool:
    """Return whether a column of this type stores numbers otherwise than they are given."""
    return as_stored(declared, "") != ""


def as_stored(declared: str, number: str) -> str:
    """Return SQL for a number, or whatever else, as a column of this type stores it."""
    declared = declared.upper()
    if any(word in declared for word in _REALS):
        return f"CAST({number} AS REAL)"
    return f"CAST({number} AS NUMERIC)" if "DECIMAL" in declared else number


def fitted(declared: str) -> Callable[[Any], Any]:
    """Return a function that converts a value as a column of this type would.

    Source: SQLite's documentation, "Determination Of Column Affinity".
    """
    declared = declared.upper()
    if "INT" not in declared and any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return _text
    if any(word in declared for word in _NUMBERS):
        real = "INT" not in declared and any(word in declared for word in _REALS)
        convert = float if real else _whole_if_exact

        def fit(value: Any) -> Any:
            number = _number(value, declared) if isinstance(value, str) else value
            # A trigger writes a boolean as a number; JSON of another kind has true and false.
            kept = isinstance(number, bool) or not isinstance(number, int | float)
            return number if kept else convert(number)

        return fit
    return lambda value: value


def _text(value: Any) -> Any:
    if isinstance(value, float):
        with closing(sqlite3.connect(":memory:")) as database:  # whose version rounds in its way
            return database.execute("SELECT CAST(? AS TEXT)", [value]).fetchone()[0]
    return str(value) if isinstance(value, int) else value


def _whole_if_exact(number: float) -> float:
    """Return an integer for a number without decimals that SQLite's integers hold."""
    exact = isinstance(number, float) and number.is_integer() and abs(number) < _MOST
    return int(number) if exact else number


def _number(text: str, declared: str) -> float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid {declared.lower()}") from None
