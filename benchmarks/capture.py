"""Benchmark of the triggers: what each way of recording costs the writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median

from django.apps import apps
from django.db import connection

from . import data, supa_audit
from .indexes import writer_clock
from .measure import is_near
from .single import single
from .table import milliseconds, show, times

GENERIC_FUNCTION = """
CREATE OR REPLACE FUNCTION generic_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO shop_genericlog (table_name, object_id, action, old_data, new_data, occurred_at)
        VALUES (TG_TABLE_NAME, NEW.id::text, 'I', NULL, to_jsonb(NEW), clock_timestamp());
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO shop_genericlog (table_name, object_id, action, old_data, new_data, occurred_at)
        VALUES (TG_TABLE_NAME, NEW.id::text, 'U', to_jsonb(OLD), to_jsonb(NEW), clock_timestamp());
    ELSE
        INSERT INTO shop_genericlog (table_name, object_id, action, old_data, new_data, occurred_at)
        VALUES (TG_TABLE_NAME, OLD.id::text, 'D', to_jsonb(OLD), NULL, clock_timestamp());
    END IF;
    RETURN NULL;
END $$"""
GENERIC_TRIGGER = """
CREATE OR REPLACE TRIGGER generic_log AFTER INSERT OR UPDATE OR DELETE ON shop_genericinvoice
FOR EACH ROW EXECUTE FUNCTION generic_log()"""


def _sqlite_generic() -> list[str]:
    columns = [c.strip() for c in f"id, {data.INVOICE_COLUMNS}".split(",")]

    def image(row: str) -> str:
        pairs = ", ".join(f"'{column}', {row}.{column}" for column in columns)
        return f"json_object({pairs})"

    new, old = image("NEW"), image("OLD")
    values = {"INSERT": ("NEW", "NULL", new), "UPDATE": ("NEW", old, new),
              "DELETE": ("OLD", old, "NULL")}  # fmt: skip
    return [
        f"CREATE TRIGGER IF NOT EXISTS generic_{action} AFTER {action} ON shop_genericinvoice BEGIN"
        " INSERT INTO shop_genericlog (table_name, object_id, action, old_data, new_data,"
        f" occurred_at) VALUES ('shop_genericinvoice', {row}.id, '{action[0]}', {before}, {after},"
        " strftime('%Y-%m-%d %H:%M:%f', 'now')); END"
        for action, (row, before, after) in values.items()
    ]


def _tables() -> dict[str, str]:
    tables = {
        "no trigger": "shop_bareinvoice",
        "auditrepr": "shop_invoice",
        "generic row trigger": "shop_genericinvoice",
    }
    if apps.is_installed("benchmarks.peers"):
        tables["django-pghistory, row-level"] = "peers_invoicebyrow"
        tables["django-pghistory, statement-level"] = "peers_invoicebystatement"
    if connection.vendor == "postgresql":
        tables["supa_audit"] = supa_audit.twin("supa_invoice", "shop_bareinvoice")
    return tables


def capture(rows: int, repeat: int) -> None:
    """Many rows in one statement, and single rows in one statement each."""
    generic = _sqlite_generic()
    for sql in generic if connection.vendor == "sqlite" else [GENERIC_FUNCTION, GENERIC_TRIGGER]:
        _run(sql)
    title = f"Capture: {rows:,} rows in one statement, CPU time of the writing process"
    _show(title, _bulk(rows, writer_clock()), 1, repeat)
    each = max(20, rows // 200)
    _show(f"Capture: {each:,} statements of one row each", _single(each), each, repeat)
    if is_near():
        single(_tables(), each)


Step = Callable[[str], float]


def _bulk(rows: int, clock: Callable[[], float]) -> dict[str, Step]:
    def once(sql: Callable[[str], str]) -> Step:
        return lambda table: _timed(sql(table), clock=clock)

    return {
        "INSERT": once(lambda table: data.invoices(table, 1, rows)),
        "UPDATE": once(lambda table: f"UPDATE {table} SET status = status || 'x' WHERE {_NEW}"),
        "DELETE": once(lambda table: f"DELETE FROM {table} WHERE {_NEW}"),
    }


def _single(rows: int) -> dict[str, Step]:
    """As clients write: the key is a parameter, so that SQLite prepares each statement once."""
    columns = data.INVOICE_COLUMNS
    from_today = f"SELECT id + {data.INVOICES}, {columns} FROM shop_invoice WHERE id = %s"

    def each(sql: str, keys: Callable[[str], Iterable[int]]) -> Step:
        def step(table: str) -> float:
            return sum(_timed(sql.format(table=table), key) for key in keys(table))

        return step

    return {
        "INSERT": each(
            f"INSERT INTO {{table}} (id, {columns}) {from_today}", lambda _: range(1, rows + 1)
        ),
        "UPDATE": each("UPDATE {table} SET status = status || 'x' WHERE id = %s", _keys),
        "DELETE": each("DELETE FROM {table} WHERE id = %s", _keys),
    }


_NEW = f"id > {data.INVOICES}"  # the data set itself stays


def _keys(table: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table} WHERE {_NEW} ORDER BY id")
        return [key for (key,) in cursor.fetchall()]


def _show(title: str, steps: dict[str, Step], divisor: int, repeat: int) -> None:
    tables = _tables()
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(repeat + 1):
        for name, table in tables.items():
            _clean(table)
            for operation, step in steps.items():
                took = step(table) / divisor
                if turn:  # the first run warms up
                    seconds.setdefault((name, operation), []).append(took)
    took = {key: median(values) for key, values in seconds.items()}
    rows = []
    for name in tables:
        cells = []
        for operation in steps:
            one = took[name, operation]
            cells += [milliseconds(one), times(one / took["no trigger", operation])]
        rows.append([name, *cells])
    show(title, ["", *(head for operation in steps for head in (operation, "ratio"))], rows)


def _clean(table: str) -> None:
    """The rows are gone, and what was to be written for them has been."""
    _run(f"DELETE FROM {table} WHERE {_NEW}")
    if connection.vendor == "postgresql":
        _run(f"VACUUM {table}")
        _run("CHECKPOINT")
    else:
        _run("PRAGMA wal_checkpoint(TRUNCATE)")


def _timed(sql: str, *parameters: int, clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    _run(sql, *parameters)
    return clock() - began


def _run(sql: str, *parameters: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
