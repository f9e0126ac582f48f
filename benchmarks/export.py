"""Benchmark of the export: what a log of any size takes, above all how much memory."""

from __future__ import annotations

from collections.abc import Sequence

from auditrepr.readers.export_formats import FORMATS

from . import data
from .measure import in_child, repeated
from .table import show


def export(sizes: Sequence[int], repeat: int) -> None:
    """Export a log that grows, in each format; compared with a process that only starts."""
    rows = []
    for size in sorted(sizes):
        data.fill(size)
        idle = in_child("nothing")
        for name in FORMATS:
            cost = repeated(repeat, lambda name=name: in_child("export", format=name))  # type: ignore[misc]
            rows.append([f"{size:,} events, {name}", round(cost.rate),
                         cost.cpu_seconds / cost.rows * 1e6, cost.statements,
                         round(cost.peak_mb), round(idle.peak_mb)])  # fmt: skip
    show(
        "Export",
        ["", "events/s", "own CPU, µs/event", "statements", "peak memory, MB", "at the start, MB"],
        rows,
    )
