"""The formats of an export: JSON Lines for programs, CSV for spreadsheets.

Each writes one record for an event and one at the end, which a cut file lacks.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from ..utils.text import as_json_escapes, visible
from .export_records import COLUMNS, Record

#: Characters of a CSV cell; a spreadsheet holds 32,767 and loses what is longer.
CELL = 32_000
#: Characters of each value in a cell that would be longer.
VALUE = 200
#: With these a cell is a formula, in their full-width and small forms, too.
FORMULA = frozenset("=+-@")
#: From a record to a value: the column's changes, the field, old or new.
LEVELS = 3
TOO_DEEP = "(nested too deeply to be exported)"


class Format(ABC):
    """One format."""

    suffix: ClassVar[str]
    content_type: ClassVar[str]
    #: What may stand in front of a record and means nothing.
    blank: ClassVar[bytes] = b""

    @abstractmethod
    def head(self) -> bytes:
        """Return how a file begins."""

    @abstractmethod
    def line(self, record: Record) -> bytes:
        """Return an event's record."""

    @abstractmethod
    def end(self, **facts: Any) -> bytes:
        """Return the last record, which says how the export ended and where it continues."""

    @abstractmethod
    def whole(self, tail: bytes) -> bool:
        """Return whether a file that ends so ends with the last record of an export."""


class JsonLines(Format):
    """A JSON object in each line, exactly what the log holds."""

    suffix = "jsonl"
    content_type = "application/x-ndjson"
    blank = b" "

    def head(self) -> bytes:
        return b""

    def line(self, record: Record) -> bytes:
        return f"{as_json(record)}\n".encode()

    def end(self, **facts: Any) -> bytes:
        return self.line(facts)

    def whole(self, tail: bytes) -> bool:
        return tail.endswith(b"\n") and tail.splitlines()[-1].startswith(b'{"end": ')


class Csv(Format):
    """A table that a spreadsheet opens, in which no cell is a formula.

    NULL is an empty cell, an empty text is an empty cell in quotes.
    """

    suffix = "csv"
    content_type = "text/csv; charset=utf-8"

    def head(self) -> bytes:
        return "\ufeff".encode() + _row([*COLUMNS, "cut"])

    def line(self, record: Record) -> bytes:
        cells = {name: _cell(record[name]) for name in COLUMNS}
        cut = [name for name, (_, was_cut) in cells.items() if was_cut]
        return _row([*(text for text, _ in cells.values()), " ".join(cut) or None])

    def end(self, **facts: Any) -> bytes:
        return _row([part for fact in facts.items() for part in fact])

    def whole(self, tail: bytes) -> bool:
        return tail.endswith(b"\r\n") and tail.splitlines()[-1].startswith(b'"end",')


FORMATS: dict[str, type[Format]] = {one.suffix: one for one in (Csv, JsonLines)}


def as_json(value: Any, levels: int = LEVELS) -> str:
    """Return the value as JSON in one line, in which every digit of a number is kept.

    Invisible characters are escaped: nothing acts on a terminal, no reader sees an end of line.

    :param levels: how far to look for the inner value that is nested too deeply, if one is.
    """
    try:
        return as_json_escapes(_json(value))
    except RecursionError:
        if not levels or not isinstance(value, dict):
            return _dumps(TOO_DEEP)
    inner = (f"{as_json(str(key))}: {as_json(one, levels - 1)}" for key, one in value.items())
    return f"{{{', '.join(inner)}}}"


def _json(value: Any) -> str:
    match value:
        case dict():
            inner = (f"{_dumps(str(key))}: {_json(one)}" for key, one in value.items())
            return f"{{{', '.join(inner)}}}"
        case list():
            return f"[{', '.join(map(_json, value))}]"
        case Decimal():
            return str(value)
        case float() if not math.isfinite(value):
            return _dumps(str(value))  # JSON has no word for it
    return _dumps(value)


_dumps = json.JSONEncoder(ensure_ascii=False).encode


def _row(cells: list[Any]) -> bytes:
    return (",".join(map(_quoted, cells)) + "\r\n").encode()


def _quoted(cell: Any) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).lower()
        case int():
            return str(cell)
    return '"{}"'.format(str(cell).replace('"', '""'))


def _cell(value: Any) -> tuple[Any, bool]:
    """Return what a cell holds, and whether something of the value is missing."""
    match value:
        case None | bool() | int():
            return value, False
        case str():
            text = defused(_CONTROLS.sub(lambda found: visible(found[0]), value))
            return _cut(text, CELL), len(text) > CELL
    document = as_json(value)
    if len(document) <= CELL:
        return document, False
    shorter = as_json(_shortened(value))
    return _cut(shorter, CELL), True


#: Ends of lines and tabs stay: a cell may hold them.
_CONTROLS = re.compile(r"[^\t\r\n]+")


def defused(text: str) -> str:
    """Return the text with an apostrophe in front if a spreadsheet could take it for a formula.

    Also if it begins with an apostrophe: to read it back, remove one.
    """
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])[:1]
    acts = first in FORMULA if first else False
    return f"'{text}" if acts or text.startswith(("'", "\t", "\r", "\n")) else text


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    mark = f"… ({len(text)} characters)"
    return text[: length - len(mark)] + mark


def _shortened(value: Any) -> Any:
    """Return the value of a JSON column with long values cut, so that it stays JSON."""
    match value:
        case Mapping():
            return {_cut(str(key), VALUE): _shortened(one) for key, one in value.items()}
        case str():
            return _cut(value, VALUE)
        case list():
            text = as_json(value)
            return _cut(text, VALUE) if len(text) > VALUE else value
    return value
