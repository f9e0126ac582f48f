"""Time, statements, buffers and memory of a piece of work, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from django.db import connection

TOTALS = """
SELECT coalesce(sum(calls), 0), coalesce(sum(shared_blks_hit + shared_blks_read), 0),
       coalesce(sum(total_exec_time + total_plan_time), 0) / 1000
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND query NOT LIKE '%pg_stat_statements%'
"""


@dataclass
class Cost:
    """The cost of a piece of work."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of the process itself, without the server
    rows: int = 0
    statements: int = 0
    database_seconds: float = 0.0
    buffers: int | None = None  # PostgreSQL's, of 8 kB; None if they are not counted
    peak_mb: float = 0.0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


@contextmanager
def measured() -> Iterator[Cost]:
    """Record the cost of the work inside, except its number of rows."""
    cost = Cost()
    counted = _server_counts()
    if counted:
        _execute("SELECT pg_stat_statements_reset()")

    def watch(execute: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            cost.statements += 1
            cost.database_seconds += time.perf_counter() - began

    began, used = time.perf_counter(), time.process_time()
    with connection.execute_wrapper(watch):
        yield cost
    cost.seconds, cost.cpu_seconds = time.perf_counter() - began, time.process_time() - used
    if counted:
        statements, buffers, seconds = _execute(TOTALS)
        # The server also counts BEGIN and COMMIT, and statements of other threads.
        cost.statements, cost.buffers, cost.database_seconds = (
            int(statements),
            int(buffers),
            float(seconds),
        )
    cost.peak_mb = _peak()


def in_child(work: str, **arguments: Any) -> Cost:
    """The cost of a function of :mod:`benchmarks.work`, in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.work", work, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"BENCHMARK_REPR": arguments.get("method", "")},
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def middle(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    known = [asdict(cost) for cost in costs]
    values = {
        name: None if known[0][name] is None else median(one[name] for one in known)
        for name in known[0]
    }
    return Cost(**values)


def repeated(times: int, work: Callable[[], Cost]) -> Cost:
    """The median of several runs."""
    return middle([work() for _ in range(times)])


def _peak() -> float:
    """This process's highest memory so far, in MB; ``ru_maxrss`` begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1024


def _server_counts() -> bool:
    if connection.vendor != "postgresql":
        return False
    return bool(
        _execute("SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'")[0]
    )


def _execute(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()
