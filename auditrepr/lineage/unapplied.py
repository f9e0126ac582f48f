"""Finds migrations that the code has and a database has not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime
from importlib import import_module
from pkgutil import iter_modules

from django.apps import apps
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    NodeNotFoundError,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from ..exceptions import MigrationsUnreadable
from ..tracking import tracked_tables
from ..utils.table_names import log_name
from ..utils.text import one_line
from .migrations import made_by

Applied = Collection[tuple[str, str]]  # app labels and names


def recorded(connection: BaseDatabaseWrapper) -> Applied:
    """Return the migrations that are applied.

    A direct query: Django would list all tables of the database first, which is most of the cost of
    a run with nothing to do.
    """
    recorder = MigrationRecorder(connection)
    within = connection.in_atomic_block  # where an error must not break what is around
    try:
        with transaction.atomic(connection.alias) if within else nullcontext():
            return set(recorder.migration_qs.values_list("app", "name"))
    except Error:  # the table does not exist yet, or another error, which recurs here
        return set(recorder.applied_migrations())


def needed(using: str) -> set[str]:
    """Return the apps whose migrations the job needs: auditrepr, and those of audited models."""
    return {"auditrepr", *(table.model._meta.app_label for table in tracked_tables(using))}


def pending(app_labels: Collection[str], known: Applied) -> set[str]:
    """Return the migrations of these apps, and their dependencies, that are not applied.

    If all that the apps have on disk are applied, so are their dependencies, and none is imported:
    that of a large project takes longer than a run with nothing to do.

    :raises MigrationsUnreadable: if Django cannot load the migrations, and some are not applied.
    """
    if all((label, name) in known for label in app_labels for name in _on_disk(label)):
        return set()
    loader = _loader()

    def applied(key: tuple[str, str]) -> bool:
        replaced = loader.disk_migrations[key].replaces if key in loader.disk_migrations else ()
        return key in known or (bool(replaced) and all(map(applied, replaced)))

    return {
        f"{app_label}.{name}"
        for target in loader.graph.leaf_nodes()
        if target[0] in app_labels
        for app_label, name in loader.graph.forwards_plan(target)
        if not applied((app_label, name))
    }


def apps_of(names: Iterable[str]) -> str:
    """Return the apps of these migrations, for a message: a project has too many to name each."""
    return ", ".join(sorted({name.partition(".")[0] for name in names}))


def _on_disk(app_label: str) -> Iterator[str]:
    """Yield the names of the app's migrations, as Django's loader would find them."""
    module_name, explicit = MigrationLoader.migrations_module(app_label)
    if module_name is None:
        return
    try:
        package = import_module(module_name)
    except ImportError as error:
        if explicit or error.name != module_name:
            yield ""  # no such migration is applied: the loader says what is wrong
        return
    for module in iter_modules(getattr(package, "__path__", ())):
        if not module.ispkg and module.name[0] not in "_~":
            yield module.name


def has_pending(app_label: str, known: Applied) -> bool:
    """Return whether this app has migrations that are not applied."""
    try:
        return bool(pending([app_label], known))
    except MigrationsUnreadable:
        return False  # every other command says so


def leaving(using: str, known: Applied) -> set[str]:
    """Return the tables that a pending migration renames or deletes, by their names in the log.

    Code that is still running writes to them.
    """
    try:
        loader = _loader()
    except MigrationsUnreadable:
        return set()  # every other command says so
    at = dict.fromkeys(known, datetime.min)
    made = made_by(loader, at, connections[using])
    models = apps.get_models(include_auto_created=True)
    return made - {log_name(model._meta.db_table) for model in models}


def _loader() -> MigrationLoader:
    try:
        return MigrationLoader(None)
    except (BadMigrationError, CircularDependencyError, NodeNotFoundError) as error:
        raise MigrationsUnreadable(reason=one_line(error)) from error
