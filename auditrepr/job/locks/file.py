"""The file lock: a lock in a file of this host, which the kernel frees when its holder ends."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakSet

from django.db import DEFAULT_DB_ALIAS

from ...conf import get_settings
from ...exceptions import LeaseLost, LockUnavailable
from ...vendors import get_vendor
from .base import Lock
from .process import Process

_file_locks: WeakSet[FileLock] = WeakSet()


def _let_go_of_file_locks() -> None:
    for lock in _file_locks:
        lock.let_go()


if hasattr(os, "register_at_fork"):  # pragma: no branch - only Windows has none
    os.register_at_fork(after_in_child=_let_go_of_file_locks)


class FileLock(Lock):
    """``flock`` on a file of this host; the kernel frees it, however the process ends.

    :param path: by default ``AUDITREPR["LOCK_FILE"]``, or else a file for this database in the
        user's state directory.
    """

    across_hosts = False

    def __init__(self, using: str, *, path: Path | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.using = using
        self._path = path or _chosen_path(using)
        self._file: int | None = None
        _file_locks.add(self)

    @cached_property
    def path(self) -> Path:
        """Return the file; that of a schema is known once its database can be queried."""
        return self._path or default_path(self.using)

    def renew(self) -> None:
        # If the file was deleted, another run may have a lock on a new one.
        if self._file is None or not self._is_current(self._file):
            raise LeaseLost

    def holder(self) -> Process | None:
        with suppress(OSError, ValueError):
            return Process.of(json.loads(self.path.read_text()))
        return None

    def _acquire(self) -> bool:
        try:
            self._file = self._locked()
        except BlockingIOError:
            return False
        except (ImportError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LockUnavailable(path=self.path, reason=reason) from error
        return self._file is not None

    def _locked(self) -> int | None:
        """Return the open file once it is locked; None if it was replaced in the meantime."""
        import fcntl

        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not inherited by child processes; a symbolic link is not followed.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with ExitStack() as unless_locked:
            file = os.open(self.path, flags, 0o644)
            unless_locked.callback(os.close, file)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise LockUnavailable(path=self.path, reason="not a regular file")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking it may have been replaced: the next attempt finds out.
            if not self._is_current(file):
                return None
            unless_locked.pop_all()
        with suppress(OSError):  # on a full disk, only the holder's name is lost
            os.ftruncate(file, 0)
            os.write(file, json.dumps(asdict(Process.current())).encode())
        return file

    def _release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def let_go(self) -> None:
        """Close the file in a forked process, so that the lock stays with the parent only.

        A forked process shares its parent's lock, and would keep it beyond the parent's end.
        """
        self.acquired = False
        self._release()

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path, follow_symlinks=False), os.fstat(file))
        except OSError:  # it was deleted, or can no longer be read
            return False


def _chosen_path(using: str) -> Path | None:
    """Return the path in the setting; a database that is not the default one adds its alias."""
    path = get_settings().LOCK_FILE
    if path is None or using == DEFAULT_DB_ALIAS:
        return path
    return path.with_name(f"{path.name}.{using}")


def default_path(using: str) -> Path:
    """Return the lock file for this database: one for each user, database and schema."""
    vendor = get_vendor(using)
    schema = vendor.log_schema()
    identity = [*vendor.identity(), schema]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the specification says to ignore it
        state = Path("~/.local/state")
    # For people: if the name is not a plain one, only the digest distinguishes it.
    label = f"{schema}-" if re.fullmatch(r"\w{1,63}", schema, re.ASCII) else ""
    path = state / "auditrepr" / f"backfill-{label}{digest}.lock"
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise LockUnavailable(path=path, reason="this user has no home directory") from error
