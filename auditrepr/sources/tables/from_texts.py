"""Rows of a log that keeps every value as text, in hstore: as JSON of the types of today's table.

Whether a type reads a text shows only when it is tried, and to continue after an error takes a
function. It is in the schema of our log, is created when it is needed, and dropped with the
functions of the triggers. A source that is only tried has it for its session.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import Error, connections, transaction

from ...exceptions import SourceUnreadable
from ...utils.text import one_line
from ...vendors import get_vendor
from ..quoting import text
from .places import Place

NAME = "auditrepr_from_texts"
HSTORE = """
SELECT nspname::text FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE extname = 'hstore'
"""
#: The body of the function that is there.
PRESENT = "SELECT prosrc FROM pg_proc WHERE proname = %s AND pronamespace = to_regnamespace(%s)"
# Most rows are read as they are. `names` has the column of the row by today's name.
# These errors are about the server; any other one is about the text, even an internal one: hstore
# has no other.
UNREAD = """
    EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE ~ '^(40|53|55|57|58|XX00[12])' THEN
            RAISE;
        END IF;"""
READ = """
DECLARE
    names jsonb;
    held hstore;
    again hstore := '';
    made record;
    result jsonb := '{}';
    step jsonb;
    one text;
    type text;
    written text;
BEGIN
    IF steps = '[]' THEN
        BEGIN
            made := populate_record(base, texts);
            again := hstore(made);
            IF slice(again, akeys(texts)) = texts THEN
                RETURN to_jsonb(made) - akeys(again - akeys(texts));
            END IF;{unread}
        END;
        again := '';
    END IF;
    SELECT jsonb_object_agg(key, key) INTO names FROM unnest(akeys(texts)) AS key;
    IF names IS NULL THEN
        RETURN CASE WHEN texts IS NOT NULL THEN result END;
    END IF;
    FOR step IN SELECT value FROM jsonb_array_elements(steps) LOOP
        IF names ? (step ->> 0)
            AND (step ->> 1 IS NULL OR (step ->> 2)::boolean OR NOT names ? (step ->> 1))
        THEN
            names := names - (step ->> 0) || CASE WHEN step ->> 1 IS NULL THEN '{}' ELSE
                jsonb_build_object(step ->> 1, names -> (step ->> 0)) END;
        END IF;
    END LOOP;
    SELECT coalesce(hstore(array_agg(key), array_agg(texts -> value)), '') INTO held
    FROM jsonb_each_text(names);
    BEGIN
        made := populate_record(base, held);
        result := to_jsonb(made);
        again := hstore(made);{unread}
        result := '{}';
        again := '';
        FOR one, type IN
            SELECT attname, format_type(atttypid, atttypmod)
            FROM pg_type JOIN pg_attribute ON attrelid = typrelid
            WHERE pg_type.oid = pg_typeof(base) AND attnum > 0 AND held -> attname IS NOT NULL
        LOOP
            BEGIN
                EXECUTE format(
                    'SELECT to_jsonb(v), format(''%%s'', v) FROM (SELECT $1::%s) AS x (v)', type
                ) USING held -> one INTO step, written;
                result := result || jsonb_build_object(one, step);
                again := again || hstore(one, written);{unread}
            END;
        END LOOP;
    END;"""
# A text counts if the table would write it again, or a decimal of the same value, or the same time
# in another zone. What today's table does not have stays text.
RETURN = """
    RETURN hstore_to_jsonb(texts - ARRAY(SELECT value FROM jsonb_each_text(names))) || (
        SELECT coalesce(jsonb_object_agg(was, value), '{}') FROM (
            SELECT was, CASE
                WHEN held -> now IS NULL THEN 'null'
                WHEN NOT columns ? now THEN to_jsonb(held -> now)
                WHEN again -> now IS NULL THEN NULL  -- not read
                WHEN again -> now = held -> now THEN result -> now
                WHEN columns ->> now = 'number'
                    THEN CASE WHEN (again -> now)::numeric = (held -> now)::numeric
                        THEN result -> now END
                WHEN columns ->> now = 'time'
                    AND held -> now ~ '^[0-9]{4,}-[0-9]{2}-[0-9]{2} [0-9:.]+[+-][0-9:]+$'
                    THEN CASE WHEN (again -> now)::timestamptz = (held -> now)::timestamptz
                        THEN result -> now END
            END AS value
            FROM jsonb_each_text(names) AS name (now, was)
        ) AS pairs WHERE value IS NOT NULL
    );
END
"""
BODY = READ.replace("{unread}", UNREAD) + RETURN
CREATE = """
CREATE OR REPLACE FUNCTION {name}(
    base anyelement, texts {hstore}.hstore, columns jsonb, steps jsonb
) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, {hstore}
SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO' SET "IntervalStyle" = 'postgres'
AS $texts${body}$texts$
"""
COMPARED = {"numeric": "number", "timestamp with time zone": "time"}


# Each table's row has a statement of its own, which is planned when it first runs: one that was
# dropped does not prevent reading the others.
ROWS = """
CREATE OR REPLACE FUNCTION {name}(n integer, texts {hstore}.hstore) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $rows$
BEGIN
    CASE n
{whens}
    ELSE RETURN {hstore}.hstore_to_jsonb(texts);
    END CASE;
END
$rows$
"""
WHEN = """    WHEN {n} THEN
        IF to_regclass({current}) IS NOT NULL THEN RETURN {row}; END IF;
        RETURN {hstore}.hstore_to_jsonb(texts);"""


class FromTexts:
    """SQL that reads texts of hstore, of which this database has the extension.

    :param temporary: whether to create the function for this session only, if it is not there.
    :raises SourceUnreadable: if the function cannot be created.
    """

    def __init__(self, source: str, using: str, *, temporary: bool = False) -> None:
        quote = connections[using].ops.quote_name
        vendor = get_vendor(using)
        schema = quote(vendor.log_schema())
        self.hstore = quote(vendor.value(HSTORE))
        self.function = f"{schema}.{NAME}"
        self.every = f"{schema}.auditrepr_attached_texts"
        try:
            with transaction.atomic(using):
                if vendor.value(PRESENT, [NAME, schema]) != BODY:
                    self.function = f"pg_temp.{NAME}" if temporary else self.function
                    named = CREATE.format(name=self.function, hstore=self.hstore, body=BODY)
                    vendor.execute([named])
        except Error as error:
            raise SourceUnreadable(source=source, reason=one_line(error)) from error

    def rows_sql(self, places: Sequence[Place]) -> str:
        """Return the statement for the function that reads the rows of all these places."""
        whens = [
            WHEN.format(n=n, current=text(one.current), row=self.row(one, "texts"),
                hstore=self.hstore)
            for n, one in enumerate(places)
            if one.shape
        ]  # fmt: skip
        return ROWS.format(
            name=self.every, hstore=self.hstore, whens="\n".join(whens) or "    WHEN -1 THEN NULL;"
        )

    def every_row(self, texts: str) -> str:
        """Return SQL for a row of the place that is joined, by the function for all."""
        return f"{self.every}(place.n, {texts})"

    def row(self, place: Place, texts: str) -> str:
        """Return SQL for a row of this place as JSON; as texts if there is no such table today."""
        if not place.shape:
            return f"{self.hstore}.hstore_to_jsonb({texts})"
        columns = {name: COMPARED.get(type_, "") for name, type_ in place.types.items()}
        known = f"{_json(columns)}, {_json(place.steps)}"
        return f"{self.function}(NULL::{place.current}, {texts}, {known})"


def _json(value: object) -> str:
    return f"{text(json.dumps(value))}::jsonb"
