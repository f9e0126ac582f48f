"""Reads what Django's serializers have written, as the triggers would have recorded it."""

from __future__ import annotations

from ..import_types import Form, Serialized
from .quoting import literal

#: The type of the JSON, a pattern of its text, and the value. Nothing here can raise an error.
# Date and time are in JSON what they are for the serializer, down to the second: it leaves out
# microseconds. A text that begins with an asterisk may be a mask.
_FORMS = {
    Form.INTEGER: ("number", r"^-?\d{1,18}$", "CAST({text} AS bigint)"),
    Form.BOOLEAN: ("boolean", "", "CAST({text} AS boolean)"),
    Form.TEXT: ("string", r"^[^*]|^$", "{text}"),
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


def read(value: Serialized) -> tuple[str, str]:
    """Return SQL for the value, and for whether it is certain."""
    *way, name = (literal(one) for one in value.path)
    holder = "".join((value.document, *(f" -> {one}" for one in way)))
    json, text = f"({holder} -> {name})", f"({holder} ->> {name})"
    kind, pattern, read = _decimal(value) if value.form is Form.DECIMAL else _FORMS[value.form]
    fits = [f"jsonb_typeof({json}) = '{kind}'"] if kind else []
    fits += [f"{text} ~ {literal(pattern)}"] if pattern else []
    certain = " AND ".join(fits) or "true"
    known = f"coalesce({holder} ? {name} AND ({text} IS NULL OR {certain}), false)"
    return f"CASE WHEN {known} THEN {read.format(json=json, text=text)} END", known


def _decimal(value: Serialized) -> tuple[str, str, str]:
    if value.places is None:
        return "string", r"^-?\d{1,250}(\.\d{1,250})?$", "CAST({text} AS numeric)"
    pattern = rf"^-?\d{{1,250}}(\.\d{{1,{max(value.places, 1)}}})?$"
    return "string", pattern, f"round(CAST({{text}} AS numeric), {value.places})"
