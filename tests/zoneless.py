"""A project without time zones, for the time of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from auditrepr import capture


@contextmanager
def zoneless(settings: Any) -> Iterator[None]:
    """Let times have no zone, as with ``USE_TZ = False``, and be those of New York."""
    _set(settings, use_tz=False, time_zone="America/New_York")
    yield
    _set(settings, use_tz=True, time_zone="UTC")


def _set(settings: Any, *, use_tz: bool, time_zone: str) -> None:
    settings.USE_TZ, settings.TIME_ZONE = use_tz, time_zone
    connection.close()  # what the driver makes of times depends on it
    capture.install("default")
