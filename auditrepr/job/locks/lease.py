"""The database lock: a lease that expires unless its holder renews it."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

from django.db import Error, connections, transaction
from django.db.models import Q, QuerySet, Subquery

from ...conf import get_settings
from ...exceptions import LeaseLost
from ...models import Lease
from ...utils.text import one_line
from ...vendors import get_vendor
from .base import Lock
from .process import Process

logger = logging.getLogger("auditrepr.lease")

#: `acquired_at` stays: for a run with nothing to do, it is the only trace.
FREE = dict.fromkeys(("token", "holder", "expires_at"))


class DatabaseLock(Lock):
    """A lease in the database that it protects, by the database's clock, with a random token.

    A holder that does not renew it for `seconds` can be replaced, and notices before it commits.
    """

    NAME = "backfill"
    across_hosts = True

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
        # Expiry does not matter as long as no other run has taken the lock: the token, which is
        # unique to each acquisition, keeps a former holder out.
        mine = self._leases().filter(token=self.token)
        return mine.update(expires_at=self.vendor.clock(self.seconds))

    def _keep_alive(self, done: threading.Event) -> None:
        while not done.wait(self.seconds / 3):
            # A connection of this thread, which is idle for long: a server might end it.
            with closing(connections[self.using]):
                try:
                    self._extend()
                except Error as error:
                    said = one_line(error)
                    fields = {"database": self.using, "error": said}
                    logger.warning("Could not renew the database lock: %s", said, extra=fields)

    def _take(self, condition: Q, **more: Any) -> bool:
        # skip_locked: the holder may have locked this row and be stopped forever. One
        # statement, which writes: SQLite cannot upgrade a read transaction while others write.
        # Equal, not IN: PostgreSQL may run a subquery with a limit several times for the latter.
        leases = self._leases()
        free = leases.filter(condition).order_by("pk").select_for_update(skip_locked=True)
        token = uuid.uuid4()
        taken = leases.filter(pk=Subquery(free.values("pk")[:1])).update(
            token=token,
            holder=asdict(Process.current()),
            expires_at=self.vendor.clock(self.seconds),
            **({"acquired_at": self.vendor.clock()} if self.of_run else {}),
            **more,
        )
        self.token = token if taken else None
        return bool(taken)

    def _release(self) -> None:
        try:
            self._leases().filter(token=self.token).update(**FREE)
        except Error:  # on a new connection, the holder may try again; or else the lease expires
            self.acquired = True

    def _leases(self) -> QuerySet[Any]:
        return Lease.objects.using(self.using).filter(name=self.NAME)


def release(using: str, token: uuid.UUID) -> bool:
    """Release the database lock of the holder with this token, which can no longer store anything.

    Never waits for a holder that is storing a batch: false, if it is, or has released the lock.
    """
    leases = Lease.objects.using(using).filter(name=DatabaseLock.NAME)
    with transaction.atomic(using):
        free = leases.filter(token=token).select_for_update(skip_locked=True).values("pk")
        return bool(leases.filter(pk__in=free).update(**FREE))
