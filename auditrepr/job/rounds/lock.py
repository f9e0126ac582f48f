"""A share as the lock of the worker that builds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, When

from ...exceptions import LeaseLost
from ...models import Share
from ..locks.lease import DatabaseLock
from ..locks.process import Process
from . import shares


class ShareLock(DatabaseLock):
    """The lowest share that is free: a lease like the run's own, until it is finished.

    :param follow: moves the command's mark when a share is finished, in the same transaction.
    """

    def __init__(
        self, using: str, command: str, *, follow: Callable[[Share], None], **options: Any
    ) -> None:
        super().__init__(using, **options)
        self.command = command
        self.follow = follow
        self.share: Share | None = None
        self.reached = 0  # all pending events up to this ID are stored, once this is committed

    def renew(self) -> None:
        """Renew the share, or finish it with the batch that reaches its end.

        :raises LeaseLost: if another worker has taken it over, or the round was canceled.
        """
        if self.share and self.reached >= self.share.upto_id:
            self.finish(self.share)
        elif (
            not self._leases()
            .filter(token=self.token)
            .update(expires_at=self.vendor.clock(self.seconds), takeovers=0)
        ):
            raise LeaseLost

    def finish(self, share: Share) -> None:
        """Delete the share, and let the mark follow, in the transaction of its last batch.

        :raises LeaseLost: likewise.
        """
        if not self._leases().filter(token=self.token)._raw_delete(self.using):
            raise LeaseLost
        self.follow(share)

    def _acquire(self) -> bool:
        free = Q(token=None) | Q(expires_at__lte=self.vendor.clock())
        with transaction.atomic(self.using):
            self.vendor.end_if_idle(self.seconds / 2)
            taken = self._take_share(free) or any(map(self._take_share, self._abandoned()))
            self.share = self._leases().get(token=self.token) if taken else None
        self.reached = self.share.after_id if self.share else 0
        return taken

    def _take_share(self, condition: Q) -> bool:
        before = F("takeovers")
        return self._take(
            condition, takeovers=Case(When(token=None, then=before), default=before + 1)
        )

    def _abandoned(self) -> list[Q]:
        """Return the conditions for the shares whose holders have certainly ended."""
        held = self._leases().exclude(token=None).order_by("pk").values_list("token", "holder")
        found = ((token, Process.of(holder)) for token, holder in held)
        return [Q(token=token) for token, holder in found if holder and holder.is_dead()]

    def _leases(self) -> QuerySet[Any]:
        return shares.of(self.using, self.command)
