"""Reads what Django's serializers have written, as the triggers would have recorded it."""

from __future__ import annotations

from collections.abc import Sequence

from ..import_types import Cell, Form, Serialized
from . import trigger_body
from .quoting import literal

_DAY, _CLOCK = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]", "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
_UUID = "-".join("[0-9a-f]" * digits for digits in (8, 4, 4, 4, 12))

#: The types of the JSON, a condition, and the value.
# Times go down to the second: the serializer leaves out microseconds. A text that begins with an
# asterisk may be a mask. SQLite's own reading of a number with many digits is not always exact.
_FORMS = {
    Form.INTEGER: ("'integer'", "1", "{value}"),
    Form.BOOLEAN: ("'true', 'false'", "1", "{value}"),
    Form.TEXT: ("'text'", "{value} NOT GLOB '[*]*'", "{value}"),
    Form.FLOAT: (
        "'real', 'integer'",
        "(abs({value}) < 1e9 AND {value} = round({value} * 1e6) / 1e6)",
        "CAST({value} AS REAL)",
    ),
    Form.DATE: ("'text'", f"{{value}} GLOB '{_DAY}'", "{value}"),
    Form.TIME: ("'text'", f"{{value}} GLOB '{_CLOCK}'", "{value}"),
    Form.DATETIME: (
        "'text'",
        f"{{value}} GLOB '{_DAY}T{_CLOCK}Z'",
        "replace(replace({value}, 'T', ' '), 'Z', '')",
    ),
    Form.UUID: ("'text'", f"{{value}} GLOB '{_UUID}'", "replace({value}, '-', '')"),
    Form.DECIMAL: (
        "'text'",
        "({value} NOT GLOB '*[^-0-9.]*' AND {value} GLOB '*[0-9]*'"
        " AND length({value}) - instr({value} || '.', '.') <= {places})",
        "CAST({value} AS NUMERIC)",
    ),
    # SQLite 3.37 has no ->. A lone real is left out: it would be written with fewer digits.
    Form.JSON: (
        "'true', 'false', 'integer', 'text', 'array', 'object'",
        "1",
        "CASE json_type({document}, {path}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
        " ELSE json_quote(json_extract({document}, {path})) END",
    ),
}


def row(document: str, values: Sequence[Serialized]) -> str:
    """Return SQL for the row of those values that are certain."""
    return trigger_body.document([_cell(document, value) for value in values])


def _cell(document: str, value: Serialized) -> Cell:
    path = literal(".".join(("$", *(f'"{name}"' for name in value.path))))
    parts = {
        "value": f"json_extract({document}, {path})",
        "document": document,
        "path": path,
        "places": 300 if value.places is None else value.places,
    }
    kind = f"json_type({document}, {path})"
    kinds, certain, read = _FORMS[value.form]
    check = f"({kind} = 'null' OR ({kind} IN ({kinds}) AND {certain.format(**parts)}))"
    check += f" AND {value.known}" if value.known else ""
    sql = f"CASE WHEN {kind} <> 'null' THEN {read.format(**parts)} END"
    return Cell(value.name, sql, f"coalesce({check}, 0)")
