"""Notices queries that other threads send on behalf of the code of a row."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

_asks: ContextVar[tuple[int, Callable[[], None]] | None] = ContextVar("asks", default=None)


@contextmanager
def watching(asks: Callable[[], None]) -> Iterator[None]:
    """Call `asks` before each query that another thread sends on behalf of this one."""
    token = _asks.set((threading.get_ident(), asks))
    try:
        yield
    finally:
        _asks.reset(token)


def connect(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Make this connection report queries; a receiver of ``connection_created``."""
    if _tell not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _tell)


def _tell(execute: Callable[..., Any], *statement: Any) -> Any:
    """Report a query of another thread; an execute_wrapper."""
    waiting = _asks.get()
    if waiting is not None:
        thread, asks = waiting
        if thread != threading.get_ident():
            asks()
    return execute(*statement)
