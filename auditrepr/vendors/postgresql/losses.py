"""Values that ``jsonb``, in which the log holds rows, does not keep as the table does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ORDER = "the log does not keep the order of the keys, or keys that come twice, in {}"
SIGN = "the log does not keep the sign of a zero in {}"

Loses = Callable[[Any], bool]


def loss(db_type: str) -> tuple[str, Loses] | None:
    """Return why a column of this type may read otherwise from the log, and which values do."""
    kind, _, array = db_type.lower().partition("[")
    if kind == "json":
        return ORDER, lambda value: value is not None
    if array and kind in ("double precision", "real", "float4", "float8"):
        return SIGN, _has_zero
    return None


def _has_zero(value: Any) -> bool:
    """Return whether an array of any depth has a zero."""
    if isinstance(value, list | tuple):
        return any(map(_has_zero, value))
    return value is not None and value == 0
