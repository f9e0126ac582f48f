"""Benchmarks of the job: nothing to do, a little to do, much to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from django.db import connection
from django.test import override_settings

from auditrepr.capture import search_index

from . import data
from .measure import Cost, in_child, repeated
from .table import milliseconds, show, times

SMALL = 500  # rows of a trickle
METHOD = "with_relations"  # of an invoice, in place of its __str__
OTHERS_BATCHES = 20  # of the plain loop, because all of them would take hours


def standing(names: Collection[str], sizes: Sequence[int], repeat: int) -> None:
    """``idle`` and ``trickle`` on a log that grows: each size is created once, for both."""
    rows: dict[str, list[list[Any]]] = {"idle": [], "trickle": []}
    for size in sorted(sizes):
        data.fill(size)
        if "idle" in names:
            rows["idle"] += _idle(f"{size:,} rows", repeat)
        if "trickle" in names:
            data.backlog(SMALL)
            rows["trickle"] += _trickle(f"{size:,} rows", repeat)
            data.represent_all()
    if "idle" in names:
        head = ["represented", "time", "in the database", "buffers", "statements", "ratio"]
        show("Idle run", head, rows["idle"])
    if "trickle" in names:
        head = ["on top of", "time", "ratio", "own CPU", "the server's", "ratio of both"]
        show(f"Trickle: {SMALL} new rows", head, rows["trickle"])


def _idle(label: str, repeat: int) -> list[list[Any]]:
    ours = repeated(repeat, lambda: in_child("run", warm=True, sweep=False))
    swept = repeated(repeat, lambda: in_child("run", warm=True))
    seed = repeated(min(repeat, 3), lambda: in_child("seed_query"))
    return [
        [f"{label}: {name}", milliseconds(cost.seconds), milliseconds(cost.database_seconds),
         cost.buffers, cost.statements, times(cost.database_seconds / ours.database_seconds)]
        for name, cost in (
            ("auditrepr", ours), ("the same, with a sweep's slice", swept), ("plain query", seed)
        )
    ]  # fmt: skip


def _trickle(label: str, repeat: int) -> list[list[Any]]:
    def again(work: str, **arguments: Any) -> Cost:
        data.forget(SMALL)
        return in_child(work, **arguments)

    alone = repeated(repeat, lambda: again("inserting", rows=SMALL))
    ours = repeated(repeat, lambda: again("run", sweep=False))
    building = repeated(repeat, lambda: again("building", rows=SMALL))
    return [
        [f"{label}: {name}", milliseconds(cost.seconds), times(cost.seconds / alone.seconds),
         milliseconds(cost.cpu_seconds), milliseconds(cost.server_cpu_seconds),
         times(cost.all_cpu_seconds / alone.all_cpu_seconds)]
        for name, cost in (
            ("inserting alone", alone), ("building alone", building), ("auditrepr", ours)
        )
    ]  # fmt: skip


def drain(sizes: Sequence[int], repeat: int) -> None:
    """A large backlog."""
    for size in sizes:
        data.backlog(size)
        _show_drain(f"Drain: {size:,} rows", size, repeat)
        data.represent_all()


def _show_drain(title: str, size: int, repeat: int) -> None:
    def again(work: str, **arguments: Any) -> Callable[[], Cost]:
        def once() -> Cost:
            data.forget(size)
            return in_child(work, **arguments)

        return once

    few = min(OTHERS_BATCHES, size // 1000) or 1
    costs = {
        "plain loop (a), its first batches": repeated(1, again("plain_loop", batches=few)),
        "loop with a mark for free (b)": repeated(repeat, again("marked_loop")),
        "auditrepr": repeated(repeat, again("run", sweep=False)),
        "building alone": repeated(repeat, again("building", rows=size)),
        "INSERT … SELECT alone": repeated(repeat, again("inserting", rows=size)),
    }
    one, other = (costs[name].seconds for name in ("building alone", "INSERT … SELECT alone"))
    costs["both, overlapping perfectly"] = Cost(seconds=max(one, other), rows=size)
    base = costs["loop with a mark for free (b)"].rate
    show(
        title,
        ["", "rows/s", "ratio to (b)", "own CPU, µs/row", "peak memory, MB"],
        [
            [
                name,
                round(cost.rate),
                times(cost.rate / base),
                cost.cpu_seconds / cost.rows * 1e6 or None,
                round(cost.peak_mb) or None,
            ]
            for name, cost in costs.items()
        ],
    )


def relations(sizes: Sequence[int], repeat: int) -> None:
    """A ``__str__`` that touches two levels of foreign keys."""
    for size in sizes:
        data.backlog(size)

        def again(work: str, size: int = size, **arguments: Any) -> Cost:
            data.forget(size)
            return in_child(work, **arguments)

        costs = {
            "loop with select_related, today's rows": repeated(
                repeat, lambda: again("related_loop")
            ),
            "auditrepr, no relations": repeated(repeat, lambda: again("run", sweep=False)),
            "auditrepr, as of the event": repeated(
                repeat, lambda: again("run", sweep=False, method=METHOD)
            ),
        }
        base = costs["auditrepr, no relations"]
        show(
            f"Relations: {size:,} rows, two levels of foreign keys",
            ["", "rows/s", "ratio", "own CPU, µs/row", "the server's", "ratio of both",
             "statements for 1000 rows", "peak memory, MB"],
            [
                [name, round(cost.rate), times(cost.rate / base.rate),
                 cost.cpu_seconds / cost.rows * 1e6, cost.server_cpu_seconds / cost.rows * 1e6,
                 times(base.all_cpu_seconds / base.rows / (cost.all_cpu_seconds / cost.rows)),
                 cost.statements / cost.rows * 1000, round(cost.peak_mb)]
                for name, cost in costs.items()
            ],
        )  # fmt: skip
        data.represent_all()


def pairs(sizes: Sequence[int], repeat: int) -> None:
    """Many-to-many rows: in words, and found from both of their objects."""
    for size in sizes:
        for rows, fill, ways in (
            ("invoices", data.backlog, ({"about": False}, {})),
            (
                "pairs",
                data.pair_backlog,
                ({"about": False, "words": False}, {"about": False}, {}),
            ),
        ):
            fill(size)
            _show_pairs(f"Pairs: {size:,} {rows}", size, repeat, ways)
            data.represent_all()


def _show_pairs(title: str, size: int, repeat: int, ways: Sequence[dict[str, bool]]) -> None:
    def again(ways: dict[str, bool]) -> Cost:
        data.forget(size)
        return in_child("run", sweep=False, **ways)

    costs = [repeated(repeat, partial(again, way)) for way in ways]
    names = ["without related objects", "auditrepr"]
    if len(ways) > len(names):
        names.insert(0, "without, and with Django's str()")
    show(
        title,
        ["", "rows/s", "ratio", "own CPU, µs/row", "statements for 1000 rows"],
        [
            [name, round(cost.rate), times(cost.rate / costs[0].rate),
             cost.cpu_seconds / cost.rows * 1e6, cost.statements / cost.rows * 1000]
            for name, cost in zip(names, costs, strict=True)
        ],
    )  # fmt: skip


def searched(sizes: Sequence[int], repeat: int) -> None:
    """The search index: what it costs to store representations with it."""
    rows = []
    for size in sizes:
        data.backlog(size)
        without = repeated(repeat, lambda n=size: _forgotten_run(n))  # type: ignore[misc]
        with override_settings(AUDITREPR={"SEARCH": True}):
            if connection.vendor == "postgresql":
                data.run("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            made = search_index.install("default")
        assert made is not None
        assert made.anywhere, "the extension is not there"
        indexed = repeated(repeat, lambda n=size: _forgotten_run(n))  # type: ignore[misc]
        search_index.install("default")  # which drops it
        for name, cost in (("no index", without), ("an index", indexed)):
            rows.append([f"{size:,} rows, {name}", round(cost.rate),
                         cost.database_seconds / cost.rows * 1e6,
                         times(cost.seconds / without.seconds)])  # fmt: skip
        data.represent_all()
    show("Search index", ["", "rows/s", "in the database, µs/row", "ratio"], rows)


def opened(sizes: Sequence[int], repeat: int) -> None:
    """One writer stays open for the whole run."""
    if connection.vendor == "sqlite":
        print("\nSQLite has one writer at a time: an open one keeps the job waiting.")
        return
    from .writer import open_writer

    rows = []
    for size in sizes:
        for label, number in ((f"drain of {size:,}", size), (f"trickle of {SMALL}", SMALL)):
            data.backlog(number)
            free = repeated(repeat, lambda n=number: _forgotten_run(n))  # type: ignore[misc]
            with open_writer():
                held = repeated(repeat, lambda n=number: _forgotten_run(n))  # type: ignore[misc]
            for name, cost in (("no writer", free), ("an open writer", held)):
                rows.append([f"{label}, {name}", milliseconds(cost.seconds), cost.statements,
                             times(cost.seconds / free.seconds)])  # fmt: skip
            data.represent_all()
    show("Open transaction", ["", "time", "statements", "ratio"], rows)


def _forgotten_run(rows: int) -> Cost:
    data.forget(rows)
    return in_child("run", sweep=False)
