"""Imported values that their columns read, and that the triggers would have written otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from ..types import LAST_IMPORTED
from .quoting import literal

_TEXTS = ("varchar", "text", "char", "citext")
_ZONED = "timestamp with time zone"
# Only of imported events anything is read again: an older log of our own may have such IDs, too.
# Not EXISTS, for which the planner may choose to read the whole log once.
IS_IMPORTED = f"""wanted.id <= {LAST_IMPORTED} AND coalesce((
    SELECT context ? 'imported_from' FROM auditrepr_auditlog WHERE id = wanted.id
), false)"""
_UNLIKE = f"CASE WHEN {IS_IMPORTED} THEN ARRAY({{names}}) END"
_NAMES = "SELECT name FROM unnest(ARRAY[{columns}]) AS name WHERE {condition}"
# A number may have had zeros in front of it. A time without an offset is in an unknown time zone.
_IS_NO_TEXT = "jsonb_typeof({document} -> name) NOT IN ('string', 'null')"
_HOLDS_NO_TEXT = (
    "jsonb_path_exists({document} -> name,"
    ' \'$.** ? (@.type() == "number" || @.type() == "boolean" || @.type() == "object")\')'
)
_HAS_NO_ZONE = "{document} ->> name !~ '([+-]\\d\\d(:?\\d\\d){{0,2}}|Z|infinity)$'"


def unlike(types: Mapping[str, str], document: str) -> str:
    """Return SQL for the columns of an image that are of another kind; null if it is our own.

    :param types: the type of each column, as Django has it.
    :param document: the JSON of the image.
    """
    found: dict[str, list[str]] = {}
    for column, declared in types.items():
        kind, _, array = declared.lower().partition("[")
        if kind.partition("(")[0] in _TEXTS:
            found.setdefault(_HOLDS_NO_TEXT if array else _IS_NO_TEXT, []).append(column)
        elif kind == _ZONED and not array:
            found.setdefault(_HAS_NO_ZONE, []).append(column)
    names = " UNION ALL ".join(
        _NAMES.format(
            columns=", ".join(map(literal, columns)), condition=condition.format(document=document)
        )
        for condition, columns in found.items()
    )
    sql = _UNLIKE.format(names=names) if names else "NULL"
    return sql.replace("%", "%%")
