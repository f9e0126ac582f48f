"""Who holds a lock, and whether that process is still there."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils import timezone


@dataclass(frozen=True)
class Process:
    """Who holds a lock, in words that another process on the same host can check."""

    host: str
    pid: int
    since: str  # when it took the lock, for people
    boot: str | None = None  # this start of the machine
    namespace: str | None = None  # within which the pid is unique
    started: str | None = None  # in the machine's ticks: tells apart two that had the same pid

    @classmethod
    def current(cls) -> Process:
        return cls(
            socket.gethostname(),
            os.getpid(),
            timezone.now().isoformat(timespec="seconds"),
            _boot(),
            _namespace(),
            _started(os.getpid()),
        )

    @classmethod
    def of(cls, stored: Any) -> Process | None:
        """The process that was stored, if it can be read."""
        try:
            found = cls(**stored)
        except TypeError:
            return None
        return found if type(found.pid) is int and 0 < found.pid < 2**31 else None

    def is_dead(self) -> bool:
        """Whether it is certain that this process has ended; of another host's, nothing is."""
        here = self.boot is not None and (self.boot, self.namespace) == (_boot(), _namespace())
        return here and _has_ended(self.pid, self.started)

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
    """When the process started; none if that cannot be seen, or nothing but its name is left."""
    # The command stands in parentheses and may hold anything: what counts comes after the last.
    state, *fields = (_read(f"/proc/{pid}/stat") or ") X").rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]


def _has_ended(pid: int, started: str | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is another user's; /proc may hide it, too
    return _read(f"/proc/{pid}/stat") is not None and _started(pid) != started


def _read(path: str) -> str | None:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return None
