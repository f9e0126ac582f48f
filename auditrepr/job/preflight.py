"""Checks what must be true before the job uses a database."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    NodeNotFoundError,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from ..capture.triggers import holds_log
from ..exceptions import (
    DatabaseUnreachable,
    MigrationsPending,
    MigrationsUnreadable,
    MigrationsUnrecorded,
    NothingCommitted,
)
from ..tracking import tracked_tables
from ..utils.text import one_line
from ..vendors import get_vendor


def check(using: str) -> None:
    """Check that the database can be connected to, and is migrated as far as the job needs it.

    The job needs auditrepr's own tables and the audited ones: a model that is ahead of its table
    would make every representation fail.

    :raises NothingCommitted: if the project's settings turn Django's transactions off.
    :raises DatabaseUnreachable: if there is no connection.
    :raises MigrationsUnreadable: if Django cannot load the migrations.
    :raises MigrationsUnrecorded: if the tables exist, but no record of migrations.
    :raises MigrationsPending: if a migration that the job needs is not applied.
    :raises UnsupportedDatabase: if auditrepr does not support this database.
    """
    get_vendor(using)
    commits(using)
    connection = connections[using]
    try:
        connection.ensure_connection()
    except (Error, ImproperlyConfigured, TypeError) as error:  # as of an option that is none
        raise DatabaseUnreachable(alias=using, reason=one_line(error)) from error
    recorded = _recorded(connection)
    loader = _migrations()

    def applied(key: tuple[str, str]) -> bool:
        replaced = loader.disk_migrations[key].replaces if key in loader.disk_migrations else ()
        return key in recorded or (bool(replaced) and all(map(applied, replaced)))

    needed = {"auditrepr", *(table.model._meta.app_label for table in tracked_tables(using))}
    pending = {
        f"{app_label}.{name}"
        for target in loader.graph.leaf_nodes()
        if target[0] in needed
        for app_label, name in loader.graph.forwards_plan(target)
        if not applied((app_label, name))
    }
    if pending:
        raise MigrationsPending(alias=using, names=", ".join(sorted(pending)))


def _migrations() -> MigrationLoader:
    try:
        return MigrationLoader(None)
    except (BadMigrationError, CircularDependencyError, NodeNotFoundError) as error:
        raise MigrationsUnreadable(reason=one_line(error)) from error


def commits(using: str) -> None:
    """Check that what is written is committed.

    :raises NothingCommitted: if it is not.
    """
    if not connections[using].settings_dict["AUTOCOMMIT"]:
        raise NothingCommitted(alias=using)


def _recorded(connection: BaseDatabaseWrapper) -> Collection[tuple[str, str]]:
    """Return the migrations that are applied.

    A direct query: Django would list all tables of the database first, which is most of the cost of
    a run with nothing to do.
    """
    recorder = MigrationRecorder(connection)
    # In somebody else's transaction, as that of a test, an error must not be the end of it.
    safely = transaction.atomic(connection.alias) if connection.in_atomic_block else nullcontext()
    try:
        with safely:
            return set(recorder.migration_qs.values_list("app", "name"))
    except Error:  # the table does not exist yet, or another error, which recurs here
        applied = recorder.applied_migrations()
    if not applied and holds_log(connection.alias):
        raise MigrationsUnrecorded(alias=connection.alias)
    return applied
