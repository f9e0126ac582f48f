"""Tests which tables the text of a SELECT reads, where that is certain."""

from __future__ import annotations

import pytest

from auditrepr.asof.queries.statement_order import Order
from auditrepr.asof.queries.statement_rows import Join
from auditrepr.asof.queries.statements import read, uncommented

pytestmark = pytest.mark.sqlite

READ = {
    'SELECT "a"."id" FROM "a" WHERE "a"."id" = %s': {"a"},
    'SELECT "a"."id" FROM "a" INNER JOIN "b" ON ("a"."id" = "b"."x")': {"a", "b"},
    'SELECT "a"."id" FROM "a" , "b" x, c WHERE 1 IN (SELECT id FROM d)': {"a", "b", "c", "d"},
    'SELECT U0."id" FROM "a" U0 LEFT OUTER JOIN "a" U1 ON (U0."p" = U1."id")': {"a"},
    "SELECT COUNT(*) FROM (SELECT DISTINCT x FROM A) t": {"a"},
    'SELECT id FROM "A"': {"A"},
    "(SELECT x FROM a) UNION (SELECT x FROM b)": {"a", "b"},
    "SELECT x FROM a UNION ALL SELECT x FROM b ORDER BY 1": {"a", "b"},
    "SELECT EXTRACT(YEAR FROM d) FROM a": {"a"},
    "SELECT x FROM a WHERE y IS DISTINCT FROM z": {"a"},
    "SELECT x FROM a WHERE y IS NOT DISTINCT FROM z": {"a"},
    "WITH w AS (SELECT id FROM a) SELECT id FROM w, b": {"a", "b"},
    "WITH w (id) AS (SELECT id FROM a), v AS (SELECT id FROM w) SELECT id FROM v": {"a"},
    "WITH RECURSIVE w AS (SELECT id FROM a UNION SELECT a.id FROM a, w) SELECT id FROM w": {"a"},
    "SELECT 'FROM x' FROM a": {"a"},
    "SELECT 1": set(),
    "SELECT x FROM (a JOIN b ON a.id = b.id)": {"a", "b"},
    "SELECT x FROM (a, b), (c, d) WHERE e IN (1, 2)": {"a", "b", "c", "d"},
    "SELECT x FROM (SELECT y, z FROM a) b": {"a"},
    'SELECT position(x IN y), t.a AS b FROM a t JOIN b ON (t.b = "b".a)': {"a", "b"},
    "SELECT x FROM a CROSS JOIN b INNER JOIN c USING (id)": {"a", "b", "c"},
    "SELECT * FROM a": {"a"},
    "SELECT a.*, b.x FROM a JOIN b USING (id)": {"a", "b"},
    "SELECT x FROM (SELECT * FROM a) b": {"a"},
}  # fmt: skip
UNREADABLE = [
    "UPDATE a SET x = 1",
    "SELECT x FROM a; DELETE FROM a",
    "WITH w AS (DELETE FROM a RETURNING id) SELECT id FROM w",
    "SELECT * FROM a GROUP BY id",
    "SELECT x FROM public.a",
    'SELECT x FROM "s"."a"',
    "SELECT x FROM generate_series(1, 2) x",
    "SELECT x FROM a, LATERAL (SELECT 1) b",
    "SELECT x FROM ONLY a",
    "TABLE a",
    "SELECT x FROM a -- FROM b",
    "SELECT x /* FROM b */ FROM a",
    "SELECT $$ FROM b $$ FROM a",
    "SELECT E'\\'' FROM a",
    "SELECT ctid FROM a",
    "SELECT rowid FROM a",
    "SELECT x FROM a FOR UPDATE OF a",
    "SELECT x INTO b FROM a",
    'SELECT "a"."id", "a"."x", COUNT("b"."id") FROM "a" JOIN "b" ON 1=1 GROUP BY "a"."id"',
    "SELECT x FROM a)",
    "SELECT x FROM a NATURAL JOIN b",
    "SELECT x FROM a NOT INDEXED",
    "SELECT row_to_json(t) FROM a t",
    "SELECT row_to_json(T)::text FROM a AS t",
    'SELECT "a" FROM "a"',
    "SELECT count(DISTINCT a) FROM b JOIN a ON a.id = b.a_id",
    "SELECT x, (SELECT max(t.x) FROM b u WHERE u = t) FROM a t",
    "EXPLAIN SELECT x FROM a",
    "",
]


