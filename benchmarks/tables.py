"""Benchmark of many audited tables: what a batch of the same rows costs, and an idle run."""

from __future__ import annotations

import os
from collections.abc import Sequence

from django.core.management import call_command

from . import data
from .backlogs import METHOD
from .measure import Cost, in_child, repeated
from .table import milliseconds, show, times

SIZE = 1000  # rows of a batch
#: With fewer, others that use the machine might meet all batches.
ROWS = 10 * SIZE


def tables(counts: Sequence[int], rows: int, repeat: int) -> None:
    """The same rows, with this many audited tables beside theirs."""
    rows = max(rows, ROWS)
    data.backlog(rows)
    lines: dict[str, list[tuple[int, Cost]]] = {}
    for count in sorted(counts):
        os.environ["BENCHMARK_TABLES"] = str(count)
        in_child("migrate")
        for title, method in (("no relations", ""), ("two levels of relations", METHOD)):
            cost = repeated(repeat, lambda method=method: _batches(rows, method))  # type: ignore[misc]
            lines.setdefault(f"a batch of {SIZE:,} rows, {title}", []).append((count, cost))
        data.represent_all()
        idle = repeated(repeat, lambda: in_child("idle_command", warm=True))
        lines.setdefault("an idle run", []).append((count, idle))
        data.forget(rows)
    del os.environ["BENCHMARK_TABLES"]
    call_command("audit_triggers", "install", verbosity=0)
    data.represent_all()
    _show(lines)


def _batches(rows: int, method: str) -> Cost:
    data.forget(rows)
    return in_child("batches", size=SIZE, method=method)


def _show(lines: dict[str, list[tuple[int, Cost]]]) -> None:
    show(
        "Audited tables: CPU of one batch, and of a run with nothing to do",
        ["", "own CPU", "the server's", "ratio of both"],
        [
            [f"{title}, {count:,} tables", milliseconds(cost.cpu_seconds),
             milliseconds(cost.server_cpu_seconds),
             times(cost.all_cpu_seconds / costs[0][1].all_cpu_seconds)]
            for title, costs in lines.items() for count, cost in costs
        ],
    )  # fmt: skip
