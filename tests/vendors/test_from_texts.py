"""Tests that each text of a log is read as the type of today's column, or left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from auditrepr.sources.tables.from_texts import FromTexts
from auditrepr.sources.tables.places import places
from tests.capturing import sql

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

TYPES = [
    "smallint", "integer", "bigint", "numeric", "numeric(5,2)", "real", "double precision", "text",
    "varchar(3)", "char(4)", "boolean", "date", "time", "time(0)", "timestamp", "timestamptz",
    "timestamptz(0)", "interval", "uuid", "bytea", "json", "jsonb", "inet", "cidr", "macaddr",
    "int[]", "text[]", "int4range", "tstzrange", "bit(3)", "money", "oid", "regclass", "xml",
    "tsvector", "point", "name", "hstore", "mood", "small", "never_null",
]  # fmt: skip
TEXTS = [
    "", " ", "a", "abcd", "0", "1", "-1", "007", "1.10", "1.234", "1e400", "1e3", "NaN", "infinity",
    "99999999999999999999", "t", "true", "null", "NULL", "2026-01-31", "2026-02-31", "31/01/2026",
    "2026-01-31 12:00:00", "2026-01-31 12:00:00+02", "2026-01-31 12:00:00.6+02", "24:00:00",
    "12:00:00.5", "1 day", "00000000-0000-0000-0000-000000000007", "\\x00ff", "\\377", "{", "{}",
    '{"a": 1}', '{"a":1}', "[1, 2]", "{1,2}", "{1,2", "[1,3)", "127.0.0.1", "::1/64", "101",
    "$1.00", "pg_class", "nowhere", "<a/>", "<a>", "'a':1", "(1,2)", '"a"=>"1"', "glad", "é\n\t'",
    "2026-01-31 12:00:00+02 BC", "now", "today", "epoch", "1" * 300,
]  # fmt: skip


@pytest.fixture
def columns() -> Iterator[dict[str, str]]:
    """The columns of a table of all these types, by name."""
    found = {f"c{n}": type_ for n, type_ in enumerate(TYPES)}
    sql(
        "CREATE EXTENSION IF NOT EXISTS hstore",
        "CREATE TYPE mood AS ENUM ('glad', 'sad')",
        "CREATE DOMAIN small AS int CHECK (value < 5)",
        "CREATE DOMAIN never_null AS int CHECK (value IS NOT NULL)",
        f"CREATE TABLE odd ({', '.join(f'{name} {type_}' for name, type_ in found.items())})",
        "CREATE TABLE given (n serial, row hstore)",
    )
    yield found
    sql("DROP TABLE odd, given", "DROP TYPE mood", "DROP DOMAIN small, never_null")


def rows(given: list[dict[str, Any]]) -> list[Any]:
    """Return these rows as they are read."""
    (place,) = places("default", [("public", "odd")])
    read = FromTexts("logged_actions", "default").row(place, "row")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE given")
        for row in given:
            cursor.execute(
                "INSERT INTO given (row) VALUES (hstore(%s::text[], %s::text[]))",
                [list(row), list(row.values())],
            )
        cursor.execute(f"SELECT {read} FROM given ORDER BY n".replace("%", "%%"), {})
        return [json.loads(row) for (row,) in cursor.fetchall()]


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
def test_each_text_is_read_or_left_out_in_a_column_of_each_type(
    columns: dict[str, str], together: bool
) -> None:
    """Whatever is in the other columns of its row; and never an error."""
    if together:
        given = [dict.fromkeys(columns, one) for one in TEXTS]
    else:
        given = [{name: one} for name in columns for one in TEXTS]
    recorded = 0
    for row, found in zip(given, rows(given), strict=True):
        assert found.keys() <= row.keys()
        assert found.get("c7", row.get("c7")) == row.get("c7")
        recorded += len(found)
        kept = {columns[name]: value for name, value in found.items()}
        _check(next(iter(row.values())), kept)
    assert recorded > 3 * len(TEXTS)


def _check(text: str, kept: dict[str, Any]) -> None:
    """Each type reads the text, would write the same, and its JSON is what is recorded."""
    if not kept:
        return
    asked = ", ".join(f"to_jsonb(%(text)s::{one}), format('%%s', %(text)s::{one})" for one in kept)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}", {"text": text})
        answers = iter(cursor.fetchone() or ())
    for (type_, value), read, written in zip(kept.items(), answers, answers, strict=True):
        assert value == (read and json.loads(read)), (text, type_)
        exact = not type_.startswith(("numeric", "timestamptz", "boolean", "char(4)"))
        assert written == text or not exact, (text, type_, written)