@pytest.mark.parametrize("sql", READ)
def test_all_tables_that_it_reads_are_told(sql):
    found = read(sql, True)
    assert found is not None
    assert found.tables == READ[sql]


@pytest.mark.parametrize("sql", UNREADABLE)
def test_what_cannot_be_read_for_certain_is_not_told(sql):
    assert read(sql, True) is None


@pytest.mark.parametrize(
    ("sql", "every"),
    [
        ("SELECT * FROM a", True),
        ("SELECT x, a.* FROM a", True),
        ("SELECT DISTINCT * FROM a", True),
        ("SELECT x FROM a WHERE EXISTS (SELECT * FROM b)", True),
        ("SELECT COUNT(*) FROM a", False),
        ("SELECT x * 2, (x) * y FROM a", False),
    ],
)
def test_a_star_that_stands_for_columns_is_noticed(sql, every):
    found = read(sql, True)
    assert found is not None
    assert found.all_columns is every


@pytest.mark.parametrize(
    ("sql", "rest"),
    [
        ("SELECT x FROM a -- FROM b\n WHERE y", "SELECT x FROM a  \n WHERE y"),
        ("SELECT x /* FROM b\n, c */ FROM a", "SELECT x   FROM a"),
        ("/* by: shop */ SELECT x FROM a", "  SELECT x FROM a"),
        ("SELECT '--', \"/*\" FROM a", "SELECT '--', \"/*\" FROM a"),
        ("SELECT 'it''s -- so' FROM a -- so", "SELECT 'it''s -- so' FROM a  "),
        ("SELECT x FROM a -- %s", None),
        ("SELECT x /* one /* two */ */ FROM a", None),
        ("SELECT x FROM a /* never closed", None),
        ("SELECT E'\\'--' FROM a", None),
        ("SELECT $$--$$ FROM a", None),
    ],
)
def test_comments_are_left_out_where_that_is_certain(sql, rest):
    found = uncommented(sql)
    assert read(found, True) is None if rest is None else found == rest


@pytest.mark.parametrize(
    ("sql", "listed"),
    [
        ('SELECT "a"."x" FROM "a" WHERE ("a"."x" = %s AND NOT "a"."y" IN (1, 2))', '"a"'),
        ("SELECT x AS id FROM a", "a"),
        ("SELECT * FROM a AS t WHERE t.x > 1", "t"),
        ("SELECT x FROM a t", "t"),
        ("SELECT x FROM a ORDER BY y", ""),
        ("SELECT x FROM a LIMIT 1", ""),
        ("SELECT DISTINCT x FROM a", ""),
        ("SELECT max(x) FROM a", ""),
        ("SELECT x FROM a GROUP BY x", ""),
        ("SELECT x FROM a, b", ""),
        ("SELECT x FROM a JOIN b ON (a.id = b.id)", ""),
        ("SELECT x FROM a WHERE y IN (SELECT y FROM b)", ""),
        ("SELECT x FROM a UNION SELECT x FROM b", ""),
        ("WITH w AS (SELECT x FROM a) SELECT x FROM w", ""),
        ("SELECT 1", ""),
    ],
)
def test_whether_it_gives_the_rows_of_one_table_is_said(sql, listed):
    found = read(sql, True)
    assert found is not None
    assert found.listed == listed


def test_a_table_as_a_set_of_values_is_read_by_sqlite_only():
    sql = "SELECT x FROM a WHERE x IN b"
    assert read(sql, False) is None


