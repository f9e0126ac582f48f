"""Time, statements, buffers and memory of a piece of work, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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


class ServerCPU:
    """CPU time of the server process behind the current connection, in nanoseconds."""

    def __init__(self) -> None:
        self._file = os.open(
            Path("/proc") / str(connection.connection.info.backend_pid) / "schedstat", os.O_RDONLY
        )

    def read(self) -> int:
        return int(os.pread(self._file, 100, 0).split()[0])

    def close(self) -> None:
        os.close(self._file)

    def of(self, work: Callable[[], None]) -> float:
        """Microseconds that the server works on this."""
        before = self.read()
        work()
        return (self.read() - before) / 1000


class SessionsCPU:
    """CPU time of all sessions that have ended on the server of the current connection."""

    def __init__(self) -> None:
        connection.ensure_connection()
        session = Path("/proc") / str(connection.connection.info.backend_pid)
        self._file = Path("/proc") / self._fields(session / "stat")[1] / "stat"

    def read(self) -> float:
        """Return the seconds, as soon as no session has ended for a moment."""
        seconds = -1.0
        while (found := self._read()) > seconds:
            seconds = found
            time.sleep(0.5)
        return seconds

    def _read(self) -> float:
        waited_for = self._fields(self._file)[13:15]  # cutime, cstime
        return sum(map(int, waited_for)) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _fields(file: Path) -> list[str]:
        """Return what follows the name of the process: its state, its parent, and so on."""
        return file.read_text().rpartition(")")[2].split()


@contextmanager
def server_cpu() -> Iterator[ServerCPU]:
    cpu = ServerCPU()
    try:
        yield cpu
    finally:
        cpu.close()


def is_near() -> bool:
    """Whether the server's process can be looked at from here."""
    if connection.vendor != "postgresql":
        return False
    connection.ensure_connection()
    return Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").exists()


@dataclass
class Cost:
    """The cost of a piece of work."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of the process itself, without the server
    rows: int = 0
    server_cpu_seconds: float = 0.0  # of the server's process behind its connection; PostgreSQL
    statements: int = 0
    database_seconds: float = 0.0
    buffers: int | None = None  # PostgreSQL's, of 8 kB; None if they are not counted
    peak_mb: float = 0.0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    @property
    def all_cpu_seconds(self) -> float:
        """CPU of the process and of the server, however many others use the machine."""
        return self.cpu_seconds + self.server_cpu_seconds


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

    with server_cpu() if is_near() else nullcontext() as server:
        server_used = server.read() if server else 0
        began, used = time.perf_counter(), time.process_time()
        with connection.execute_wrapper(watch):
            yield cost
        cost.seconds, cost.cpu_seconds = time.perf_counter() - began, time.process_time() - used
        if server:
            cost.server_cpu_seconds = (server.read() - server_used) / 1e9
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
        env=_environment() | {"BENCHMARK_REPR": arguments.get("method", "")},
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _environment() -> dict[str, str]:
    """The environment of a project: what Python has compiled is there for the next process."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


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
