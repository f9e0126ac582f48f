"""Two locks that keep a second run from doing the first one's work again.

They only save work: that nothing is stored twice rests on the primary key of ``InstanceRepr``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from django.db import Error, connections, transaction
from django.db.models import Q, QuerySet

from .conf import get_settings
from .exceptions import LeaseLost, LockUnavailable
from .holders import Process
from .models import Lease
from .vendors import get_vendor

logger = logging.getLogger(__name__)

#: Seconds between two attempts of one who waits.
PAUSE = 0.25


class Lock(ABC):
    """A context manager whose value is true if the lock was acquired, and false if not.

    :param wait: seconds to wait for it.
    :param stop: asked while waiting; true ends the wait.
    """

    def __init__(self, *, wait: float = 0, stop: Callable[[], bool] = lambda: False) -> None:
        self.wait = wait
        self.stop = stop
        self.acquired = False

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self.wait
        self.acquired = self._acquire()
        while not self.acquired and time.monotonic() < deadline and not self.stop():
            time.sleep(PAUSE)
            self.acquired = self._acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.acquired:
            self.acquired = False
            self._release()

    def __bool__(self) -> bool:
        return self.acquired

    def kept_alive(self) -> AbstractContextManager[None]:
        """Work inside keeps the lock, however long it takes."""
        return nullcontext()

    @abstractmethod
    def renew(self) -> None:
        """Show a sign of life, as the last statement of the transaction that stores a batch.

        :raises LeaseLost: if somebody else may hold the lock by now: roll back.
        """

    @abstractmethod
    def holder(self) -> Process | None:
        """Who holds it, as far as one can tell."""

    @abstractmethod
    def _acquire(self) -> bool: ...

    @abstractmethod
    def _release(self) -> None: ...


class DatabaseLock(Lock):
    """A lease in the database that it protects, on the database's clock, with a random token.

    Who stays silent for `seconds` can be replaced, and learns of it before anything is committed.
    """

    NAME = "backfill"

    def __init__(self, using: str, *, seconds: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.using = using
        self.seconds = get_settings().LEASE_SECONDS if seconds is None else seconds
        self.vendor = get_vendor(using)
        self.token: uuid.UUID | None = None

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._keep_alive, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def renew(self) -> None:
        if not self._extend():
            raise LeaseLost

    def holder(self) -> Process | None:
        return Process.of(self._leases().values_list("holder", flat=True).first())

    def _acquire(self) -> bool:
        with transaction.atomic(self.using):
            self.vendor.end_if_idle(self.seconds / 2)
            free = Q(token=None) | Q(expires_at__lte=self.vendor.clock())
            if self._take(free):
                return True
            lease = self._leases().first()
            if lease is None:
                Lease.objects.using(self.using).bulk_create(
                    [Lease(name=self.NAME)], ignore_conflicts=True
                )
                return self._take(free)
            holder = Process.of(lease.holder)
            return bool(holder and holder.is_dead() and self._take(Q(token=lease.token)))

    def _extend(self) -> int:
        # That it has run out does not matter as long as nobody else has taken it: what keeps a
        # former holder out is the token, which nobody else has had and nobody has twice.
        mine = self._leases().filter(token=self.token)
        return mine.update(expires_at=self.vendor.clock(self.seconds))

    def _keep_alive(self, done: threading.Event) -> None:
        while not done.wait(self.seconds / 3):
            # This thread's own. It is silent for long: a server might end it in between.
            with closing(connections[self.using]):
                try:
                    self._extend()
                except Error as error:
                    said = " ".join(str(error).split())
                    fields = {"database": self.using, "error": said}
                    logger.warning("The lease could not be renewed: %s", said, extra=fields)

    def _take(self, condition: Q) -> bool:
        # Never waits for a row that its holder has locked, who may be stopped for good. One
        # statement, which writes: SQLite cannot go from reading to writing beside other writers.
        leases = self._leases()
        token = uuid.uuid4()
        taken = leases.filter(
            pk__in=leases.filter(condition).select_for_update(skip_locked=True).values("pk")
        ).update(
            token=token,
            holder=asdict(Process.current()),
            acquired_at=self.vendor.clock(),
            expires_at=self.vendor.clock(self.seconds),
        )
        self.token = token if taken else None
        return bool(taken)

    def _release(self) -> None:
        # Where the database cannot be reached any more, the lease runs out by itself.
        with suppress(Error):
            self._leases().filter(token=self.token).update(
                token=None, holder=None, acquired_at=None, expires_at=None
            )

    def _leases(self) -> QuerySet[Lease]:
        return Lease.objects.using(self.using).filter(name=self.NAME)


_file_locks: WeakSet[FileLock] = WeakSet()


def _let_go_of_file_locks() -> None:
    for lock in _file_locks:
        lock.let_go()


if hasattr(os, "register_at_fork"):  # pragma: no branch - only Windows has none
    os.register_at_fork(after_in_child=_let_go_of_file_locks)


class FileLock(Lock):
    """``flock`` on a file of this host; the kernel frees it, whatever ends the process.

    :param path: by default ``AUDITREPR["LOCK_FILE"]``, else a file for this database in the
        user's state folder.
    """

    def __init__(self, using: str, *, path: Path | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.path = path or get_settings().LOCK_FILE or default_path(using)
        self._file: int | None = None
        _file_locks.add(self)

    def renew(self) -> None:
        # Somebody may have deleted the file, and then another run has a lock on a new one.
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
        """The open file, once it is locked; None if it was replaced meanwhile."""
        import fcntl

        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not inherited by child processes, and no way through a symbolic link.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with ExitStack() as unless_locked:
            file = os.open(self.path, flags, 0o644)
            unless_locked.callback(os.close, file)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise LockUnavailable(path=self.path, reason="it is not a regular file")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking it may have been replaced: the next attempt finds out.
            if not self._is_current(file):
                return None
            unless_locked.pop_all()
        with suppress(OSError):  # a full disk keeps people from reading who it is, and no run back
            os.ftruncate(file, 0)
            os.write(file, json.dumps(asdict(Process.current())).encode())
        return file

    def _release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def let_go(self) -> None:
        """Forget the file, of which somebody else has the lock: the process that forked this one.

        A forked process shares its parent's lock, and would keep it beyond the parent's end.
        """
        self.acquired = False
        self._release()

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path, follow_symlinks=False), os.fstat(file))
        except OSError:  # it is gone, or cannot be looked at any more
            return False


def release(using: str, token: uuid.UUID) -> bool:
    """Take the database lock from the holder with this token, who can store nothing from now on.

    Never waits for one who is storing: false, if it is, or has let go of the lock meanwhile.
    """
    leases = Lease.objects.using(using).filter(name=DatabaseLock.NAME)
    with transaction.atomic(using):
        free = leases.filter(token=token).select_for_update(skip_locked=True).values("pk")
        return bool(
            leases.filter(pk__in=free).update(
                token=None, holder=None, acquired_at=None, expires_at=None
            )
        )


def default_path(using: str) -> Path:
    """The lock file for this database: one for each user and database."""
    settings = connections[using].settings_dict
    name = settings["NAME"]
    if connections[using].vendor == "sqlite":
        name = Path(name).resolve()
    identity = [settings["ENGINE"], settings["HOST"], settings["PORT"], str(name)]
    if service := settings["OPTIONS"].get("service"):  # all of it stands in a file of PostgreSQL's
        identity.append(service)
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # which its specification says to ignore
        state = Path("~/.local/state")
    path = state / "auditrepr" / f"backfill-{digest}.lock"
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise LockUnavailable(path=path, reason="this user has no home") from error
