"""Identifies the process that holds a lock, and determines whether it still runs."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils import timezone

from ...utils.phrases import timestamp


@dataclass(frozen=True)
class Process:
    """The holder of a lock, in a form that another process on the same host can check."""

    host: str
    pid: int
    since: str  # when it acquired the lock, for people
    boot: str | None = None  # this start of the machine
    namespace: str | None = None  # within which the pid is unique
    started: str | None = None  # in the machine's ticks: tells apart two that had the same pid

    @classmethod
    def current(cls) -> Process:
        return cls(
            socket.gethostname(),
            os.getpid(),
            timestamp(timezone.now()),
            _boot(),
            _namespace(),
            _started(os.getpid()),
        )

    @classmethod
    def of(cls, stored: Any) -> Process | None:
        """Return the process that was stored, or None if it cannot be read."""
        try:
            found = cls(**stored)
        except TypeError:
            return None
        return found if type(found.pid) is int and 0 < found.pid < 2**31 else None

    def is_dead(self) -> bool:
        """Return whether this process has certainly ended; unknown for another host's process."""
        return self.is_here() and _has_ended(self.pid, self.started)

    def is_here(self) -> bool:
        """Return whether this process certainly runs, or ran, on this host."""
        return self.boot is not None and (self.boot, self.namespace) == (_boot(), _namespace())

    def is_same(self, other: Process) -> bool:
        """Return whether both are the same process, as far as that is known of both."""
        mine = (self.boot, self.namespace, self.started)
        pairs = zip(mine, (other.boot, other.namespace, other.started), strict=True)
        return (self.host, self.pid) == (other.host, other.pid) and all(
            one == another for one, another in pairs if None not in (one, another)
        )

    def __str__(self) -> str:
        since = str(self.since).replace("T", " ")  # as all other times are written
        return f"process {self.pid} on {self.host} since {since}"


def _boot() -> str | None:
    return _read("/proc/sys/kernel/random/boot_id")


def _namespace() -> str | None:
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return None


def _started(pid: int) -> str | None:
    """Return when the process started; None if that is not visible or the process is a zombie."""
    # The command stands in parentheses and may hold anything: what counts comes after the last.
    state, *fields = (_read(f"/proc/{pid}/stat") or ") X").rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]


def _has_ended(pid: int, started: str | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # another user's process; /proc may hide it, too
    return _read(f"/proc/{pid}/stat") is not None and _started(pid) != started


def _read(path: str) -> str | None:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return None
