"""Entering and leaving the isolation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from . import guards, hooks, query_caches
from .state import Isolation, OwnQueries, current, isolation_now


@contextmanager
def isolated(own_queries: OwnQueries = nullcontext) -> Iterator[Isolation]:
    """Hide the application's caches from code inside, which leaves nothing in them.

    What it puts into a cache is forgotten at once, except between `Isolation.begin` and
    `Isolation.end`.
    """
    isolation = Isolation(own_queries)
    query_caches.pass_by()
    with guards.raised():
        token = isolation_now.set(isolation)
        try:
            yield isolation
        finally:
            isolation_now.reset(token)


@contextmanager
def past() -> Iterator[None]:
    """Give code inside that uses objects from :func:`auditrepr.as_of` empty caches of its own.

    Put ``with auditrepr.past():`` around code that may read from a cache, or write to it, what is
    only true as of one moment: a block for each moment. Functions that code inside passes to
    ``transaction.on_commit()`` are called at the commit, with empty caches of their own.
    """
    with ExitStack() as stack:
        isolation = stack.enter_context(isolated())
        stack.enter_context(hooks.done_by(past))
        isolation.begin()
        yield


@contextmanager
def of_nobody() -> Iterator[None]:
    """Forget at once what code inside puts into caches: it runs for many events."""
    with _instead(keeps=False):
        yield


@contextmanager
def of_one_object() -> Iterator[None]:
    """Give code inside, which makes one object, empty caches of its own."""
    with _instead(keeps=True):
        yield


@contextmanager
def _instead(keeps: bool) -> Iterator[None]:
    isolation = current()
    if isolation is None:
        yield
        return
    outer = isolation.keeps, isolation.store
    isolation.keeps, isolation.store = keeps, None
    try:
        yield
    finally:
        isolation.keeps, isolation.store = outer
