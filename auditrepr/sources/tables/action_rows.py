"""The rows of logged actions, as SQL: the log has the row before an update, and what is new.

Its columns hold texts in hstore, or in forks JSON.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from ..quoting import texts
from .from_texts import FromTexts
from .log_tables import EveryPlace, LogTable, Placed
from .places import Place

#: Ignored columns, by schema and table.
Ignored = Mapping[tuple[str, str], Collection[str]]
# In some forks, the row that an insert leaves is in `changed_fields`.
GIVEN = """CROSS JOIN LATERAL (
    SELECT CASE event.action WHEN 'U' THEN {updated} WHEN 'T' THEN NULL
        ELSE coalesce(event.row_data, event.changed_fields){cast} END AS image,
        CASE WHEN event.action = 'U' THEN event.row_data{cast} END AS past,
        CASE WHEN event.action = 'U' THEN event.changed_fields{cast} END AS fresh
    OFFSET 0
) AS given
CROSS JOIN LATERAL ({held} OFFSET 0) AS held"""
# If the previous value of a column cannot be read, the new one would pass for it.
HELD_TEXTS = """
    SELECT read.changed, read.image - CASE WHEN read.changed IS NULL THEN '{{}}' ELSE ARRAY(
        SELECT key FROM unnest({hstore}.akeys(given.fresh)) AS key WHERE NOT read.changed ? key
    ) END AS image
    FROM (SELECT {image} AS image, {changed} AS changed OFFSET 0) AS read"""
# Some forks write all new values as texts, and some only what differs within an object. If the row
# lacks what was changed, the log is another one that looks alike: then there is no row.
HELD_JSON = """
    SELECT CASE WHEN given.past IS NULL THEN given.image
        WHEN given.past ?& ARRAY(SELECT jsonb_object_keys(given.fresh))
        THEN given.image - ARRAY(
            SELECT new.key FROM jsonb_each(given.fresh) AS new
            WHERE CASE jsonb_typeof(new.value)
                WHEN 'string' THEN new.key = ANY({structured})
                WHEN 'object' THEN jsonb_typeof(given.past -> new.key) = 'object' AND NOT EXISTS (
                    SELECT FROM jsonb_each(new.value) AS part
                    WHERE part.value = given.past -> new.key -> part.key
                )
            END
        ) END AS image,
        CASE WHEN given.past IS NOT NULL THEN coalesce((
            SELECT jsonb_object_agg(key, given.past -> key)
            FROM jsonb_object_keys(given.fresh) AS key
        ), '{{}}') END AS changed"""
#: Types whose JSON is other than a text.
STRUCTURED = ("json", "jsonb", "hstore")


class ActionRows(ABC):
    """Rows of a log, of which the SQL joins `held`, with an `image` and what was `changed`."""

    keys: str  # the function that returns the columns of a row
    merged: str  # a {row}, as JSON that has at least the texts of its columns
    both: str  # the row after an update

    def __init__(self, log: LogTable, placed: Placed, *, trial: bool = False) -> None:
        self.log = log
        self.placed = placed

    @abstractmethod
    def join(self, ignored: Ignored) -> str:
        """Return the SQL, without these columns of updates."""

    def functions(self) -> list[str]:
        """Return statements that create what the SQL calls, beyond what is there."""
        return []

    def _ignored(self, ignored: Ignored) -> str:
        return self.placed.by_place(
            texts(sorted(ignored.get((one.schema, one.table), ()))) for one in self.placed.places
        )


class TextRows(ActionRows):
    """Rows in hstore."""

    def __init__(self, log: LogTable, placed: Placed, *, trial: bool = False) -> None:
        super().__init__(log, placed)
        self.read = FromTexts(log.source, log.using, temporary=trial)
        self.keys = f"{self.read.hstore}.skeys"
        self.merged = f"{self.read.hstore}.hstore_to_jsonb({{row}})"
        self.both = f"event.row_data OPERATOR({self.read.hstore}.||) event.changed_fields"

    def join(self, ignored: Ignored) -> str:
        hstore = self.read.hstore
        kept = f"event.row_data OPERATOR({hstore}.-) {self._ignored(ignored)}"
        past = f"{hstore}.slice(given.past, {hstore}.akeys(given.fresh))"
        held = HELD_TEXTS.format(
            hstore=hstore,
            image=self._read("given.image"),
            changed=self._read(past),
        )
        updated = f"({kept}) OPERATOR({hstore}.||) event.changed_fields"
        return GIVEN.format(updated=updated, cast="", held=held)

    def functions(self) -> list[str]:
        return [self.read.rows_sql(self.placed.places)]

    def _read(self, row: str) -> str:
        if isinstance(self.placed, EveryPlace):
            return self.read.every_row(row)
        return self.placed.by_place(self.read.row(one, row) for one in self.placed.places)


class JsonRows(ActionRows):
    """Rows in JSON."""

    keys = "jsonb_object_keys"
    merged = "({row})::jsonb"
    both = "event.row_data::jsonb || event.changed_fields::jsonb"

    def join(self, ignored: Ignored) -> str:
        kept = f"event.row_data::jsonb - {self._ignored(ignored)}"
        structured = self.placed.by_place(map(_structured, self.placed.places))
        return GIVEN.format(
            updated=f"({kept}) || event.changed_fields::jsonb",
            cast="::jsonb",
            held=HELD_JSON.format(structured=structured),
        )


def _structured(place: Place) -> str:
    columns = place.shape.columns if place.shape else ()
    return texts(
        name
        for column in columns
        if column.type.endswith("]") or column.type.rpartition(".")[2] in STRUCTURED
        for name in place.names.get(column.name, (column.name,))
    )
