"""Benchmark of the log: what its rows, and each of its indexes, cost the writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from django.db import connection, transaction

from auditrepr.models import AuditLog

from . import data
from .table import Cell, milliseconds, show, times

Case = tuple[Sequence[str], Sequence[str]]  # what comes first, and what is measured

INDEXES = [index.name for index in AuditLog._meta.indexes]
# An insert's events as the triggers write them, with and without a context.
_KEPT = (
    "table_name, object_id, action, row_data, transaction_id, snapshot, statement_at, occurred_at,"
    " writer"
)
_READY = f"""
CREATE TABLE ready_log AS
SELECT log.table_name, CAST({data.INVOICES} + n AS text) AS object_id, log.action, log.row_data,
    log.transaction_id, log.snapshot, log.statement_at, log.occurred_at, log.writer
FROM <series>
JOIN auditrepr_auditlog AS log ON log.id = n % {data.INVOICES} + {data.BEFORE_INVOICES} + 1"""
_LOG = f"""
INSERT INTO auditrepr_auditlog ({_KEPT}, context) SELECT {_KEPT}, {{context}} FROM ready_log"""
READY_OF_NOBODY = _LOG.format(context="NULL")
READY_OF_A_USER = _LOG.format(context="""'{"user": "7"}'""")


def indexes(rows: int, repeat: int) -> None:
    """The cost of an INSERT of this number of rows, and the share of each index of the log."""
    _run("DROP TABLE IF EXISTS ready_log")
    _run(data.sql(_READY, 1, rows))
    clock = writer_clock()
    _show_bounds(rows, _measure(_bounds(rows), repeat, clock))
    _show_indexes(rows, _measure(_without(), repeat, clock))
    _run("DROP TABLE ready_log")


def _bounds(rows: int) -> dict[str, Case]:
    bare = data.invoices("shop_bareinvoice", 1, rows)
    return {
        "no trigger": ([], [bare]),
        "no trigger, then the log's ready rows": ([], [bare, READY_OF_NOBODY]),
        "auditrepr": ([], [data.invoices("shop_invoice", 1, rows)]),
    }


def _without() -> dict[str, Case]:
    leave_out = {"none": [], **{name: [name] for name in INDEXES}, "all of these": INDEXES}
    return {
        name: ([f"DROP INDEX {index}" for index in dropped], [READY_OF_A_USER])
        for name, dropped in leave_out.items()
    }


def _measure(cases: dict[str, Case], repeat: int, clock: Callable[[], float]) -> dict[str, float]:
    """Return medians in seconds; each case begins with the same tables."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(repeat + 1):
        for name, (preparing, measured) in cases.items():
            took = _rolled_back(preparing, measured, clock)
            if turn:  # the first run warms up
                seconds[name].append(took)
    return {name: median(values) for name, values in seconds.items()}


def _rolled_back(
    preparing: Sequence[str], measured: Sequence[str], clock: Callable[[], float]
) -> float:
    with transaction.atomic():
        for sql in preparing:
            _run(sql)
        began = clock()
        for sql in measured:
            _run(sql)
        took = clock() - began
        transaction.set_rollback(True)
    data.tidy()
    return took


def writer_clock() -> Callable[[], float]:
    """Return the CPU time of the writing process, or the elapsed time if that is unknown."""
    if connection.vendor == "sqlite":
        return time.process_time
    process = Path(f"/proc/{connection.connection.info.backend_pid}")
    try:
        if process.joinpath("comm").read_text().strip() != "postgres":
            return time.perf_counter
    except FileNotFoundError:
        return time.perf_counter
    return lambda: int(process.joinpath("schedstat").read_text().split()[0]) / 1e9


def _show_bounds(rows: int, took: dict[str, float]) -> None:
    lines: list[list[Cell]] = [
        [name, milliseconds(one), times(one / took["no trigger"])] for name, one in took.items()
    ]
    show(f"What bounds the INSERT of {rows:,} rows", ["", "CPU", "ratio"], lines)


def _show_indexes(rows: int, took: dict[str, float]) -> None:
    lines: list[list[Cell]] = [
        [name, milliseconds(one), f"{1 - one / took['none']:.0%}"] for name, one in took.items()
    ]
    title = f"What each index of the log costs its writer: {rows:,} ready rows"
    show(title, ["without", "CPU", "saves"], lines)


def _run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
