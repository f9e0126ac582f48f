"""Placeholders for values and objects that are not in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Value

from ..vendors.types import ERASED, NOT_RECORDED


class BareRow:
    """A substitute for the instance: "shop_order 5: ref=A7, total=12.50"."""

    def __init__(self, table_name: str, object_id: str | None, row: Mapping[str, Any]) -> None:
        self.table_name = table_name
        self.object_id = object_id
        self.row = row

    def __str__(self) -> str:
        columns = ", ".join(f"{column}={_shown(value)}" for column, value in self.row.items())
        return f"{self.table_name} {self.object_id}: {columns}"


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


UNKNOWN = "{} is not in the log"
ERASED_VALUE = "{} was erased on {}"


def unknown(column: str, why: str = NOT_RECORDED) -> str:
    """Return why a representation that reads this column is mixed."""
    if why.startswith(ERASED):
        return ERASED_VALUE.format(column, why.removeprefix(ERASED))
    return UNKNOWN.format(column)


class Unknown(str):
    """A visible placeholder, whatever ``__str__`` does with it."""

    def __new__(cls, column: str, why: str = NOT_RECORDED) -> Unknown:
        return super().__new__(cls, f"[{column}: {why}]")

    def __format__(self, spec: str) -> str:
        return str.__str__(self)

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **options: Any) -> Unknown:
        return self

    def __getitem__(self, key: Any) -> Unknown:
        return self


def default_of(field: Any) -> Any:
    """Return what the migration that added the column wrote into existing rows, if known."""
    if field.generated:
        return Unknown(field.column)
    if field.has_db_default():
        return _literal(field)
    if field.has_default():
        return (
            field.to_python(field.get_default()) if _is_constant(field) else Unknown(field.column)
        )
    # Django's schema editor writes the time of the migration into these, nullable or not.
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return Unknown(field.column)
    if field.null:
        return None
    return "" if field.blank and field.empty_strings_allowed else Unknown(field.column)


def _literal(field: Any) -> Any:
    default = field.db_default
    if isinstance(default, Value):
        default = default.value
    return Unknown(field.column) if hasattr(default, "resolve_expression") else default


def _is_constant(field: Any) -> bool:
    """Return whether the default is always the same: a value, or a built-in type such as dict."""
    return not callable(field.default) or field.default in (bool, bytes, dict, int, list, str)
