"""Tests both export formats: hostile texts, and reading back what was written."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditrepr.readers.export_formats import CELL, FORMATS, Csv, JsonLines, defused
from auditrepr.readers.export_records import COLUMNS

BOM = "\ufeff"
RECORD: dict[str, Any] = dict.fromkeys(COLUMNS) | {"id": 1, "pending": False, "changes": {}}

HOSTILE = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u3000=1",
    "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", "\ufe661", "\u207a1",  # =+-@ of other widths
    "'=1", "'", "", " ", '"', '""', '","', "a\r\nb", "a\rb", "a\nb", "a\tb",
    "\0", "a\x1b[31mb", "\x85", "\x7f", "\u2028", "\u202eevil", "\ud800", "a\udfffb", "\ufeff=1",
    "<script>alert(1)</script>", "&amp;", "ü€😀", "\\x1b", "\\", "end",
]  # fmt: skip

#: What a spreadsheet takes for a formula.
ACTING = "\\s*[=+@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u207a\u207b\u207c-]|[\t\r\n]"

texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=20))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    texts,
    st.decimals(allow_nan=False, allow_infinity=False),
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
records = st.fixed_dictionaries(
    {name: texts | st.none() for name in COLUMNS}
    | {
        "id": st.integers(1, 2**63),
        "pending": st.booleans(),
        "context": documents,
        "changes": st.dictionaries(texts, st.dictionaries(st.just("new"), documents)),
    }
)


def written(form: Any, *found: dict[str, Any]) -> str:
    return (form.head() + b"".join(map(form.line, found))).decode()


def rows(*found: dict[str, Any]) -> list[dict[str, str]]:
    """The rows as the standard library reads them."""
    text = written(Csv(), *found)
    assert text.startswith(BOM)
    return list(csv.DictReader(io.StringIO(text.removeprefix(BOM), newline="")))


def decoded(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def shown(text: str) -> str:
    """What a cell shows of a text: what acts instead of being seen is written out."""
    acting = "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
    return re.sub(acting, lambda found: found[0].encode("unicode_escape").decode(), text)


@pytest.mark.proof
@given(st.lists(records, max_size=3))
def test_json_lines_read_back_as_what_the_log_says(found: list[dict[str, Any]]) -> None:
    text = written(JsonLines(), *found)
    assert [decoded(line) for line in text.splitlines()] == found
    assert all(
        character.isprintable() for character in text.replace("\n", "") if character < "\x7f"
    )


@pytest.mark.proof
@given(st.lists(records, max_size=3))
def test_csv_reads_back_as_what_the_log_says(found: list[dict[str, Any]]) -> None:
    read = rows(*found)
    assert len(read) == len(found)
    for row, record in zip(read, found, strict=True):
        assert row["cut"] == ""
        for name, value in record.items():
            match value:
                case None:
                    assert row[name] == ""
                case str():
                    assert row[name].removeprefix("'") == shown(value)
                case bool():
                    assert row[name] == str(value).lower()
                case _:
                    assert decoded(row[name]) == value


@pytest.mark.proof
@given(records)
def test_no_cell_is_a_formula(record: dict[str, Any]) -> None:
    (row,) = rows(record)
    for name, cell in row.items():
        if cell and not isinstance(record.get(name), int | Decimal | float):
            if name in ("context", "changes") and not isinstance(record[name], str):
                continue  # JSON: a bracket, or a number
            assert not re.match(ACTING, cell), (name, cell)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_text_in_front_of_which_an_apostrophe_stands_reads_back_without_it(text: str) -> None:
    made = defused(text)
    assert made == text or made[1:] == text
    assert made.removeprefix("'") == text


def test_null_and_an_empty_text_are_not_the_same_cell() -> None:
    null, empty = (
        Csv().line(RECORD | {"actor": value, "reason": "x"}).decode() for value in (None, "")
    )
    assert ',,"x",' in null
    assert ',"","x",' in empty


def test_a_cell_that_a_spreadsheet_cannot_hold_is_cut_and_named() -> None:
    long = {"name": {"old": "x" * 10**6, "new": "y"}, "tags": {"old": ["z"] * 10**5}}
    (row,) = rows(RECORD | {"representation": "r" * 40_000, "changes": long})
    assert row["cut"] == "representation changes"
    assert row["representation"].endswith("r… (40000 characters)")
    assert len(row["representation"]) == CELL
    assert json.loads(row["changes"])["name"]["new"] == "y"
    assert json.loads(row["changes"])["name"]["old"].endswith("x… (1000000 characters)")
    assert max(map(len, row.values())) <= CELL


def test_thousands_of_long_columns_are_cut_too() -> None:
    many = {f"column {n}": {"old": "x" * 500} for n in range(1000)}
    (row,) = rows(RECORD | {"changes": many})
    assert len(row["changes"]) == CELL
    assert row["cut"] == "changes"


def test_json_lines_are_never_cut_and_keep_every_digit() -> None:
    value = {"text": "x" * 10**6, "number": Decimal("0.10"), "large": Decimal("1E+400")}
    (line,) = written(JsonLines(), RECORD | {"context": value}).splitlines()
    assert decoded(line)["context"] == value
    assert '"number": 0.10' in line


@pytest.mark.parametrize("wrap", [lambda one: [one], lambda one: {"in": one}], ids=["[]", "{}"])
def test_a_value_that_is_nested_too_deeply_is_named_and_the_others_are_there(wrap: Any) -> None:
    deep: Any = None
    for _ in range(20_000):
        deep = wrap(deep)
    changes = {"name": {"old": "Ann", "new": deep}, "age": {"old": 1, "new": 2}}
    (line,) = written(JsonLines(), RECORD | {"changes": changes}).splitlines()
    found = json.loads(line)["changes"]
    assert found["name"]["old"] == "Ann"
    assert "nested too deeply" in str(found["name"]["new"])
    assert found["age"] == changes["age"]
    (row,) = rows(RECORD | {"changes": changes})
    assert json.loads(row["changes"])["age"] == changes["age"]


def test_a_number_that_json_has_no_word_for_is_a_text() -> None:
    (line,) = written(JsonLines(), RECORD | {"context": [math.inf, math.nan]}).splitlines()
    assert json.loads(line)["context"] == ["inf", "nan"]


@pytest.mark.parametrize("form", [one() for one in FORMATS.values()], ids=list(FORMATS))
def test_the_last_record_says_how_it_ended_and_a_cut_file_lacks_it(form: Any) -> None:
    begun = form.head() + form.line(RECORD)
    end = form.end(end="complete", events=1, continue_from=1)
    assert form.whole(begun + end)
    assert not form.whole(begun)
    assert not form.whole(begun + end[:-1])
    assert not form.whole(b"")


def test_the_last_record_can_be_read_by_a_program() -> None:
    facts = {"end": "complete", "events": 2, "continue_from": 41}
    assert json.loads(JsonLines().end(**facts)) == facts
    (cells,) = csv.reader([Csv().end(**facts).decode()])
    assert cells == ["end", "complete", "events", "2", "continue_from", "41"]
