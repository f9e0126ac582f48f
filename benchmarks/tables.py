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
    """The same rows, with this many audited tables; the numbers take turns for the batches."""
    rows = max(rows, ROWS)
    idle = {count: _idle(count, repeat) for count in sorted(counts)}
    data.backlog(rows)
    lines: dict[str, dict[int, Cost]] = {}
    for title, method in (("no relations", ""), ("two levels of relations", METHOD)):
        turns = [{count: _batches(count, rows, method) for count in idle} for _ in range(repeat)]
        lines[f"a batch of {SIZE:,} rows, {title}"] = {
            count: min((turn[count] for turn in turns), key=lambda cost: cost.all_cpu_seconds)
            for count in idle
        }
    _show(lines | {"an idle run": idle})
    del os.environ["BENCHMARK_TABLES"]
    call_command("audit_triggers", "install", verbosity=0)
    data.represent_all()


def _idle(count: int, repeat: int) -> Cost:
    os.environ["BENCHMARK_TABLES"] = str(count)
    in_child("migrate")
    data.represent_all()
    return repeated(repeat, lambda: in_child("idle_command", warm=True))


def _batches(count: int, rows: int, method: str) -> Cost:
    # All tables are there, and have triggers: what differs is how many of them are audited.
    os.environ["BENCHMARK_TABLES"] = str(count)
    data.forget(rows)
    return in_child("batches", size=SIZE, method=method)


def _show(lines: dict[str, dict[int, Cost]]) -> None:
    show(
        "Audited tables: CPU of one batch, and of a run with nothing to do",
        ["", "own CPU", "the server's", "ratio of both"],
        [
            [f"{title}, {count:,} tables", milliseconds(cost.cpu_seconds),
             milliseconds(cost.server_cpu_seconds),
             times(cost.all_cpu_seconds / min(costs.items())[1].all_cpu_seconds)]
            for title, costs in lines.items() for count, cost in costs.items()
        ],
    )  # fmt: skip
