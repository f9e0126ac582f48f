"""Reads what Django's serializers have written, as the triggers would have recorded it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from ..import_types import Cell, Form, Serialized
from . import trigger_body
from .quoting import literal

_DAY, _CLOCK = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]", "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
_UUID = "-".join("[0-9a-f]" * digits for digits in (8, 4, 4, 4, 12))

# No mask, and not what Python makes of expressions, of sets of rows, and of members of
# enumerations: the table has what the database made of the first ones, and the value of a member,
# unless it is said elsewhere, where a member is its value.
# Few parentheses: SQLite's parser has little room for what is in one another.
_IS_TEXT = (
    "{value} NOT GLOB '[*]*' AND {value} NOT GLOB 'CASE WHEN *[)>]'"
    " AND {value} NOT GLOB '<* object at 0x*[)>]' AND {value} NOT GLOB '<QuerySet [[]*'"
    " AND ({value} NOT GLOB '[A-Za-z_]*(*[)>]'"
    " OR substr({value}, 1, instr({value}, '(') - 1) GLOB '*[^A-Za-z0-9_.]*')"
)
_NO_MEMBER = (
    " AND ({kind} <> 'text' OR {value} NOT GLOB '[A-Z]*.[A-Za-z_]*' OR {value} GLOB '*.*.*'"
    " OR {value} GLOB '*[^A-Za-z0-9_.]*' OR {value} = {said})"
)

#: The types of the JSON, a condition, and the value.
# Times go down to the second: the serializer leaves out microseconds. SQLite's own reading of a
# number with many digits is not always exact.
_FORMS = {
    Form.INTEGER: ("'integer'", "1", "{value}"),
    Form.BOOLEAN: ("'true', 'false'", "1", "{value}"),
    Form.TEXT: ("'text'", _IS_TEXT, "{value}"),
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

_BARE = reduce(
    lambda sql, about: f"replace({sql}, '{about}', '')",
    ("urn:", "uuid:", "{{", "}}", "-"),
    "lower({text})",
)

# Other ways in which Python reads the same key, and how the column writes it.
_KEYS = {
    Form.UUID: (f"length({_BARE}) = 32 AND {_BARE} NOT GLOB '*[^0-9a-f]*'", _BARE),
    Form.INTEGER: (
        "{text} GLOB '*[0-9]*' AND {text} NOT GLOB '*[^-+0-9. ]*'"
        " AND substr(ltrim({text}), 2) NOT GLOB '*[-+]*'"
        " AND CAST({text} AS NUMERIC) = CAST({text} AS INTEGER)",
        "CAST(CAST({text} AS INTEGER) AS TEXT)",
    ),
    Form.DATE: (
        "{text} GLOB '[0-9][0-9][0-9][0-9]-*[0-9]-[0-9]*'"
        " AND substr({text}, 6, 5) NOT GLOB '*[^-0-9 T]*'"
        " AND substr({text}, 11) NOT GLOB '*[^0-9:. T]*'",
        "printf('%.4s-%02d-%02d', {text}, substr({text}, 6),"
        " substr({text}, 6 + instr(substr({text}, 6), '-')))",
    ),
}


def key(text: str, form: Form | None) -> str:
    """Return SQL for a key as the triggers write it; what is none of the form's stays as it is."""
    if form not in _KEYS:
        return text
    condition, written = (part.format(text=text) for part in _KEYS[form])
    return f"CASE WHEN {condition} THEN {written} ELSE {text} END"


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
    if value.form is Form.TEXT:
        check += _NO_MEMBER.format(kind=kind, value=parts["value"], said=value.said)
    check += f" AND {value.known}" if value.known else ""
    sql = f"CASE WHEN {kind} <> 'null' THEN {read.format(**parts)} END"
    return Cell(value.name, sql, f"coalesce({check}, 0)")
