"""The casts of migrations that give other values than JSON of the old type is read as."""

from __future__ import annotations

from .quoting import literal

_TEXTS = frozenset({"varchar", "char", "text"})
_WHOLE = frozenset({"smallint", "integer", "bigint"})
_FLOATS = frozenset({"real", "double precision"})
_ZONED = "timestamp with time zone"
_TIMES = frozenset({_ZONED, "timestamp without time zone", "timestamp", "date", "time"})
_ARRAY = "[]"
_DIGEST = """'{"$digest": {}}'"""
# By the old type: how JSON has its values, and the types that its cast gives other values.
_CASTS: dict[str, tuple[str, frozenset[str]]] = {
    **dict.fromkeys(_TEXTS, ("string", frozenset({"json", "jsonb"}))),
    "boolean": ("boolean", frozenset({"integer"})),
    "integer": ("number", frozenset({"boolean"})),
    "numeric": ("number", _WHOLE),
    **dict.fromkeys(_FLOATS, ("number", _WHOLE | _TEXTS | {"numeric"})),
    _ZONED: ("string", _TEXTS | _TIMES),
    **dict.fromkeys(("timestamp without time zone", "timestamp"), ("string", _TEXTS | _TIMES)),
    "jsonb": ("", _TEXTS | _WHOLE | _FLOATS | {"numeric", "boolean"}),
    "inet": ("string", _TEXTS),
    _ARRAY: ("array", _TEXTS | {_ARRAY}),
}


def needs_cast(old: str, new: str) -> bool:
    """Return whether the cast gives other values, such as for a text that became JSON."""
    _, others = _CASTS.get(_kind(old), ("", ()))
    if _ARRAY in (_kind(old), _kind(new)) and _kind(_element(old)) == _kind(_element(new)):
        return False
    return _kind(new) in others


def has_old_type(old: str, column: str, document: str) -> str:
    """Return SQL for whether the column has a value in the document that is of the old type.

    One that was written in the same migration, after the cast, is of the new type.
    """
    kind, _ = _CASTS[_kind(old)]
    value = f"{document} -> {literal(column)}"
    if kind:
        return f"jsonb_typeof({value}) = '{kind}'"
    return f"{document} ? {literal(column)} AND NOT {value} @> {_DIGEST}"


def _kind(declared: str) -> str:
    """Return the type without its length; all arrays are of one kind."""
    return _ARRAY if "[" in declared else declared.lower().partition("(")[0].strip()


def _element(declared: str) -> str:
    return declared.partition("[")[0]
