"""Knows whether code runs as of an event, and what it has put into caches so far."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any

OwnQueries = Callable[[], AbstractContextManager[Any]]


class Store:
    """All that the code of one event has put into caches."""

    __slots__ = ("__weakref__", "caches", "kept", "sites")

    def __init__(self) -> None:
        self.caches: dict[Any, Any] = {}  # what stands in for a cache, by its alias
        self.kept: list[Any] = []  # values that are not copied
        self.sites: dict[str, Any] | None = None  # the globals of Django's Site manager


class Isolation:
    """The caches of a batch, while its code runs.

    :param own_queries: a context manager for the queries that auditrepr sends for a cache.
    """

    def __init__(self, own_queries: OwnQueries = nullcontext) -> None:
        self.own_queries = own_queries
        self.keeps = False  # what is put into a cache; else it is forgotten at once
        self.store: Store | None = None  # of most events nothing is asked for it
        self.types: dict[str, Any] | None = None  # content types are the same at every event

    def begin(self) -> None:
        """Start the code of an event, with empty caches."""
        self.keeps = True
        self.store = None

    def end(self) -> None:
        """Forget what is put into caches from now on: no event's code runs."""
        self.keeps = False
        self.store = None

    def now(self) -> Store:
        """Return what the running code may see, and add to."""
        if self.store is None and self.keeps:
            self.store = Store()
        return self.store or Store()


#: Threads and tasks that Django and asyncio start on behalf of the code of an event inherit it.
isolation_now: ContextVar[Isolation | None] = ContextVar("auditrepr_isolation", default=None)
current = isolation_now.get
