"""What has to be so before the job touches a database."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.db.migrations.loader import MigrationLoader

from .exceptions import DatabaseUnreachable, MigrationsPending
from .tracking import tracked_tables
from .vendors import get_vendor


def check(using: str) -> None:
    """Make sure that the database can be reached, and is migrated as far as the job needs it.

    What it needs is auditrepr's own tables, and the audited ones: a model that is ahead of its
    table would make every representation fail.

    :raises DatabaseUnreachable: if there is no connection.
    :raises MigrationsPending: if one of the migrations that it needs is not applied.
    :raises UnsupportedDatabase: if auditrepr does not work on this database.
    """
    get_vendor(using)
    connection = connections[using]
    try:
        connection.ensure_connection()
    except (Error, ImproperlyConfigured) as error:
        raise DatabaseUnreachable(alias=using, reason=" ".join(str(error).split())) from error
    loader = MigrationLoader(connection)
    needed = {"auditrepr", *(table.model._meta.app_label for table in tracked_tables(using))}
    pending = {
        f"{app_label}.{name}"
        for target in loader.graph.leaf_nodes()
        if target[0] in needed
        for app_label, name in loader.graph.forwards_plan(target)
        if (app_label, name) not in loader.applied_migrations
    }
    if pending:
        raise MigrationsPending(alias=using, names=", ".join(sorted(pending)))
