"""The condition that a row holds one of many texts, as a function that SQLite calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, TextField, Value
from django.db.models.functions import Cast

from ..sought import Sought

FUNCTION = "auditrepr_names"
#: How JSON writes any character as a number; only a parser knows which one.
_NUMBERED = "\\u"
#: What is sought by the conditions that are in use, by numbers.
_SOUGHT: WeakValueDictionary[int, Sought] = WeakValueDictionary()


class Names(Func):
    """Whether one of the columns holds one of the stretches."""

    function = FUNCTION
    output_field = BooleanField()

    def __init__(self, columns: Sequence[str], sought: Sought) -> None:
        texts = (Cast(column, TextField()) for column in columns)
        super().__init__(Value(id(sought)), *texts)
        self.sought = sought  # as long as this is in use, the number is no other's
        _SOUGHT[id(sought)] = sought


def prepare(connection: BaseDatabaseWrapper) -> None:
    """Have the connection know the function."""
    connection.connection.create_function(FUNCTION, -1, _names)


def _names(number: int, *texts: Any) -> bool:
    said = "\n".join(str(text) for text in texts if text is not None)
    return _NUMBERED in said or _SOUGHT[number].within(said)
