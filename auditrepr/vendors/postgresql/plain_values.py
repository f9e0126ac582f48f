"""Reads the values of usual column types from the log's JSON as the driver would return them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Field
from django.utils.dateparse import parse_duration


def _only(*kinds: type) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if type(value) not in kinds:
            raise ValueError(value)
        return value

    return checked


_text, _number = _only(str), _only(int, Decimal)


def _bytes(value: Any) -> bytes:
    kind, _, digits = _text(value).partition("x")
    if kind != "\\":
        raise ValueError(value)
    return bytes.fromhex(digits)


def _interval(value: Any) -> Any:
    if (found := parse_duration(_text(value))) is None:
        raise ValueError(value)
    return found


#: By the column's type, without its length.
_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("varchar", "char", "text", "citext", "inet"), _text),
    **dict.fromkeys(("smallint", "integer", "bigint"), _only(int)),
    "boolean": _only(bool),
    "numeric": lambda value: Decimal(_number(value)),
    "double precision": lambda value: float(_number(value)),
    "date": lambda value: date.fromisoformat(_text(value)),
    "timestamp with time zone": lambda value: datetime.fromisoformat(_text(value)),
    "time": lambda value: time.fromisoformat(_text(value)),
    "uuid": lambda value: UUID(_text(value)),
    "bytea": _bytes,
    "interval": _interval,
    "jsonb": lambda value: json.dumps(value, default=float),
}


def reader(field: Field[Any, Any], db_type: str) -> Callable[[Any], Any] | None:
    """Return the function that reads a value of the field; None if only the server can.

    :raises ValueError: by the function, if the value is not of the type.
    """
    if type(field).select_format is not Field.select_format or "[" in db_type:
        return None
    read = _READERS.get(db_type.partition("(")[0])
    if read is None:
        return None
    return lambda value: None if value is None else read(value)