@pytest.mark.parametrize(
    ("sql", "cut"),
    [
        ('SELECT x FROM "a" LIMIT 1', True),
        ('SELECT x FROM "a" ORDER BY x LIMIT 1', False),
        ('SELECT x FROM "a" LIMIT 21', False),
        ('SELECT x FROM "a" OFFSET 2', True),
        ('SELECT 1 AS "a" FROM "a" LIMIT 1', False),
        ('SELECT %s AS "a" FROM "a" LIMIT 1', False),
        ('SELECT x FROM a WHERE EXISTS(SELECT 1 AS "a" FROM b LIMIT 1)', False),
        ("SELECT x FROM a WHERE id IN (SELECT id FROM b LIMIT 1)", True),
        ("SELECT x FROM a WHERE id IN (SELECT id FROM b ORDER BY id LIMIT 1)", False),
        ("SELECT x FROM a WHERE id IN (SELECT id FROM b LIMIT 21) ORDER BY x", True),
        ("SELECT x FROM a FETCH FIRST ROW ONLY", None),
        ("SELECT x FROM a FETCH FIRST ROW WITH TIES", True),
    ],
)
def test_a_limit_without_an_order_is_noticed(sql, cut):
    found = read(sql, True)
    assert found is None if cut is None else found.cut is cut


def test_a_group_by_a_key_alone_matters_only_where_the_database_minds():
    sql = 'SELECT "a"."id", "a"."x" FROM "a" GROUP BY "a"."id"'
    assert read(sql, True) is None
    assert read(sql, False).tables == {"a"}


@pytest.mark.parametrize(
    ("sql", "orders"),
    [
        ("SELECT x FROM a ORDER BY x LIMIT 1", [{"x"}]),
        ('SELECT x FROM a ORDER BY "a"."x" DESC NULLS LAST, f(y), z LIMIT 2', [{"x", "z"}]),
        ("SELECT x FROM a ORDER BY lower(x, y) LIMIT 1", [set()]),
        ("SELECT x FROM a ORDER BY x", []),
        ("SELECT x FROM a LIMIT 21", []),
        ("SELECT x FROM a WHERE y IN (SELECT y FROM b ORDER BY z LIMIT 3) ORDER BY x", [{"z"}]),
        ("SELECT string_agg(x, ',') FROM a ORDER BY 1", [set()]),
        ("SELECT string_agg(x, ',' ORDER BY y, z) FILTER (WHERE y > 0) FROM a", [{"y", "z"}]),
        ("SELECT lag(x) OVER (PARTITION BY z ORDER BY y) FROM a", [{"y"}]),
        ("SELECT rank() OVER (ORDER BY y) FROM a", []),
        ("SELECT lag(x) OVER w FROM a WINDOW w AS (ORDER BY id)", [set()]),
        ("SELECT percentile_cont(1) WITHIN GROUP (ORDER BY x), row_number FROM a", []),
        ("SELECT DISTINCT ON (x) y FROM a ORDER BY x, z", [{"x", "z"}]),
        ("SELECT y FROM (SELECT DISTINCT ON (x) y FROM a) b ORDER BY z", [set()]),
    ],
)  # fmt: skip
def test_the_orders_that_show_in_the_result_are_told(sql, orders):
    found = read(sql, True)
    assert found is not None
    assert {order.columns for order in found.orders} == set(map(frozenset, orders))


JOIN = 'LEFT OUTER JOIN "b" T ON ("a"."b_id" = T."id")'


