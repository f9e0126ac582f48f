"""Notices queries that the code of a row sends in other threads, or by connections of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

_asks: ContextVar[tuple[int, Callable[[Any], None]] | None] = ContextVar("asks", default=None)


@contextmanager
def watching(asks: Callable[[Any], None]) -> Iterator[None]:
    """Call `asks` with each statement that is sent on behalf of this thread, but not by it.

    Another thread sends it, or a connection that is none of Django's ``connections``, such as a
    copy of one.
    """
    token = _asks.set((threading.get_ident(), asks))
    try:
        yield
    finally:
        _asks.reset(token)


def connect(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Make this connection report queries; a receiver of ``connection_created``."""
    if _tell not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _tell)


def _tell(
    execute: Callable[..., Any], sql: Any, parameters: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Report a query of another thread or connection; an execute_wrapper."""
    waiting = _asks.get()
    if waiting is not None:
        thread, asks = waiting
        if thread != threading.get_ident() or not _is_djangos(context["connection"]):
            asks(sql)
    return execute(sql, parameters, many, context)


def _is_djangos(connection: BaseDatabaseWrapper) -> bool:
    return any(one is connection for one in connections.all(initialized_only=True))
