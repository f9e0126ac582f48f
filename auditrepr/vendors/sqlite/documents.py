"""Rows as SQLite's triggers write them: JSON of the raw values, by column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..types import NOT_RECORDED, Image, renamed, why_missing


class Digest:
    """The value of a digest: unknown, and why."""

    def __init__(self, why: str = NOT_RECORDED) -> None:
        self.why = why


ABSENT = Digest()


def document(row_data: str, changed_from: str | None, image: Image) -> dict[str, Any]:
    """Return the raw values of a row as SQLite stored them, by column."""
    found: dict[str, Any] = json.loads(row_data)
    if image.before and changed_from:
        found |= json.loads(changed_from)
    if image.steps:
        found = renamed(image.steps, found)
    for column, value in found.items():
        if type(value) is dict:
            found[column] = _stored(value)
    return found


def in_storage(value: Any) -> Any:
    """Return a value of the log's JSON, with exact numbers, as it was stored.

    :raises ValueError: if the log has only a digest of it.
    """
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict) and isinstance(value := _stored(value), Digest):
        raise ValueError
    return value


def _stored(value: dict[str, Any]) -> Any:
    """Return a value that JSON cannot hold, or the digest of one that the log does not hold."""
    return bytes.fromhex(value["$blob"]) if "$blob" in value else Digest(why_missing(value))


def value_of(document: Mapping[str, Any], field: Any) -> Any:
    """Return the raw value of the field's column; None if it is not known."""
    value = document.get(field.column)
    return None if isinstance(value, Digest) else value


def key_of_text(declared: Sequence[str], text: str) -> list[str] | None:
    """Return the columns of the key whose text is in `text`, by their types, as SQL.

    None if the text is ambiguous.
    """
    kinds = [_kind(one.upper()) for one in declared]
    if None in kinds:
        return None
    # Of several columns, the text is a JSON array.
    several = [f"json_extract({text}, '$[{n}]')" for n in range(len(kinds))]
    parts = [text] if len(kinds) == 1 else several
    return [f"CAST({part} AS {kind})" for part, kind in zip(parts, kinds, strict=True)]


def _kind(declared: str) -> str | None:
    if "INT" in declared:
        return "INTEGER"
    return "TEXT" if any(word in declared for word in ("CHAR", "CLOB", "TEXT")) else None
