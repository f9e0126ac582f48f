"""Lets code that runs as of an event read from the database of the log, not from a replica."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from django.db import router
from django.db.models import Model
from django.db.utils import ConnectionRouter

#: Marks the method that routes past replicas; a wrapper of it by functools.wraps has it, too.
_PAST_REPLICAS = "_past_replicas_of_auditrepr"

_reads: ContextVar[str | None] = ContextVar("reads", default=None)


@contextmanager
def reading_from(using: str) -> Iterator[None]:
    """Route reads inside to this database wherever the project's routers send the writes to it."""
    if router.routers and not hasattr(ConnectionRouter.db_for_read, _PAST_REPLICAS):
        setattr(ConnectionRouter, "db_for_read", _past_replicas(ConnectionRouter.db_for_read))  # noqa: B010
    token = _reads.set(using)
    try:
        yield
    finally:
        _reads.reset(token)


def _past_replicas(usual: Callable[..., str]) -> Callable[..., str]:
    @wraps(usual)
    def db_for_read(self: ConnectionRouter, model: type[Model], **hints: Any) -> str:
        found, using = usual(self, model, **hints), _reads.get()
        if using is None or found == using:
            return found
        writes_there = self.db_for_write(model, **hints) == using
        return using if writes_there and self.allow_migrate_model(using, model) else found

    setattr(db_for_read, _PAST_REPLICAS, True)
    return db_for_read