@pytest.mark.parametrize(
    ("sql", "order"),
    [
        ("SELECT x FROM a t ORDER BY t.x, u.y LIMIT 1", Order("a", frozenset("x"))),
        ("SELECT x FROM a AS t ORDER BY x, a.y LIMIT 1", Order("a", frozenset("x"))),
        ("SELECT x FROM a ORDER BY x OFFSET 2", Order("a", frozenset("x"))),
        ("SELECT x FROM a ORDER BY x FETCH FIRST 2 ROWS WITH TIES", Order("a", frozenset("x"))),
        (
            f'SELECT "a"."x" FROM "a" {JOIN} ORDER BY "a"."x", T."y", z LIMIT 1',
            Order("a", frozenset("x"), frozenset({Join("b", "id", "T", "a")})),
        ),
        (
            f'SELECT f(string_agg("a"."x", %s ORDER BY "a"."y")) FROM "a" {JOIN} WHERE 1 = 1',
            Order("a", frozenset("y"), frozenset({Join("b", "id", "T", "a")})),
        ),
        (
            "SELECT x FROM a UNION ALL (SELECT x FROM b ORDER BY x LIMIT 1)",
            Order("b", frozenset("x")),
        ),
        ("SELECT (SELECT 1), f((SELECT y FROM b)) FROM a ORDER BY x LIMIT 1",
            Order("a", frozenset("x"))),
        # A name alone is that of what is selected, before it is a column's.
        ("SELECT f(y) AS x, z FROM a ORDER BY x, z LIMIT 1", Order("a", frozenset("z"))),
        ("SELECT f(y) x, z FROM a ORDER BY x, a.x, z LIMIT 1", Order("a", frozenset("zx"))),
        ("SELECT y as x FROM a ORDER BY x LIMIT 1", Order("a", frozenset("y"))),
        ("SELECT y x FROM a ORDER BY x DESC LIMIT 1", Order("a", frozenset())),
        # What makes a row of several.
        (
            f'SELECT "a"."x", count(y) FROM "a" {JOIN} GROUP BY "a"."x", f(z) ORDER BY 1 LIMIT 1',
            Order("a", frozenset("x"), frozenset({Join("b", "id", "T", "a")}), frozenset({""})),
        ),
        (
            f'SELECT DISTINCT "a"."x", T."y" AS "z" FROM "a" {JOIN} ORDER BY a.x LIMIT 1',
            Order("a", frozenset("x"), frozenset({Join("b", "id", "T", "a")}), frozenset("T")),
        ),
        ("SELECT x FROM a GROUP BY x HAVING f(y) ORDER BY x, y LIMIT 1",
            Order("a", frozenset("x"), grouped=frozenset(), complete=True)),
        ("SELECT f(x), y FROM a GROUP BY 1, y ORDER BY 1 LIMIT 1",
            Order("a", frozenset("1"), grouped=frozenset())),
        ("SELECT f(x) FROM a GROUP BY f(x) ORDER BY 1 LIMIT 1",
            Order("a", frozenset(), grouped=frozenset())),
        ("SELECT x FROM a, b GROUP BY 1 ORDER BY 2, 1 LIMIT 1",
            Order("", frozenset("x2"), complete=True)),
        ("SELECT DISTINCT x, y FROM a ORDER BY x LIMIT 1",
            Order("a", frozenset("x"), grouped=frozenset())),
        # What reads anything else.
        ("SELECT x FROM a, b ORDER BY a.x LIMIT 1", Order("", frozenset("x"))),
        ("SELECT x FROM a JOIN b USING (y) ORDER BY a.x LIMIT 1", Order("", frozenset("x"))),
        (
            'SELECT x FROM a INNER JOIN b ON (b."x" = b."id") ORDER BY a.x LIMIT 1',
            Order("", frozenset("x")),
        ),
        (
            'SELECT x FROM a INNER JOIN b ON (b."id" = a."x") ORDER BY a.x LIMIT 1',
            Order("", frozenset("x")),
        ),
        ("SELECT x FROM a UNION SELECT x FROM b ORDER BY x LIMIT 1", Order("", frozenset("x"))),
        ("SELECT x FROM a UNION ALL SELECT x FROM b ORDER BY x LIMIT 1", Order("", frozenset("x"))),
        ("(SELECT x FROM a) UNION (SELECT x FROM b) ORDER BY x LIMIT 1", Order("", frozenset("x"))),
        (
            "SELECT x FROM ((SELECT x FROM a) EXCEPT (SELECT x FROM b) ORDER BY x LIMIT 1) c",
            Order("", frozenset("x")),
        ),
        ("SELECT x FROM (SELECT x FROM a) b ORDER BY x LIMIT 1", Order("", frozenset("x"))),
        ("SELECT 1 ORDER BY x LIMIT 1", Order("", frozenset("x"))),
    ],
)  # fmt: skip
def test_the_table_of_an_order_is_told_with_what_is_joined_to_it(sql, order):
    found = read(sql, True)
    assert found is not None
    assert found.orders == {order}


@pytest.mark.parametrize(
    ("sql", "yes"),
    [
        ("SELECT x FROM a LIMIT 21", True),
        ("SELECT x FROM a ORDER BY x LIMIT 21", False),
        ("SELECT x FROM a LIMIT 20", False),
        ("SELECT x FROM (SELECT x FROM a ORDER BY x LIMIT 21) b", False),
    ],
)
def test_the_limit_of_get_is_noticed(sql, yes):
    assert read(sql, True).looks_for_one is yes
