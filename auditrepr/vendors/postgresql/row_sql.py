"""Builds the SQL that makes rows of events on PostgreSQL; nothing here is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..types import Step
from .casts import has_old_type
from .imported_kinds import IS_IMPORTED
from .quoting import literal, quoted

#: The expressions of a table's virtual columns, which no trigger sees.
VIRTUAL = """
SELECT attname, pg_get_expr(adbin, adrelid)
FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = %s::regclass AND attgenerated = 'v'
"""

# Columns without a value in the log (added later, excluded, or replaced by a digest) are
# listed as unknown. Each row comes from one of the images in `wanted`.
_ROWS = """
CROSS JOIN LATERAL (
    SELECT row_data, changed_from FROM auditrepr_auditlog WHERE id = wanted.id OFFSET 0
) log
CROSS JOIN LATERAL (
    SELECT CASE WHEN wanted.before
        THEN log.row_data || coalesce(log.changed_from, '{{}}') ELSE log.row_data
    END AS document OFFSET 0
) held_0{steps}
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN {held}.document ?& {needed}
            AND NOT jsonb_path_exists({held}.document, '$.*."$digest"') THEN NULL
        ELSE nullif(ARRAY(
            SELECT name FROM unnest({needed}) name
            WHERE NOT {held}.document ? name OR {held}.document -> name @> '{{"$digest": {{}}}}'
        ), '{{}}')
    END AS names OFFSET 0
) unknown
CROSS JOIN LATERAL (
    SELECT CASE WHEN unknown.names IS NULL THEN NULL ELSE ARRAY(
        SELECT jsonb_build_array(name, {held}.document -> name #>> '{{$digest,erased}}')::text
        FROM unnest(unknown.names) name WHERE {held}.document ? name
    ) END AS names
) digests
CROSS JOIN LATERAL (
    SELECT CASE WHEN unknown.names IS NULL THEN {held}.document
        ELSE {held}.document - unknown.names
    END{hstores} AS document OFFSET 0
) ready
CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, ready.document) AS image{computed}
"""
_STEP = """
CROSS JOIN LATERAL (
    SELECT CASE WHEN {condition} THEN {after} ELSE was.document END AS document
    FROM (SELECT {held}.document) was OFFSET 0
) {following}"""
# The value is read in its old type, and cast as the migration did it. What is imported was read in
# the types of the tables at its import.
_CAST = """
CROSS JOIN LATERAL (
    SELECT CASE WHEN {condition} AND NOT ({imported}) THEN was.document || (
        SELECT jsonb_build_object({column}, value::{new}) FROM jsonb_to_record(
            jsonb_build_object('value', was.document -> {column})
        ) AS own (value {old})
    ) ELSE was.document END AS document
    FROM (SELECT {held}.document) was OFFSET 0
) {following}"""
# hstore reads only its own notation, in which a backslash escapes special characters.
_HSTORE = """
    || CASE WHEN jsonb_typeof({held}.document -> {column}) = 'object' THEN jsonb_build_object(
        {column}, (
            SELECT coalesce(string_agg(concat({key}, '=>', coalesce({value}, 'NULL')), ','), '')
            FROM jsonb_each_text({held}.document -> {column}) AS pair
        )
    ) ELSE '{{}}' END"""
_QUOTED = r"""'"' || replace(replace(pair.{part}, E'\\', E'\\\\'), '"', E'\\"') || '"'"""
_COMPUTED = """
CROSS JOIN LATERAL (SELECT {expressions} FROM (SELECT image.*) AS own) AS computed"""


@dataclass(frozen=True)
class Shape:
    """The properties of a table that are needed to read its rows from the log."""

    table: str  # quoted
    columns: Sequence[str]
    hstores: Sequence[str] = ()
    virtual: Mapping[str, str] = field(default_factory=dict)  # the expressions, by column

    def rows(self, steps: Sequence[Step]) -> str:
        """Return what follows ``FROM … wanted (id, before)`` in a query that selects a `value`."""
        held = f"held_{len(steps)}"
        needed = ", ".join(literal(c) for c in self.columns if c not in self.virtual)
        sql = _ROWS.format(
            steps="".join(_step(n, step) for n, step in enumerate(steps)),
            held=held,
            needed=f"ARRAY[{needed}]::text[]",
            hstores="".join(_hstore(held, column) for column in self.hstores),
            table=self.table,
            computed=self._computed(),
        )
        return sql.replace("%", "%%")

    def value(self, column: str) -> str:
        """Return SQL for the column's value."""
        source = "computed" if column in self.virtual else "image"
        return f"{source}.{quoted(column)}"

    def _computed(self) -> str:
        expressions = [f"({sql}) AS {quoted(column)}" for column, sql in self.virtual.items()]
        return _COMPUTED.format(expressions=", ".join(expressions)) if expressions else ""


def _step(n: int, step: Step) -> str:
    """Return what makes the next document of the one before, as vendors.types.renamed() does."""
    old, new, replacing, types = step
    held, following = f"held_{n}", f"held_{n + 1}"
    if types:
        return _CAST.format(
            condition=has_old_type(types[0], old, "was.document"),
            imported=IS_IMPORTED,
            column=literal(old),
            old=types[0],
            new=types[1],
            held=held,
            following=following,
        )
    condition, after = f"was.document ? {literal(old)}", f"was.document - {literal(old)}"
    if new is not None:
        after = f"({after}) || jsonb_build_object({literal(new)}, was.document -> {literal(old)})"
        if not replacing:
            condition += f" AND NOT was.document ? {literal(new)}"
    return _STEP.format(condition=condition, after=after, held=held, following=following)


def _hstore(held: str, column: str) -> str:
    key, value = (_QUOTED.format(part=part) for part in ("key", "value"))
    return _HSTORE.format(held=held, column=literal(column), key=key, value=value)
