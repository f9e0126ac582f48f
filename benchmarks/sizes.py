"""Benchmark of the log's size: what an event takes on disk, beside other ways of recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.db import connection

from . import data, supa_audit
from .table import show

LOG = "auditrepr_auditlog"
SHIFT = data.INVOICES  # the data set itself stays

#: For each width: the audited table, and what adds a row, changes one of its columns, deletes it.
WIDTHS = {
    "2 columns": ("shop_label", "id, name", "{shift} + n, 'Label ' || n", "name"),
    "14 columns": (
        "shop_invoice",
        f"id, {data.INVOICE_COLUMNS}",
        f"id + {{shift}}, {data.INVOICE_COLUMNS} FROM shop_invoice WHERE id = n",
        "status",
    ),
}
_STEPS = {
    "INSERT": "INSERT INTO {table} ({columns}) SELECT {values}",
    "UPDATE": "UPDATE {table} SET {changed} = {changed} || 'x' WHERE id = {shift} + other",
    "DELETE": "DELETE FROM {table} WHERE id = {shift} + other",
}
# Each in a transaction of its own, as web applications write; objects change in no order.
_EACH = """
DO $$
DECLARE
    other bigint;
BEGIN
    FOR n IN 1..{rows} LOOP
        other := n * 7919 % {rows} + 1;
        {step};
        COMMIT;
    END LOOP;
END $$"""
_PARTS = """
SELECT 'rows', pg_table_size(%(log)s::regclass)
UNION ALL
SELECT relname, pg_relation_size(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid
WHERE indrelid = %(log)s::regclass"""

Parts = dict[str, float]  # bytes of each part of a log for one event


def sizes(rows: int, repeat: int) -> None:
    """An event of a narrow and of a wide row, in logs that hold nothing else."""
    if connection.vendor != "postgresql":
        print("\nThe others record on PostgreSQL only.")
        return
    rows = min(rows, data.INVOICES)
    with _copy():
        data.run("SET synchronous_commit = off")
        found = {
            (width, way): _measure(table, log, width, rows)
            for width in WIDTHS
            for way, (table, log) in _ways(width).items()
        }
    _show_all(found, rows)
    for width in WIDTHS:
        _show_parts(width, found[width, "auditrepr"])


def _ways(width: str) -> dict[str, tuple[str, str]]:
    """Return the table that each records, and where."""
    table, *_ = WIDTHS[width]
    name = table.partition("_")[2]
    ways = {"auditrepr": (table, LOG)}
    if apps.is_installed("benchmarks.peers"):
        ways["django-pghistory"] = (f"peers_{name}byrow", f"peers_{name}byrowevent")
    ways["supa_audit"] = (supa_audit.twin(f"supa_{name}", table), supa_audit.LOG)
    return ways


def _measure(table: str, log: str, width: str, rows: int) -> dict[str, Parts]:
    """Return what an event of each kind adds to each part of the log, which is emptied first."""
    _, columns, values, changed = WIDTHS[width]
    data.run(f"ALTER TABLE {log} DISABLE TRIGGER USER")
    data.run(f"TRUNCATE {log} CASCADE")
    data.run(f"ALTER TABLE {log} ENABLE TRIGGER USER")
    data.run(f"DELETE FROM {table} WHERE id > {SHIFT}")
    found: dict[str, Parts] = {}
    before = _parts(log)
    for kind, template in _STEPS.items():
        filled = {"table": table, "columns": columns, "changed": changed, "shift": SHIFT}
        step = template.format(values=values.format(shift=SHIFT), **filled)
        data.run(_EACH.format(rows=rows, step=step))
        data.run(f"VACUUM {log}")
        after = _parts(log)
        found[kind] = {part: (size - before[part]) / rows for part, size in after.items()}
        before = after
    return found


def _parts(log: str) -> Parts:
    return dict(data.rows(_PARTS, log=log))


@contextmanager
def _copy() -> Iterator[None]:
    """Work in a copy of the database, in which logs can be emptied."""
    original = connection.settings_dict["NAME"]
    copy = f"{original}_sizes"
    _on_server(f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)')
    _on_server(f'CREATE DATABASE "{copy}" TEMPLATE "{original}"')
    connection.close()
    connection.settings_dict["NAME"] = copy
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = original
        _on_server(f'DROP DATABASE "{copy}" WITH (FORCE)')


def _on_server(sql: str) -> None:
    connection.close()  # it would keep the database from being copied
    with connection._nodb_cursor() as cursor:
        cursor.execute(sql)


def _show_all(found: dict[tuple[str, str], dict[str, Parts]], rows: int) -> None:
    lines = []
    for (width, way), kinds in found.items():
        whole = [sum(parts.values()) for parts in kinds.values()]
        in_indexes = sum(whole) - sum(parts["rows"] for parts in kinds.values())
        cells = [*whole, sum(whole) / len(whole), in_indexes / len(whole)]
        lines.append([f"{width}, {way}", *map(_bytes, cells)])
    title = f"Bytes: {rows:,} events of each kind, each in a transaction of its own"
    show(title, ["bytes for an event", *_STEPS, "on average", "of that, indexes"], lines)


def _show_parts(width: str, kinds: dict[str, Parts]) -> None:
    lines = []
    for part in kinds["INSERT"]:
        cells = [parts[part] for parts in kinds.values()]
        lines.append([part, *map(_bytes, cells), _bytes(sum(cells) / len(cells))])
    show(f"Bytes of auditrepr's log: {width}", ["part", *_STEPS, "on average"], lines)


def _bytes(size: float) -> str:
    return f"{size:,.0f}"
