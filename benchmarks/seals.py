"""Benchmark of the seal: what it takes besides representing the same events, and to verify it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditrepr.models import SealEntry

from . import data
from .measure import Cost, in_child, repeated
from .table import show, times


def seal(sizes: Sequence[int], repeat: int) -> None:
    """Represent, seal and verify events, in the same run."""
    rows: list[list[Any]] = []
    for size in sizes:
        data.backlog(size)

        def again(work: str, size: int = size) -> Cost:
            data.forget(size) if work == "run" else _unseal(work)
            return in_child(work)

        costs = {
            "representing": repeated(repeat, lambda: again("run")),
            "sealing": repeated(repeat, lambda: again("sealing")),
            "verifying": repeated(repeat, lambda: again("verifying")),
        }
        alone = costs["representing"]
        for name, cost in costs.items():
            each = cost.all_cpu_seconds / cost.rows
            rows.append([f"{size:,} events: {name}", round(cost.rate), each * 1e6,
                         times(each / (alone.all_cpu_seconds / alone.rows)), cost.statements,
                         round(cost.peak_mb)])  # fmt: skip
        data.represent_all()
    head = ["", "events/s", "CPU of both, µs/event", "ratio", "statements", "peak memory, MB"]
    show("Seal", head, rows)


def _unseal(work: str) -> None:
    if work == "sealing":
        SealEntry.objects.all()._raw_delete("default")
