"""Benchmark of several workers: what a row costs in CPU if more of them share the backlog."""

from __future__ import annotations

from collections.abc import Sequence

from . import data
from .backlogs import METHOD
from .measure import Cost, in_child, middle
from .table import show, times


def shared(counts: Sequence[int], rows: int, repeat: int) -> None:
    """The same backlog for this many processes, which take turns in the measurements."""
    data.backlog(rows)
    lines: list[list[object]] = []
    for title, method in (("no relations", ""), ("two levels of relations", METHOD)):
        turns = [[_drained(count, rows, method) for count in counts] for _ in range(repeat)]
        costs = [middle(list(of_count)) for of_count in zip(*turns, strict=True)]
        for count, cost in zip(counts, costs, strict=True):
            lines.append(
                [
                    f"{title}, {count} {'worker' if count == 1 else 'workers'}",
                    cost.cpu_seconds / cost.rows * 1e6,
                    cost.server_cpu_seconds / cost.rows * 1e6,
                    times(cost.all_cpu_seconds / costs[0].all_cpu_seconds),
                    round(cost.rate),
                    times(cost.rate / costs[0].rate),
                ]
            )
    show(
        f"Shared: {rows:,} rows, CPU of all workers",
        ["", "own CPU, µs/row", "the server's", "ratio of both", "rows/s", "ratio"],
        lines,
    )
    data.represent_all()


def _drained(count: int, rows: int, method: str) -> Cost:
    data.forget(rows)
    return in_child("shared", workers=count, method=method)
