"""Guards between code and what live code keeps, only while something runs as of an event.

At other times live code pays nothing for them; and while they are in place, they let live code
through.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from . import backends, identity_maps, process_caches

_lock = threading.Lock()
_users = 0
_undo: list[tuple[Any, str, Any, Any]] = []
_ABSENT = object()


@contextmanager
def raised() -> Iterator[None]:
    """Keep the guards in place, however many threads run as of an event."""
    global _users
    with _lock:
        if not _users:
            _raise()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _lower()


def _raise() -> None:
    try:
        every = backends.guards(), process_caches.guards(), identity_maps.guards()
        for owner, name, guard in chain(*every):
            _undo.append((owner, name, guard, vars(owner).get(name, _ABSENT)))
            setattr(owner, name, guard)
    except BaseException:
        _lower()
        raise


def _lower() -> None:
    while _undo:
        owner, name, guard, before = _undo.pop()
        if vars(owner).get(name) is not guard:
            continue  # other code has replaced it since
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
