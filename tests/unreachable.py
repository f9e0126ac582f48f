"""Makes a database impossible to connect to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

NOWHERE = {"sqlite": {"NAME": "/nonexistent/file"}, "postgresql": {"HOST": "/nonexistent"}}


@contextmanager
def unreachable(alias: str, **settings: Any) -> Iterator[None]:
    """The database with this alias is nowhere to be found inside.

    :param settings: where it is looked for, if that matters.
    """
    there = connections[alias]
    broken = there.copy()
    broken.settings_dict |= settings or NOWHERE[there.vendor]
    connections[alias] = broken
    try:
        yield
    finally:
        connections[alias] = there
