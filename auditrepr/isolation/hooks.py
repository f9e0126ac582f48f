"""Functions that code which runs as of an event passes to ``transaction.on_commit()``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any

from django.db import connections

Isolated = Callable[[], AbstractContextManager[Any]]


@contextmanager
def forgotten() -> Iterator[None]:
    """Drop them: they would be called when writes are no longer refused, nor caches isolated."""
    before = {one.alias: list(one.run_on_commit) for one in _connected()}
    try:
        yield
    finally:
        for connection in _connected():
            connection.run_on_commit = before.get(connection.alias, [])


@contextmanager
def done_by(isolated: Isolated) -> Iterator[None]:
    """Have them called inside of this context manager, whenever that is."""
    before = {one.alias: len(one.run_on_commit) for one in _connected()}
    try:
        yield
    finally:
        for connection in _connected():
            hooks = connection.run_on_commit
            for index in range(before.get(connection.alias, 0), len(hooks)):
                savepoints, done, *rest = hooks[index]
                hooks[index] = (savepoints, _inside(isolated, done), *rest)


def _connected() -> list[Any]:
    return list(connections.all(initialized_only=True))


def _inside(isolated: Isolated, done: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(done)
    def inside() -> None:
        with isolated():
            done()

    return inside
