"""What the columns of a source's SELECT must be on PostgreSQL: their types, and times."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

#: The condition that Python can read a time; it has no others, such as infinity.
READABLE_TIME = (
    "({0} >= CAST('0001-01-02 00:00:00+00' AS timestamptz)"
    " AND {0} < CAST('9999-12-31 00:00:00+00' AS timestamptz))"
)
#: A time of JSON in UTC, as the triggers write it. The session's time zone makes no difference,
#: and nothing raises an error: a day that a month does not have is counted on from its first one.
MOMENT = (
    "CASE WHEN {0} ~ '^(?!0000)[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{{1,6}})?"
    "[+-](0[0-9]|1[0-5]):[0-5][0-9](:[0-5][0-9])?$'"
    " THEN (to_jsonb(CAST(overlay({0} PLACING '01' FROM 9 FOR 2) AS timestamptz)"
    " AT TIME ZONE 'UTC' + (CAST(substr({0}, 9, 2) AS integer) - 1) * interval '1 day')"
    " #>> '{{}}') || '+00:00' ELSE {0} END"
)
#: The name and the category of each type.
NAMES = """
SELECT CAST(oid AS bigint), format_type(oid, NULL), CAST(typcategory AS text)
FROM pg_type WHERE oid = ANY(%s)
"""


class Expected(NamedTuple):
    """What the types of a column may be."""

    words: str
    names: Collection[str] = ()
    is_text: bool = False  # any type that holds text
    may_be_empty: bool = False  # any type, if the column has no value in it


_WHOLE = ("smallint", "integer", "bigint")
_JSON = Expected("json or jsonb", ("json", "jsonb"), may_be_empty=True)
# Of an enum, the text could not be compared with any other.
_TEXT = Expected("text", ('"char"',), is_text=True)
# As the triggers write keys: a time, for example, is written otherwise.
_KEY = Expected("text", (*_WHOLE, "numeric", "uuid"), is_text=True)

EXPECTED: Mapping[str, Expected] = {
    "position": Expected("smallint, integer or bigint", _WHOLE),
    "table_name": _TEXT,
    "object_id": _KEY,
    "previous_object_id": _KEY,
    "action": _TEXT,
    "row_data": _JSON,
    "changed_from": _JSON,
    "row_kept": Expected("boolean", ("boolean",)),
    "context": _JSON,
    # Any other type would be read in the time zone of the session.
    "occurred_at": Expected("timestamp with time zone", ("timestamp with time zone",)),
    "transaction": Expected("bigint", _WHOLE),
    "command": Expected("bigint", _WHOLE),
    "text": _TEXT,
}


def fits(column: str, type_name: str, category: str) -> bool:
    """Return whether a column may have this type.

    :param category: the type's, as the catalog has it.
    """
    expected = EXPECTED[column]
    return type_name in expected.names or (expected.is_text and category == "S")
