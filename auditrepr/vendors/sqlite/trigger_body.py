"""Builds the SQL inside SQLite's triggers: what an event has of its row.

A statement that fires a trigger compiles it first, and that takes longer than running it. So the
columns are the rows of a common table expression, and one expression serves all of them: with 15
columns the statement is ready in a quarter of the time that one expression for each column takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..capture_types import Capture, Column
from ..import_types import Cell
from .quoting import literal, quoted

#: Bytes that the values of one row may have together before the longest become digests. SQLite
#: allows a row of the log 10**9; it may hold two images, with six bytes for a control character.
LARGEST_ROW = 30_000_000

# SQLite's own reading and printing of decimals (quote() uses both) is not always exact; 20 digits
# are. 19.99 is written as such only because it is 19990000 / 10**6 in plain arithmetic. JSON has no
# infinity, but every parser reads 9e999 as infinity.
REAL = (
    "iif(abs({value}) < 1e9 AND {value} = round({value} * 1e6) / 1e6, printf('%!.15g', {value}),"
    " replace(printf('%!.20g', {value}), 'Inf', '9e999'))"
)

# Only text and blobs are not less than '', and only blobs are not less than x''. The plus removes
# the type of the first column of the image. Text with '' added to it is a string even if it came
# from a JSON function. SQLite has no hash function: the length and the first 1000 bytes stand in.
_VALUE = f"""CASE
 WHEN +{{value}} >= '' THEN CASE
  WHEN length(CAST({{value}} AS BLOB)) > {{share}}
   AND (SELECT sum(length(CAST({{value}} AS BLOB))) FROM image) > {LARGEST_ROW}
   THEN json('{{{{"$digest":{{{{"bytes":' || length(CAST({{value}} AS BLOB))
    || ',"head":"' || hex(substr(CAST({{value}} AS BLOB), 1, 1000)) || '"}}}}}}}}')
  WHEN +{{value}} >= x'' THEN json('{{{{"$blob":"' || hex({{value}}) || '"}}}}')
  ELSE {{value}} || '' END
 WHEN typeof({{value}}) = 'real' THEN json({REAL})
 ELSE {{value}} END"""


def document(cells: Sequence[Cell]) -> str:
    """Return SQL for the JSON text of a row, from expressions for its values."""
    rows = ", ".join(
        f"({literal(one.name)}, {one.sql}, {one.known or 1}, {int(one.is_json)})" for one in cells
    )
    value = _VALUE.format(value="value", share=LARGEST_ROW // len(cells))
    return (
        f"(WITH image (name, value, known, is_json) AS NOT MATERIALIZED (VALUES {rows})"
        f" SELECT json_group_object(name, CASE WHEN is_json THEN json(value) ELSE {value} END)"
        " FILTER (WHERE known) FROM image)"
    )


def key_text(parts: Sequence[str]) -> str:
    """Return SQL for the text of a key, from expressions for its columns."""
    if len(parts) == 1:
        return _key_text(parts[0])
    texts = ", ".join(f"iif(typeof({part}) = 'blob', hex({part}), {part})" for part in parts)
    return f"json_array({texts})"


def insert(capture: Capture) -> str:
    """Return SQL for what the event of an insert has."""
    return f"{_object_id(capture, 'new')}, NULL, 'I', {_row(capture, 'new')}, NULL"


def delete(capture: Capture) -> str:
    """Return SQL for what the event of a deletion has."""
    return f"{_object_id(capture, 'old')}, NULL, 'D', {_row(capture, 'old')}, NULL"


def update(capture: Capture) -> str:
    """Return SQL for what the event of an update has."""
    return (
        "key, nullif(previous, key), 'U', row_data, changed_from"
        f" FROM (WITH image (name, before, after) AS {_image(capture, 'old', 'new')}"
        f" SELECT {_object_id(capture, 'new')} AS key, {_object_id(capture, 'old')} AS previous,"
        f" {_object(capture, 'after')} AS row_data,"
        f" {_object(capture, 'before')} FILTER (WHERE {_differ(capture)}) AS changed_from"
        " FROM image)"
    )


def _row(capture: Capture, row: str) -> str:
    """Return SQL for the whole row as JSON text."""
    return (
        f"(WITH image (name, value) AS {_image(capture, row)}"
        f" SELECT {_object(capture, 'value')} FROM image)"
    )


def _object(capture: Capture, value: str) -> str:
    """Return SQL for the JSON object of the image's rows.

    A value is included in full if it is no larger than its share of the row's limit, or if the row
    has room for it.
    """
    share = LARGEST_ROW // len(columns(capture))
    return f"json_group_object(name, {_VALUE.format(value=value, share=share)})"


def _image(capture: Capture, *rows: str) -> str:
    """Return SQL for one row per column: its name, and its value in each of the rows."""
    values = ", ".join(
        f"({literal(name)}, {', '.join(f'{row}.{quoted(name)}' for row in rows)})"
        for name in (column.name for column in columns(capture))
    )
    # SQLite would write an expression that is used twice to a temporary table, which is slower.
    return f"NOT MATERIALIZED (VALUES {values})"


def changed(capture: Capture) -> str:
    """Return a condition that any column has changed."""
    pairs = [
        f"old.{quoted(column.name)} IS NOT new.{quoted(column.name)} COLLATE BINARY"
        for column in columns(capture)
    ]
    pairs += [
        f"typeof(old.{quoted(column.name)}) <> typeof(new.{quoted(column.name)})"
        for column in columns(capture)
        if _keeps_any_type(column)
    ]
    if not capture.key_columns:
        pairs.append(f"{_object_id(capture, 'old')} IS NOT {_object_id(capture, 'new')}")
    return _balanced(pairs)


def _differ(capture: Capture) -> str:
    differ = "+before IS NOT +after COLLATE BINARY"
    if any(map(_keeps_any_type, columns(capture))):
        return f"{differ} OR typeof(before) <> typeof(after)"
    return differ


def _keeps_any_type(column: Column) -> bool:
    """Return whether 1 may become 1.0 in this column; other types make them the same."""
    declared = column.type.upper()
    return "BLOB" in declared or declared in ("", "ANY")


def _balanced(conditions: Sequence[str]) -> str:
    """Return the conditions joined by OR, as a tree: SQLite limits the depth to 1000."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return f"({_balanced(conditions[:half])} OR {_balanced(conditions[half:])})"


def _object_id(capture: Capture, row: str) -> str:
    if not capture.key_columns:
        return _rowid(capture, row)
    return key_text([f"{row}.{quoted(name)}" for name in capture.key_columns])


def _key_text(value: str) -> str:
    return (
        f"CASE typeof({value}) WHEN 'blob' THEN hex({value})"
        f" WHEN 'real' THEN {REAL.format(value=value)} ELSE CAST({value} AS TEXT) END"
    )


def _rowid(capture: Capture, row: str) -> str:
    """Return SQLite's own number of the row, by a name that no column has."""
    taken = {column.name.lower() for column in capture.shape.columns}
    free = [name for name in ("rowid", "oid", "_rowid_") if name not in taken]
    return f"CAST({row}.{free[0]} AS TEXT)" if free else "NULL"


def columns(capture: Capture) -> list[Column]:
    """Return the columns that may be recorded; a key is never excluded, so there is always one."""
    excluded = {name.lower() for name in capture.excluded}
    return [column for column in capture.shape.columns if column.name.lower() not in excluded]
