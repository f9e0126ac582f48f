"""What the types of a table's columns mean for its rows as JSON, on PostgreSQL."""

from __future__ import annotations

import re
from functools import lru_cache

from ..capture_types import Capture

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
PINNED = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
}
# Types whose JSON depends on no setting. Size aside, JSON can hold every value of these and of
# those above; of any other type (json, domains, composites) we do not know.
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
CHARACTERS = frozenset({"text", "character varying", "name"})
COMPARABLE = CHARACTERS | frozenset(
    {
        "smallint", "integer", "bigint", "decimal", "boolean", "oid", "uuid", "bytea", "date",
        "timestamp without time zone", "timestamp with time zone", "time without time zone",
    }
)  # fmt: skip


def json_needs(capture: Capture) -> tuple[set[str], bool, bool]:
    """Return the settings to pin, whether JSON holds every value, and whether equal values differ.

    numeric's 1.0 and 1.00 are equal, as JSON too.
    """
    types = {base_type(column.type) for column in capture.shape.columns}
    known = types <= _PINS.keys() | _PLAIN
    pins = set().union(*(_PINS.get(name, set()) for name in types)) if known else set(PINNED)
    return pins, known, not known or bool(types & {"numeric", "jsonb"})


@lru_cache(maxsize=1000)
def base_type(type_: str) -> str:
    """Return a type without its schema, modifiers and dimensions; numeric(p, s) stays as it is."""
    name = type_.removesuffix("[]")
    if re.fullmatch(r"numeric\(.*\)", name):
        return "decimal"
    name = re.sub(r"\(.*?\)", "", name)
    return name.rpartition(".")[2].partition(" ")[0] if name.startswith("interval") else name
