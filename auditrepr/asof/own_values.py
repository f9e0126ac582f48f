"""Copies mutable values, so that instances do not share them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from django.db.models import GeneratedField, JSONField, Model

from ..vendors.types import Found, Row

#: The types of most values, which nothing can change.
_FIXED = frozenset(
    {type(None), bool, int, float, str, bytes, memoryview}
    | {Decimal, date, datetime, time, timedelta, UUID}
)


def with_own_values(
    model: type[Model],
    found: Sequence[Found],
    most: int,
    too_much: Callable[[], None] | None,
    *,
    kept: bool,
) -> Sequence[Found]:
    """Return the rows, copying values so that no two rows share one that can be changed.

    A row that several events see is read only once.

    :param most: how many bytes the copies may take together.
    :param too_much: called if they take more; it raises. With None, they may.
    :param kept: the rows themselves are queried later, and must stay as they are.
    """
    names = changeable(model)
    return _Separating(names, most, too_much, kept).rows(found) if names else found


@cache
def changeable(model: type[Model]) -> tuple[str, ...]:
    """Return the attnames of the fields whose values may be of a type that can be changed."""
    return tuple(f.attname for f in model._meta.concrete_fields if not _is_fixed(f))


def _is_fixed(field: Any) -> bool:
    while field.is_relation or isinstance(field, GeneratedField):
        field = field.target_field if field.is_relation else field.output_field
    is_djangos = type(field).__module__.startswith("django.db.models.fields")
    return is_djangos and not isinstance(field, JSONField)


class _Separating:
    """Copies each value that was seen before.

    :param names: the attnames of the values.
    """

    def __init__(
        self, names: Sequence[str], most: int, too_much: Callable[[], None] | None, kept: bool
    ) -> None:
        self.names = names
        self.left = most
        self.too_much = too_much
        self.kept = kept
        self._seen: set[int] = set()  # the id() of values, which all live until this is done

    def rows(self, found: Sequence[Found]) -> list[Found]:
        return [
            one._replace(row=self._separated(one.row, self.kept and one.image is None))
            if isinstance(one.row, Row)
            else one
            for one in found
        ]

    def _separated(self, row: Row, kept: bool) -> Row:
        there = {name: row.values[name] for name in self.names if name in row.values}
        shared = {name: value for name, value in there.items() if self._is_shared(value, kept)}
        if not shared:
            return row
        copies = {name: self._copied(value) for name, value in shared.items()}
        return row._replace(values={**row.values, **copies})

    def _is_shared(self, value: Any, kept: bool) -> bool:
        if type(value) in _FIXED:
            return False
        seen = kept or id(value) in self._seen
        self._seen.add(id(value))
        return seen

    def _copied(self, value: Any) -> Any:
        """Return a copy, or the value itself if its type does not allow copies."""
        try:
            packed = pickle.dumps(value)
            copied = pickle.loads(packed)  # noqa: S301 - packed right here
        except Exception:  # the code of the value's type may raise anything
            return _deeply(value)
        self.left -= len(packed)
        if self.left < 0 and self.too_much:
            self.too_much()
        return copied


def _deeply(value: Any) -> Any:
    try:
        return deepcopy(value)
    except Exception:
        return value
