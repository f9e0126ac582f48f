"""Tests the look at the rows next to those that a limit takes."""

from __future__ import annotations

import pytest

from auditrepr.asof.queries.taken_rows import MOST, taken

pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize(
    ("end", "places"),
    [
        ("LIMIT 2", "LIMIT 3 OFFSET 0"),
        ("LIMIT 2 OFFSET 3", "LIMIT 4 OFFSET 2"),
        ("OFFSET 3", f"LIMIT {MOST} OFFSET 2"),
        ("LIMIT -1 OFFSET 3", f"LIMIT {MOST} OFFSET 2"),
        ("OFFSET 3 LIMIT 2", None),
        ("FETCH FIRST 2 ROWS WITH TIES", None),
        ("", None),
    ],
)
def test_equal_rows_are_searched_next_to_those_taken(end, places):
    parts = taken(f"SELECT x FROM a ORDER BY y {end}".rstrip())
    found = parts and parts.places()
    assert found == (places and f"SELECT rank() OVER (ORDER BY y) FROM a ORDER BY y {places}")


@pytest.mark.parametrize("value", ["string_agg(y, %s)", "GROUP_CONCAT (y)", "json_agg(y)"])
def test_where_the_order_shows_in_a_value_the_rows_taken_do_not_decide(value):
    assert taken("SELECT count(y) FROM a ORDER BY count(x) LIMIT 1")
    assert taken(f"SELECT {value} FROM a ORDER BY count(x) LIMIT 1") is None


@pytest.mark.parametrize(
    "inside", ["SELECT z FROM b ORDER BY z LIMIT 1", "SELECT DISTINCT ON (z) z FROM b"]
)
def test_a_subquery_that_takes_rows_itself_is_more_complex(inside):
    assert taken("SELECT x FROM a WHERE x > (SELECT z FROM b) ORDER BY f(y, 1) LIMIT 1")
    assert taken(f"SELECT x FROM a WHERE x > ({inside}) ORDER BY y LIMIT 1") is None


def test_parameters_are_those_of_each_part():
    parts = taken("SELECT f(%s, (%s)) FROM a WHERE x > (SELECT %s) ORDER BY g(y, %s) LIMIT 1")
    assert parts
    assert parts.places().startswith("SELECT rank() OVER (ORDER BY g(y, %s)) FROM a WHERE x > (SEL")
    assert parts.parameters([1, 2, 3, 4]) == [4, 3, 4]
