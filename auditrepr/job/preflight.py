"""Checks what must be true before the job uses a database."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

from django.db import Error, connections, transaction

from .. import capture
from ..capture import inspection
from ..exceptions import (
    MigrationsPending,
    MigrationsUnrecorded,
    NothingCommitted,
    RowsHidden,
)
from ..lineage import unapplied
from ..vendors import get_vendor
from ..vendors.capture_types import Kind


class Found(NamedTuple):
    """What one query says of the log and its migrations."""

    log: bool  # whether there is one
    kind: Kind | None  # None if that query failed
    recorded: unapplied.Applied  # the migrations that are applied


def check(using: str) -> Kind | None:
    """Check that the database can be connected to, and is migrated as far as the job needs it.

    The job needs auditrepr's own tables and the audited ones: a model that is ahead of its table
    would make every representation fail.

    :returns: of what kind the log is; None if that is not known.
    :raises NothingCommitted: if the project's settings turn Django's transactions off.
    :raises DatabaseUnreachable: if there is no connection.
    :raises MigrationsUnreadable: if Django cannot load the migrations.
    :raises MigrationsUnrecorded: if the tables exist, but no record of migrations.
    :raises MigrationsPending: if a migration that the job needs is not applied.
    :raises LogElsewhere: if they are applied in another schema.
    :raises UnsupportedDatabase: if auditrepr does not support this database.
    """
    get_vendor(using)
    commits(using)
    inspection.connect(using)
    found = _found(using)
    if not found.log:
        raise inspection.without_log(using)
    if not found.recorded:
        raise MigrationsUnrecorded(alias=using)
    if pending := unapplied.pending(unapplied.needed(using), found.recorded):
        raise MigrationsPending(alias=using, apps=unapplied.apps_of(pending))
    return found.kind


def check_own_tables(using: str, cause: Error | None = None) -> None:
    """Check that auditrepr's own tables are those of this version.

    :param cause: the error that made it necessary to look.
    :raises MigrationsPending: if one of auditrepr's own migrations is not applied.
    """
    if names := unapplied.pending({"auditrepr"}, unapplied.recorded(connections[using])):
        raise MigrationsPending(alias=using, apps=unapplied.apps_of(names)) from cause


def sees_all(using: str) -> None:
    """Check that no policy hides events: what is emptied as a whole loses these, too.

    :raises RowsHidden: if one does.
    """
    if not get_vendor(using).reach().whole:
        raise RowsHidden(alias=using)


def _found(using: str) -> Found:
    """Return what there is, with one query."""
    within = connections[using].in_atomic_block  # where an error must not break what is around
    try:
        with transaction.atomic(using) if within else nullcontext():
            survey = get_vendor(using).survey([inspection.LOG], migrations=True, installed=False)
    except Error:  # no migration was ever applied, or another error, which recurs here
        return Found(capture.holds_log(using), None, unapplied.recorded(connections[using]))
    log = survey.shapes.get(inspection.LOG)
    return Found(log is not None, log.kind if log else None, survey.applied or ())


def commits(using: str) -> None:
    """Check that what is written is committed.

    :raises NothingCommitted: if it is not.
    """
    if not connections[using].settings_dict["AUTOCOMMIT"]:
        raise NothingCommitted(alias=using)
