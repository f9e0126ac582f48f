"""Records auditrepr's migrations as not applied, or takes them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from auditrepr import capture

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


def own_migrations() -> list[str]:
    """The names of auditrepr's migrations, from the first to the last."""
    graph = MigrationLoader(None).graph
    (leaf,) = graph.leaf_nodes("auditrepr")
    return [name for app, name in graph.forwards_plan(leaf) if app == "auditrepr"]


@contextmanager
def at(name: str, alias: str = "default", *, audited: bool = False) -> Iterator[None]:
    """The tables are those of an earlier version inside, up to this migration.

    :param audited: whether what was audited still is, which takes several times as long: on SQLite,
        each change of a table takes all triggers away for once.
    """
    last = own_migrations()[-1]
    migrate = partial(call_command, "migrate", "auditrepr", database=alias, verbosity=0)
    if not audited:
        capture.remove(alias)
        migrate = partial(_migrate, alias)
    migrate(name)
    try:
        yield
    finally:
        migrate(last)
        capture.install(alias)


def _migrate(alias: str, name: str) -> None:
    """Migrate as ``migrate`` does, without models that have no migrations, and without signals."""
    executor = MigrationExecutor(connections[alias])
    executor.loader.unmigrated_apps = set()
    executor.migrate([("auditrepr", name)])
