"""Records auditrepr's migrations as not applied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

#: An app that does not exist.
ELSEWHERE = "elsewhere"


def pend(alias: str = "default") -> None:
    """Take auditrepr's migrations out of the record."""
    _applied(alias, "auditrepr").update(app=ELSEWHERE)


def migrated(alias: str = "default") -> None:
    """Put them back."""
    _applied(alias, ELSEWHERE).update(app="auditrepr")


@contextmanager
def unmigrated(alias: str = "default") -> Iterator[None]:
    """They are out of the record inside."""
    pend(alias)
    try:
        yield
    finally:
        migrated(alias)


def _applied(alias, app):
    return MigrationRecorder(connections[alias]).migration_qs.filter(app=app)
