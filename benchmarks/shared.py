"""Benchmark of several workers: what a row costs in CPU if more of them share the backlog."""

from __future__ import annotations

import os
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
                    times(_allowed(count, cost, costs[0])),
                    round(cost.rate),
                    times(cost.rate / costs[0].rate),
                ]
            )
    show(
        f"Shared: {rows:,} rows, CPU of all workers",
        [
            "",
            "own CPU, µs/row",
            "the server's",
            "ratio of both",
            "speed-up that the CPU allows",
            "rows/s",
            "ratio",
        ],
        lines,
    )
    data.represent_all()


def _allowed(workers: int, cost: Cost, of_one: Cost) -> float:
    """Return the speed-up on cores that do nothing else; one worker keeps one of them busy.

    It alternates with its session of the server.
    """
    cores = min(workers, os.cpu_count() or 1)
    return cores * of_one.all_cpu_seconds / cost.all_cpu_seconds


def _drained(count: int, rows: int, method: str) -> Cost:
    data.forget(rows)
    return in_child("shared", workers=count, method=method)
