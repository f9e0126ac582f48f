"""Starts the processes of ``--workers``, adds up what they do, and ends them."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from django.db import connections

from ..conf import get_settings
from ..job.runs.limits import EARLY
from ..job.runs.result import Progress, Result
from ..models import StopReason
from .worker import BLOCKED, work

NOTHING = Progress(0, 0, 0, 0)


class Worker:
    """One process, and what it has said."""

    def __init__(self, using: str, command: str, options: dict[str, Any]) -> None:
        # Never forked: both would use the same connection to the server.
        context = multiprocessing.get_context("spawn")
        self._channel: Connection
        self._channel, theirs = context.Pipe()
        names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
        self._process: SpawnProcess = context.Process(
            target=work, args=(theirs, names, using, command, options), daemon=True
        )
        before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # so that its end shows here
        self.progress = NOTHING
        self.result: Result | None = None

    def listen(self) -> bool:
        """Read what it has said, and return whether it may say more."""
        try:
            while self.result is None and self._channel.poll():
                said = self._channel.recv()
                if isinstance(said, Progress):
                    self.progress = said
                else:
                    self.result = said
        except (EOFError, OSError):
            self._channel.close()
            self.result = self._lost()
        return self.result is None

    def stop(self, reason: StopReason) -> None:
        """Let it end after its batch, for this reason."""
        with suppress(OSError):
            self._channel.send(reason)

    def join(self, until: float) -> Result:
        """Return its result; kill it if it does not end until then."""
        while self.listen() and time.monotonic() < until:
            self._process.join(0.02)
        if self.result is None:
            self._process.kill()
            self._process.join()
            self.listen()
        self._process.join()
        result = self.result or self._lost()
        if result.error and result.stop_reason is not StopReason.LEASE_LOST:
            result.lost_workers.append(f"process {self._process.pid}: {result.error}")
        return result

    def _lost(self) -> Result:
        """Return what is known of the work of a process that ended without a result."""
        self._process.join(1)
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        rows, failures = self.progress.rows, self.progress.failures
        lost = [f"process {self._process.pid}: {how}"]
        return Result(rows=rows, failures=failures, batches=bool(rows), lost_workers=lost)


class Workers:
    """The workers besides this process.

    :param command: whose work they share.
    :param options: of each: what the command's ``assist()`` takes.
    """

    def __init__(self, using: str, command: str, **options: Any) -> None:
        self.using = using
        self.command = command
        self.options = options
        self._workers: list[Worker] = []
        self._results: list[Result] = []
        self._before = NOTHING

    def start(self, count: int, max_seconds: float | None) -> None:
        options = {**self.options, "max_seconds": max_seconds and max(0.0, max_seconds)}
        try:
            while len(self._workers) < count:
                self._workers.append(Worker(self.using, self.command, options))
        except OSError as error:  # the system has no room for another process
            self._results.append(Result(lost_workers=[f"could not be started: {error}"]))

    def progress(self) -> Progress:
        for worker in self._workers:
            worker.listen()
        said = (self._before, *(worker.progress for worker in self._workers))
        return Progress(
            sum(one.done for one in said), 0,
            sum(one.rows for one in said), sum(one.failures for one in said),
        )  # fmt: skip

    def end(self, reason: StopReason) -> None:
        for worker in self._workers:
            worker.stop(reason)
        until = time.monotonic() + _longest_batch()
        self._results += [worker.join(until) for worker in self._workers]
        self._before = self.progress()
        self._workers = []

    def results(self) -> Sequence[Result]:
        return self._results


def _longest_batch() -> float:
    """Return the seconds after which a worker does not end: its batch would be stored by then."""
    settings = get_settings()
    # The last row is begun in time, and what is built is stored while its lock is renewed.
    return EARLY + settings.ROW_SECONDS + settings.LEASE_SECONDS
