"""Texts of values, and labels of choices, whatever the code of the project's fields does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.models import Field

Labels = Mapping[Any, Any]

_known: ContextVar[dict[Field[Any, Any], Labels] | None] = ContextVar("labels", default=None)


@contextmanager
def choices_asked_once() -> Iterator[None]:
    """Ask each field only once for its choices: a project may read them from a table."""
    if _known.get() is not None:
        yield
        return
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def label_of(field: Field[Any, Any] | None, value: Any) -> Any:
    """Return the label of the choice that the value is; the value itself if it is none."""
    if field is None or not field.choices or not isinstance(value, str | int):
        return value
    known = _known.get()
    if known is None:
        return _labels(field).get(value, value)
    if field not in known:
        known[field] = _labels(field)
    return known[field].get(value, value)


def _labels(field: Field[Any, Any]) -> Labels:
    """Return the labels by value; none if the field's own code cannot say which."""
    try:
        return {value: label for value, label in field.flatchoices if isinstance(value, str | int)}
    except Exception:
        return {}


def text_of(value: Any) -> str:
    """Return the value's text, or its type's name if the code of the type has none."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__qualname__}>"


def json_of(value: Any) -> str:
    """Return the value as JSON, or its text if it cannot be that."""
    try:
        return json.dumps(value, ensure_ascii=False, default=text_of)
    except (TypeError, ValueError, RecursionError):
        return text_of(value)
