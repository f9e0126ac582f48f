"""Benchmark of the triggers, single rows: CPU of the server for statements that commit at once.

The statements on the compared tables take turns, so that whatever else the machine does meets all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

from django.db import connection

from . import data
from .measure import ServerCPU, server_cpu
from .table import show, times

#: How often a new connection's first statements are measured.
CONNECTIONS = 15


def single(tables: dict[str, str], rows: int) -> None:
    """One row in each statement, two rows, and what a connection does first."""
    _clean(tables)
    _new_connection()
    with server_cpu() as cpu:
        took = {
            operation: _in_turns(tables, rows, step, cpu) for operation, step in _steps().items()
        }
    took["first statements"] = _first(tables)
    _clean(tables)
    title = f"Capture: {rows:,} short statements, CPU time of the server"
    head = ["", *(name for operation in took for name in (operation, "ratio"))]
    lines = []
    for name in tables:
        cells = []
        for each in took.values():
            cells += [f"{each[name]:,.0f} µs", times(each[name] / each["generic row trigger"])]
        lines.append([name, *cells])
    show(f"{title}; ratio to the row trigger by hand", head, lines)


def _steps() -> dict[str, Callable[[str, int], None]]:
    columns = data.INVOICE_COLUMNS
    shift = data.INVOICES

    def insert(table: str, row: int) -> None:
        _run(
            f"INSERT INTO {table} (id, {columns}) SELECT id + {shift}, {columns}"
            " FROM shop_invoice WHERE id = %s",
            row,
        )

    def update(table: str, row: int) -> None:
        _run(f"UPDATE {table} SET status = status || 'x' WHERE id = %s", row + shift)

    def same(table: str, row: int) -> None:
        _run(f"UPDATE {table} SET status = status WHERE id = %s", row + shift)

    def two(table: str, row: int) -> None:
        others = row + shift, row % 2 + 1 + shift
        _run(f"UPDATE {table} SET total = total + 1 WHERE id IN (%s, %s)", *others)

    def delete(table: str, row: int) -> None:
        _run(f"DELETE FROM {table} WHERE id = %s", row + shift)

    return {"INSERT": insert, "UPDATE": update, "nothing changed": same, "two rows": two,
            "DELETE": delete}  # fmt: skip


def _in_turns(
    tables: dict[str, str], rows: int, step: Callable[[str, int], None], cpu: ServerCPU
) -> dict[str, float]:
    names = list(tables)
    took: dict[str, list[float]] = {name: [] for name in names}
    for row in range(1, rows + 1):
        for name in (*names[row % len(names) :], *names[: row % len(names)]):
            took[name].append(cpu.of(partial(step, tables[name], row)))
    return {name: median(each) for name, each in took.items()}


def _first(tables: dict[str, str]) -> dict[str, float]:
    """What the first of each statement takes on a new connection, together."""
    took: dict[str, list[float]] = {name: [] for name in tables}
    for number in range(CONNECTIONS):
        for name, table in tables.items():
            _new_connection()
            with server_cpu() as cpu:
                steps = [partial(step, table, number + 1) for step in _steps().values()]
                took[name].append(sum(map(cpu.of, steps)))
    return {name: median(each) for name, each in took.items()}


def _new_connection() -> None:
    """Connect anew; to wait for the disk is not what is measured."""
    connection.close()
    _run("SET synchronous_commit = off")


def _clean(tables: dict[str, str]) -> None:
    for table in tables.values():
        _run(f"DELETE FROM {table} WHERE id > {data.INVOICES}")
        _run(f"VACUUM {table}")
    _run("CHECKPOINT")


def _run(sql: str, *parameters: int) -> None:
    """Run a statement, prepared where it has parameters: planning it is not what is measured."""
    connection.ensure_connection()
    connection.connection.execute(sql, parameters or None, prepare=bool(parameters))
