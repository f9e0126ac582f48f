"""What a worker of ``--workers`` runs; imports nothing that needs Django before it is set up."""

from __future__ import annotations

import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..job.runs.result import Result
    from ..models import StopReason

#: Blocked in a process that starts: until it can note them, they would end it with a traceback.
BLOCKED = {signal.SIGTERM, signal.SIGINT}


class Order:
    """The parent's order to end: the reason for it, or that the parent is gone."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._came = False
        self.reason: StopReason | None = None

    def is_there(self) -> bool:
        if not self._came and self._channel.poll():
            self._came = True
            with suppress(EOFError, OSError):  # the parent was killed
                self.reason = self._channel.recv()
        return self._came


def work(
    channel: Connection, names: Mapping[str, Any], using: str, command: str, options: Any
) -> None:
    """Help in the rounds of the parent, which the channel leads to, until it says or ends.

    :param names: the parent's databases: those of a test have other names than the settings say.
    """
    import django

    django.setup()
    from django.db import connections

    from .signals import stopping_on_signals

    for alias, name in names.items():
        connections[alias].settings_dict["NAME"] = name

    def send(said: Any) -> None:
        with suppress(OSError):  # the parent has ended: `stop` sees it, too
            channel.send(said)

    order = Order(channel)
    with stopping_on_signals() as received:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
        result = _assist(using, command, order, received, on_progress=send, **options)
    send(result)


def _assist(
    using: str, command: str, order: Order, received: Collection[int], **options: Any
) -> Result:
    """Return what the worker did, until an order or a signal came, or nothing was left."""
    from django.db import Error

    from ..exceptions import AuditReprError
    from ..job import backfill
    from ..job.rebuilding import rebuild
    from ..job.rights import explained
    from ..job.rounds import shares
    from ..job.runs.result import Result
    from ..models import StopReason

    assist = rebuild.assist if command == shares.REBUILD else backfill.assist
    try:
        return assist(
            using,
            stop=lambda: bool(received) or order.is_there(),
            stop_reason=lambda: order.reason or StopReason.SIGNAL,
            **options,
        )
    except (AuditReprError, Error) as error:
        return Result(StopReason.ERROR, error=explained(error, using))
