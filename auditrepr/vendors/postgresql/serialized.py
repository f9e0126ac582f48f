"""Reads what Django's serializers have written, as the triggers would have recorded it."""

from __future__ import annotations

from collections.abc import Sequence

from ..import_types import Form, Serialized
from .quoting import literal, quoted

# What Python makes of expressions and of sets of rows: the table has what the database has made.
_CODE = (
    r"[A-Za-z_][A-Za-z0-9_.]*\(.*[)>]$",
    r"CASE WHEN .*[)>]$",
    r"<[^ >]+ object at 0x.*[)>]$",
    r"<QuerySet \[",
)
# And of members of enumerations, of which the table has the values: unless it is said elsewhere,
# where a member is its value.
_NO_MEMBER = "({text} !~ '^[A-Z][A-Za-z0-9_]*\\.[A-Za-z_][A-Za-z0-9_]*$' OR {text} = {said})"

#: The type of the JSON, a pattern of its text, and the value. Nothing here can raise an error.
# Date and time are in JSON what they are for the serializer, down to the second: it leaves out
# microseconds. A text that begins with an asterisk may be a mask.
_FORMS = {
    Form.INTEGER: ("number", r"^-?\d{1,18}$", "CAST({text} AS bigint)"),
    Form.BOOLEAN: ("boolean", "", "CAST({text} AS boolean)"),
    Form.TEXT: ("string", rf"^(?!{'|'.join(_CODE)})[^*]|^$", "{text}"),
    Form.FLOAT: ("number", r"^.{1,250}$", "CAST({text} AS double precision)"),
    Form.DATE: ("string", r"^\d{4}-\d\d-\d\d$", "{text}"),
    Form.TIME: ("string", r"^\d\d:\d\d:\d\d$", "{text}"),
    Form.DATETIME: (
        "string",
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
        "replace({text}, 'Z', '+00:00')",
    ),
    Form.UUID: ("string", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "{text}"),
    Form.JSON: ("", "", "nullif({json}, 'null')"),
}

# A key as the column writes it; the same in other ways that Python reads, without what is about it;
# and how that is written.
_KEYS = {
    Form.UUID: (
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        ("^urn:|uuid:|[{}-]", ""),
        "[0-9A-Fa-f]{32}",
        "CAST(CAST(bare.key AS uuid) AS text)",
    ),
    Form.INTEGER: (
        "0|-?[1-9][0-9]*",
        (r"^\s*\+?|(\.0*)?\s*$", ""),
        "-?[0-9]{1,30}",
        "CAST(CAST(bare.key AS numeric) AS text)",
    ),
    Form.DATE: (
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        (r"-([0-9])(?![0-9])|[T ][0-9:.]+$", r"-0\1"),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(-0)?",
        "substr(bare.key, 1, 10)",
    ),
}


def key(text: str, form: Form | None) -> str:
    """Return SQL for a key as the triggers write it; what is none of the form's stays as it is."""
    if form not in _KEYS:
        return text
    usual, (about, instead), pattern, written = _KEYS[form]
    bare = f"regexp_replace({text}, {literal(about)}, {literal(instead)}, 'gi')"
    return (
        f"CASE WHEN {text} ~ {literal(f'^({usual})$')} THEN {text} ELSE (SELECT CASE"
        f" WHEN bare.key ~ {literal(f'^{pattern}$')} THEN {written} ELSE {text} END"
        f" FROM (SELECT {bare} AS key OFFSET 0) AS bare) END"
    )


# Each part is looked up once, and each value checked once: without OFFSET, the planner would put
# the expressions in place of their names.
_ROW = """(
SELECT to_jsonb(held.*) - ARRAY[{unknown}]::text[]
FROM (SELECT {parts} OFFSET 0) AS part
CROSS JOIN LATERAL (SELECT {checks} OFFSET 0) AS certain
CROSS JOIN LATERAL (SELECT {values}) AS held)"""


def row(document: str, values: Sequence[Serialized]) -> str:
    """Return SQL for the row of those values that are certain."""
    ways = list(dict.fromkeys(value.path[:-1] for value in values))
    read = [_read(value, f"part.p{ways.index(value.path[:-1])}") for value in values]
    return _ROW.format(
        parts=", ".join(
            f"{' -> '.join((document, *map(literal, way)))} AS p{n}" for n, way in enumerate(ways)
        ),
        checks=", ".join(f"{check} AS c{n}" for n, (check, _) in enumerate(read)),
        values=", ".join(
            f"CASE WHEN certain.c{n} THEN {sql} END AS {quoted(value.name)}"
            for n, (value, (_, sql)) in enumerate(zip(values, read, strict=True))
        ),
        unknown=", ".join(
            f"CASE WHEN certain.c{n} THEN NULL ELSE {literal(value.name)} END"
            for n, value in enumerate(values)
        ),
    )


def _read(value: Serialized, holder: str) -> tuple[str, str]:
    """Return SQL for whether the value is certain, and for the value."""
    name = literal(value.path[-1])
    json, text = f"({holder} -> {name})", f"({holder} ->> {name})"
    kind, pattern, read = _decimal(value) if value.form is Form.DECIMAL else _FORMS[value.form]
    fits = [f"jsonb_typeof({json}) = '{kind}'"] if kind else []
    fits += [f"{text} ~ {literal(pattern)}"] if pattern else []
    if value.form is Form.TEXT:
        fits.append(_NO_MEMBER.format(text=text, said=value.said))
    is_certain = f"({text} IS NULL OR {' AND '.join(fits) or 'true'})"
    check = " AND ".join(filter(None, (f"{holder} ? {name}", is_certain, value.known)))
    return f"coalesce({check}, false)", read.format(json=json, text=text)


def _decimal(value: Serialized) -> tuple[str, str, str]:
    if value.places is None:
        return "string", r"^-?\d{1,250}(\.\d{1,250})?$", "CAST({text} AS numeric)"
    pattern = rf"^-?\d{{1,250}}(\.\d{{1,{max(value.places, 1)}}})?$"
    return "string", pattern, f"round(CAST({{text}} AS numeric), {value.places})"
