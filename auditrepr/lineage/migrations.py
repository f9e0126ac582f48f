"""Reads from the project's migrations when tables and columns were renamed.

Django keeps no such history. But its migrations are on disk and the time at which each was applied
is in the database, so walking through the states of the project shows every name before and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from .migration_walk import Change, ColumnAdded, ColumnChanged, TableMade, TableRenamed, Walk


def changes(connection: BaseDatabaseWrapper) -> list[Change]:
    """Return all changes of names that were applied to this database, in their order.

    :raises Exception: whatever the project's migrations raise, if they cannot be loaded.
    """
    return [change for change in _applied(connection) if not isinstance(change, ColumnAdded)]


def added_columns(connection: BaseDatabaseWrapper) -> dict[str, dict[str, datetime]]:
    """Return when columns were added to tables that were there before, by their current names.

    :raises Exception: likewise.
    """
    found: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
    for change in _applied(connection):
        match change:
            case ColumnAdded(at, table, column):
                found[table][column] = at
            case ColumnChanged(_, table, old, new):
                at_first = found[table].pop(old, None)
                if at_first and new:
                    found[table][new] = at_first
            case TableRenamed(_, table, new_name):
                found[new_name] = found.pop(table, {})
            case TableMade(_, table):
                found[table] = {}
    return dict(found)


def _applied(connection: BaseDatabaseWrapper) -> list[Change | ColumnAdded]:
    loader = MigrationLoader(connection)
    recorded = MigrationRecorder(connection).applied_migrations()
    applied = {key: record.applied for key, record in recorded.items()}
    state = ProjectState(real_apps=loader.unmigrated_apps)
    found: list[Change | ColumnAdded] = []
    for key in _plan(loader):
        for migration in _parts(loader, loader.graph.nodes[key]):
            if at := _applied_at(migration, applied):
                for operation in migration.operations:
                    walk = Walk(at, migration.app_label, state, connection)
                    found += walk.operate(operation)
    return sorted(found, key=lambda change: change.at)


def made_by(
    loader: MigrationLoader,
    applied: Mapping[tuple[str, str], datetime],
    connection: BaseDatabaseWrapper,
) -> set[str]:
    """Return the tables that these migrations leave in place, by their names in the log.

    :raises Exception: whatever the project's migrations raise.
    """
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for key in _plan(loader):
        for migration in _parts(loader, loader.graph.nodes[key]):
            if _applied_at(migration, applied):
                for operation in migration.operations:
                    operation.state_forwards(migration.app_label, state)
    tables = Walk(datetime.min, "", state, connection).tables(list(state.models))
    return {table.name for table in tables.values()}


def _plan(loader: MigrationLoader) -> Iterable[tuple[str, str]]:
    """Return all migrations, each after those that it depends on."""
    plans = (loader.graph.forwards_plan(leaf) for leaf in loader.graph.leaf_nodes())
    return dict.fromkeys(key for plan in plans for key in plan)


def _parts(loader: MigrationLoader, migration: Migration) -> list[Migration]:
    """Return the migrations that this one has replaced, if all are still there, or itself."""
    replaced = [loader.disk_migrations.get(key) for key in migration.replaces]
    if not replaced or None in replaced:
        return [migration]
    return [part for one in replaced if one for part in _parts(loader, one)]


def _applied_at(
    migration: Migration, applied: Mapping[tuple[str, str], datetime]
) -> datetime | None:
    times = [applied[key] for key in migration.replaces if key in applied]
    own = applied.get((migration.app_label, migration.name))
    return own or (max(times) if len(times) == len(migration.replaces) and times else None)
