"""Reads the planner's word on a view: the expressions over its table, and whether indexes serve.

The planner uses an expression index only if the view's expression is the index's, so what is shown
to the owner of the table is what the planner itself has made of the view.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import Error, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ...utils.text import one_line
from .quoting import LOG, quoted

LIKE = "auditrepr_like"
PROBE = "auditrepr probe"
#: For each index: its columns, the last one of them in order; and whether null is of interest.
INDEXES = {
    "object": (("table_name", "object_id", "id"), ""),
    "table": (("table_name", "id"), ""),
    "rekeyed": (("table_name", "previous_object_id", "id"), "previous_object_id"),
    "actor": (("actor", "id"), "actor"),
}
#: Of each usable index of a table: its expressions, and its condition.
_DEFINED = """
SELECT ARRAY(
    SELECT pg_get_indexdef(indexrelid, n, false) FROM generate_series(1, indnkeyatts) AS n
), coalesce(pg_get_expr(indpred, indrelid), '')
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE indrelid = to_regclass(%s) AND indisvalid AND amname = 'btree'
"""
_COLUMNS = ("table_name", "object_id", "previous_object_id", "actor", "id")
#: Settings of a transaction in which a scan of the table is all that is left to plan.
_SCANNING = {
    "enable_indexscan": "off", "enable_bitmapscan": "off", "enable_indexonlyscan": "off",
    "max_parallel_workers_per_gather": "0", "search_path": "pg_catalog", "jit": "off",
}  # fmt: skip
#: Settings of one in which an index is used wherever one can be.
_SEEKING = {
    "enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off",
    "enable_indexscan": "on", "enable_indexonlyscan": "on", "max_parallel_workers_per_gather": "0",
}  # fmt: skip


def expressions(connection: BaseDatabaseWrapper, schema: str) -> dict[str, str]:
    """Return what the columns of the view are over its table, with qualified names.

    Empty if the view is anything else than a scan of one table.
    """
    view = f"{quoted(schema)}.{LOG}"
    plan = _plan(connection, f"SELECT {', '.join(_COLUMNS)} FROM {view}", _SCANNING)
    if plan["Node Type"] == "Append" and plan.get("Plans"):
        plan = plan["Plans"][0]
    if plan["Node Type"] != "Seq Scan" or "Plans" in plan:
        return {}
    found = [_unqualified(sql, plan["Alias"]) for sql in plan["Output"]]
    return dict(zip(_COLUMNS, found, strict=True))


def missing(
    connection: BaseDatabaseWrapper, schema: str, table: str, of: Mapping[str, str], version: int
) -> Iterator[str]:
    """Yield statements that create the indexes that the view needs and the table does not have.

    :param of: the expressions of its columns.
    """
    suffix = "" if version == 1 else f"_{version}"
    there = _defined(connection, table)
    for name, (columns, only) in INDEXES.items():
        kept = [column for column in columns if not _is_constant(of[column])]
        if (only and _is_constant(of[only])) or kept == ["id"]:
            continue
        wanted = [_bare(of[column]) for column in kept]
        conditions = {"", _bare(f"({of[only]} IS NOT NULL)")} if only else {""}
        defined = any(parts == wanted and when in conditions for parts, when in there)
        if not defined and not _is_served(connection, schema, kept):
            parts = ", ".join(f"({of[column]})" for column in kept)
            where = f" WHERE ({of[only]}) IS NOT NULL" if only else ""
            if name != "actor" or not refused(connection, table, of["actor"]):
                yield (
                    f"CREATE INDEX CONCURRENTLY auditrepr_attached_{name}{suffix} ON {table}"
                    f" ({parts}){where}"
                )


def refused(connection: BaseDatabaseWrapper, table: str, expression: str) -> str:
    """Return why an index of the table cannot have this expression; empty if it can.

    An empty table of the same columns shows it at once.
    """
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {LIKE} (LIKE {table})")
            cursor.execute(f"CREATE INDEX ON {LIKE} (({expression}))")
            transaction.set_rollback(True, connection.alias)
    except Error as error:
        return one_line(error)
    return ""


def _defined(connection: BaseDatabaseWrapper, table: str) -> list[tuple[list[str], str]]:
    """Return the expressions and the condition of each index.

    Of a small table, the planner may as well take another one.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('search_path')")
        (path,) = cursor.fetchone()
        cursor.execute("SELECT set_config('search_path', 'pg_catalog', true)")
        cursor.execute(_DEFINED, [table])
        found = cursor.fetchall()
        cursor.execute("SELECT set_config('search_path', %s, true)", [path])
    return [([_bare(sql) for sql in parts], _bare(when)) for parts, when in found]


def _is_served(connection: BaseDatabaseWrapper, schema: str, columns: list[str]) -> bool:
    """Return whether one index finds events by these columns, in the order of the last one."""
    probes = {column: f"{PROBE} {column}" for column in columns[:-1]}
    where = " AND ".join(f"{column} = '{probe}'" for column, probe in probes.items())
    plan = _plan(
        connection,
        f"SELECT 1 FROM {quoted(schema)}.{LOG} WHERE {where} ORDER BY {columns[-1]}",
        _SEEKING,
    )
    nodes = list(_nodes(plan))
    conditions = [str(node.get("Index Cond", "")) for node in nodes]
    found = any(all(probe in condition for probe in probes.values()) for condition in conditions)
    return found and not any("Sort" in node["Node Type"] for node in nodes)


def _is_constant(sql: str) -> bool:
    """Return whether an expression is a constant: null, or one name for all events."""
    return bool(re.fullmatch(r"(\(?NULL|E?'(?:[^']|'')*')(::[\w. \"\[\]]+)*\)?", sql))


def _unqualified(sql: str, alias: str) -> str:
    """Return the expression without the table's alias before its columns."""
    prefix = alias if re.fullmatch(r"[a-z_][a-z0-9_$]*", alias) else quoted(alias)
    parts = re.split(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"\.?)""", sql)
    bare = re.compile(rf"(?<![\w$.]){re.escape(alias)}\.")
    return "".join(
        "" if part == f"{prefix}." and n % 2 else part if n % 2 else bare.sub("", part)
        for n, part in enumerate(parts)
    )


def _bare(sql: str) -> str:
    """Return the expression on one line, without parentheses around it."""
    sql = " ".join(sql.split())
    while sql.startswith("(") and _first_closing(sql) == len(sql):
        sql = sql[1:-1].strip()
    return sql


def _first_closing(sql: str) -> int:
    """Return where the parenthesis ends with which the expression begins."""
    depth = 0
    for found in re.finditer(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]""", sql):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    return 0


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _plan(connection: BaseDatabaseWrapper, sql: str, settings: Mapping[str, str]) -> Any:
    """Return the plan of a query in a transaction with these settings."""
    with connection.cursor() as cursor:
        # Whatever an earlier plan has set is set again.
        before = {}
        for name, value in settings.items():
            cursor.execute("SELECT current_setting(%s)", [name])
            before[name] = cursor.fetchone()[0]
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        cursor.execute(f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) {sql}")
        plan = cursor.fetchone()[0]
        for name, value in before.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
