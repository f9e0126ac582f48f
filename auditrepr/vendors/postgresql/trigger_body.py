"""The bodies of one table's trigger functions on PostgreSQL, and their settings."""

from __future__ import annotations

import json
import re

from ..types import Capture, Column
from . import trigger_templates
from .quoting import LOG, hashed, literal, quoted

# Session settings that change a value's JSON, by the type of the value.
_PINS = {
    "real": {"extra_float_digits"},
    "double precision": {"extra_float_digits"},
    "vector": {"extra_float_digits"},
    "timestamp with time zone": {"TimeZone"},
    "bytea": {"bytea_output"},
    "interval": {"IntervalStyle"},
    "money": {"lc_monetary"},
    "daterange": {"DateStyle"},
    "tsrange": {"DateStyle"},
    "tstzrange": {"DateStyle", "TimeZone"},
    "datemultirange": {"DateStyle"},
    "tsmultirange": {"DateStyle"},
    "tstzmultirange": {"DateStyle", "TimeZone"},
}
_PINNED = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
}
# Types whose JSON depends on no setting. Size aside, JSON can hold every value of these and of
# those above; for any other type (json, domains, composites) this is unknown.
_PLAIN = frozenset(
    """
    smallint|integer|bigint|numeric|decimal|boolean|oid|uuid|jsonb|date|timestamp without time zone|
    time without time zone|time with time zone|text|character varying|character|name|citext|
    ltree|hstore|tsvector|bit|bit varying|inet|cidr|macaddr|macaddr8|int4range|int8range|
    numrange|int4multirange|int8multirange|nummultirange
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)
# Types whose values are equal only if their JSON is, with an equality of their own.
_CHARACTERS = frozenset({"text", "character varying", "name"})
_COMPARABLE = _CHARACTERS | frozenset(
    {
        "smallint", "integer", "bigint", "decimal", "boolean", "oid", "uuid", "bytea", "date",
        "timestamp without time zone", "timestamp with time zone", "time without time zone",
    }
)  # fmt: skip
# The maximum number of arguments of a function.
_MOST_ARGUMENTS = 100
# JSON ends at 256 MB. At most it takes 32 times the value (an array of nulls, four bytes a bit).
_SURELY_FITS = 1_000_000


def table_token(capture: Capture) -> str:
    """Return the text that stands for the table among the running statements."""
    return hashed(capture.name)


def direct(capture: Capture, *operations: str, depth: str = "pg_trigger_depth()") -> str:
    """Return a condition: none of these running statements is on the partitioned table itself."""
    return " AND ".join(
        f"position(concat('{table_token(capture)}:{operation}:', {depth}, ' ') "
        f"IN coalesce(current_setting('auditrepr.open', true), '')) = 0"
        for operation in operations
    )


class Body:
    """The trigger functions of one table."""

    def __init__(self, capture: Capture, schema: str) -> None:
        self.capture = capture
        self.log_schema, self.schema = schema, quoted(schema)
        self.pins, self.surely_fits, exact = _needs(capture)
        self.text = "::text" if exact else ""

    def of_statement(self) -> str:
        new, old = self._image("auditrepr_new"), self._image("auditrepr_old")
        return self._function(
            insert=self._whole("I", f"{new} AS image FROM auditrepr_new"),
            update=self._update(),
            delete=self._whole("D", f"{old} AS image FROM auditrepr_old"),
            truncating=trigger_templates.NOT_EMPTIED.format(
                emptied=trigger_templates.emptied(self.log_schema)
            ),
            truncate=self._event("T", key="NULL", row="NULL"),
        )

    def of_row(self) -> str:
        """Return the function for a statement that names a partition."""
        new, old = self._image("NEW"), self._image("OLD")
        emptied = self._whole("D", f"{self._image('gone')} AS image")
        return self._function(
            insert=self._whole("I", f"{new} AS image"),
            update=self._updated(f"SELECT {old} AS past, {new} AS image"),
            delete=self._whole("D", f"{old} AS image"),
            truncating=f"{direct(self.capture, 'TRUNCATE', depth='pg_trigger_depth() - 1')}"
            f" AND {trigger_templates.STILL_GUARDS}",
            truncate=trigger_templates.EMPTIED.format(delete=emptied),
        )

    def _function(self, **parts: str) -> str:
        pins = "".join(f" SET {name} = '{_PINNED[name]}'" for name in sorted(self.pins))
        # Compiling takes longer than running: the planner's estimates are too high.
        settings = f"SET search_path = pg_catalog, pg_temp SET jit = off{pins}"
        body = trigger_templates.FUNCTION.format(
            function="{0}", settings=settings, quote="{1}", **_safe(parts)
        )
        digest = hashed(body)
        # The body cannot contain its own quote, because the quote has the body's hash.
        return body.format(f"{self.schema}.auditrepr_on_{digest}", f"$auditrepr_{digest}$")

    def _event(self, action: str, *, key: str, row: str, **values: str) -> str:
        values = {"previous": "NULL", "changed": "NULL", **values}
        name = literal(self.capture.name)
        log = f"{self.schema}.{LOG}"
        return trigger_templates.EVENT.format(
            log=log, name=name, action=action, key=key, row=row, **values
        )

    def _whole(self, action: str, image: str) -> str:
        event = self._event(action, key=self._key("image"), row="image")
        return f"{event}\n        FROM (SELECT {image} OFFSET 0) AS event"

    def _update(self) -> str:
        old, new = "before.auditrepr_old", "after.auditrepr_new"
        by_key = self._updated(
            trigger_templates.PAIRS.format(
                old=self._image(old), new=self._image(new), image="image"
            )
        )
        if not self.surely_fits or len(self.capture.shape.columns) > _MOST_ARGUMENTS:
            return by_key
        pairs = trigger_templates.PAIRS.format(old=old, new=new, image="fresh")
        columns = ", ".join(f"{c.name} {c.type}" for c in self.capture.shape.columns)
        return trigger_templates.BY_SIZE.format(
            many=trigger_templates.MANY,
            unaltered=trigger_templates.UNALTERED.format(columns=literal(columns)),
            by_column=self._event_of_update() + self._by_column(pairs),
            by_key=by_key,
        )

    def _updated(self, pairs: str) -> str:
        differs = f"was.value{self.text} IS DISTINCT FROM (image -> was.key){self.text}"
        return self._event_of_update() + trigger_templates.UPDATED.format(
            differs=differs, pairs=pairs
        )

    def _by_column(self, pairs: str) -> str:
        left_out = self.capture.excluded | _virtual(self.capture)
        columns = [c for c in self.capture.shape.columns if c.name not in left_out]
        return trigger_templates.BY_COLUMN.format(
            new=self._image("fresh"),
            old=self._image("past"),
            fits=_SURELY_FITS,
            columns=",".join(map(self._column, columns)),
            text=self.text,
            pairs=pairs,
        )

    def _column(self, column: Column) -> str:
        """Return SQL for the column's name and its previous JSON text; null if it is unchanged."""
        past, fresh = (f"({record}).{quoted(column.name)}" for record in ("past", "fresh"))
        label = literal(f",{json.dumps(column.name, ensure_ascii=False)}:")
        collation = ' COLLATE "C"' if _base(column.type) in _CHARACTERS else ""
        differs = f"{past} IS DISTINCT FROM {fresh}{collation}"
        if column.type.endswith("[]") or _base(column.type) not in _COMPARABLE:
            values = [f"to_jsonb({value}){self.text}" for value in (past, fresh)]
            differs = " IS DISTINCT FROM ".join(values)
        return trigger_templates.COLUMN.format(differs=differs, label=label, past=past)

    def _event_of_update(self) -> str:
        new = self._key("image")
        single = len(self.capture.key_columns) == 1
        old = self._key("changed" if single else "(image || changed)")
        previous = f"NULLIF({old}, {new})"
        return self._event("U", key=new, row="image", previous=previous, changed="changed")

    def _image(self, record: str) -> str:
        """Return SQL for a record as JSON, without the excluded columns."""
        image = f"{self.schema}.auditrepr_row({record}, TG_RELID)"
        if self.surely_fits:
            image = (
                f"CASE WHEN pg_column_size({record}) < {_SURELY_FITS} "
                f"THEN to_jsonb({record}) ELSE {image} END"
            )
        left_out = sorted(self.capture.excluded | _virtual(self.capture))
        if left_out:
            return f"({image}) - ARRAY[{', '.join(map(literal, left_out))}]::text[]"
        return image

    def _key(self, image: str) -> str:
        match self.capture.key_columns:
            case ():
                return "NULL"
            case (column,):
                return f"{image} ->> {literal(column)}"
            case columns:
                values = ", ".join(f"{image} -> {literal(column)}" for column in columns)
                return f"jsonb_build_array({values})::text"


def _safe(parts: dict[str, str]) -> dict[str, str]:
    return {name: sql.replace("{", "{{").replace("}", "}}") for name, sql in parts.items()}


def _virtual(capture: Capture) -> set[str]:
    return {column.name for column in capture.shape.columns if not column.stored}


def _needs(capture: Capture) -> tuple[set[str], bool, bool]:
    """Return the settings to pin, whether JSON holds every value, and whether equal values differ.

    numeric's 1.0 and 1.00 are equal, as JSON too.
    """
    types = {_base(column.type) for column in capture.shape.columns}
    known = types <= _PINS.keys() | _PLAIN
    pins = set().union(*(_PINS.get(name, set()) for name in types)) if known else set(_PINNED)
    return pins, known, not known or bool(types & {"numeric", "jsonb"})


def _base(type_: str) -> str:
    """Return a type without its schema, modifiers and dimensions; numeric(p, s) stays as it is."""
    name = type_.removesuffix("[]")
    if re.fullmatch(r"numeric\(.*\)", name):
        return "decimal"
    name = re.sub(r"\(.*?\)", "", name)
    return name.rpartition(".")[2].partition(" ")[0] if name.startswith("interval") else name
