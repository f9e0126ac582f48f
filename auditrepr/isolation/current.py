"""Entering and leaving the isolation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from . import guards, hooks, query_caches
from .state import Isolation, OwnQueries, current, isolation_now


@contextmanager
def isolated(own_queries: OwnQueries = nullcontext) -> Iterator[Isolation]:
    """Code inside sees none of the application's caches, and leaves nothing in them.

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
    """Code inside that uses objects from :func:`auditrepr.as_of` has empty caches of its own.

    ``with auditrepr.past():`` around whatever may ask a cache for what is only true as of one
    moment, or put it there: a block for each moment. What is to be done on commit is still done,
    with caches of its own, too.
    """
    with ExitStack() as stack:
        isolation = stack.enter_context(isolated())
        stack.enter_context(hooks.done_by(past))
        isolation.begin()
        yield


@contextmanager
def of_nobody() -> Iterator[None]:
    """What code inside puts into caches is forgotten at once: it runs for many events."""
    with _instead(keeps=False):
        yield


@contextmanager
def of_one_object() -> Iterator[None]:
    """Code inside, which makes one object, has empty caches of its own."""
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
