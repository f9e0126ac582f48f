"""Writes constants of a source's SELECT."""

from __future__ import annotations

from collections.abc import Iterable


def text(value: str) -> str:
    """Return the text as an SQL constant."""
    return "'" + value.replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """Return the texts as an array of PostgreSQL."""
    return f"ARRAY[{', '.join(map(text, values))}]::text[]"
