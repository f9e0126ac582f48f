"""Finds what keeps the log of a database from being complete: what should be recorded and is not.

Findings are reported wherever users may look, each with the command to run.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import NamedTuple

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_noop as _

from ... import capture
from ...capture import inspection, partitions
from ...capture.state import State, Status
from ...conf import get_settings
from ...exceptions import MigrationsPending, MigrationsUnreadable
from ...lineage import unapplied
from ...tracking import TrackedTable, tracked_tables
from ...utils.phrases import Sentence
from ...vendors import Vendor, get_vendor
from ...vendors.capture_types import Kind, Survey
from .. import reports
from ..partitions import state as partition_state
from ..reports import Finding

#: Seconds that a query may take, and connecting as well.
LIMIT = 1.0
#: How long a deployment may take between new code and ``migrate``.
DEPLOYMENT = timedelta(minutes=10)

#: The kinds of findings, besides a table's status.
NO_LOG, CHANGEABLE, SWALLOWING = "no log", "not append-only", "events lost"

_BROKEN = {
    Status.MISSING: _(
        'Database "%(database)s": %(table)s: triggers are missing: changes are not recorded.'
    ),
    Status.DISABLED: _(
        'Database "%(database)s": %(table)s: triggers are disabled: changes are not recorded.'
    ),
    Status.OUTDATED: _(
        'Database "%(database)s": %(table)s: triggers are outdated: they do not record what the'
        " settings say."
    ),
    Status.LEFTOVER: _(
        'Database "%(database)s": %(table)s: triggers are left over: changes are recorded although'
        " it is not audited."
    ),
}
_UNGUARDED = _(
    'Database "%(database)s": %(table)s: triggers are missing on %(partitions)s: a TRUNCATE that'
    " names a partition is not recorded."
)
_CHANGEABLE = _(
    'Database "%(database)s": AUDITREPR["APPEND_ONLY"] is True, but the append-only triggers are'
    " missing or disabled."
)
_SWALLOWING = _('Database "%(database)s": the audit log may lose events because of %(cause)s.')
_END = _("As its owner, run there: %(statement)s")
_NO_LOG = _('Database "%(database)s" has no audit log, so changes to %(tables)s are not recorded.')
_ALLOW = _("Allow auditrepr's tables in this database in your router's allow_migrate().")
_UNSUPPORTED = _(
    'Database "%(database)s": %(table)s cannot be audited: views, foreign tables and virtual tables'
    " are not supported."
)
_LEAVE_OUT = _(
    'Audit the underlying table, or stop auditing this model: "-%(model)s" in AUDITREPR["MODELS"].'
)
_RUN = _("Run: %(command)s")


class Look(NamedTuple):
    """The state of a database's tables, and the findings."""

    states: list[State]
    findings: list[Finding]
    applied: unapplied.Applied | None  # migrations; None: this role may not read them


def of(using: str) -> list[Finding]:
    """Return the findings of this database: see :func:`look`."""
    return look(using).findings


def look(using: str) -> Look:
    """Return the state of every table, and the findings; one query, of no more than a second.

    :raises AuditReprError: if the settings are invalid.
    :raises django.db.Error: if the query fails, or takes too long.
    """
    tables = tracked_tables(using)
    vendor = get_vendor(using)
    found = _survey(vendor, inspection.to_survey(tables))
    states = inspection.judged(vendor, tables, found)
    return Look(states, list(_found(using, tables, found, states)), found.applied)


def at_hand(using: str) -> list[Finding]:
    """Return the findings, or none if the database cannot be reached at once.

    An open connection is used; otherwise a thread opens one, and is left alone if that takes too
    long.
    """
    connection = connections[using]
    if connection.connection is not None:
        with suppress(Exception):  # whatever the database's driver raises: it cannot be reached
            return of(using)
        return []
    found: list[Finding] = []
    connected = Event()
    thread = Thread(target=_ask_anew, args=(connection, connected, found), daemon=True)
    thread.start()
    if not connected.wait(2 * LIMIT):
        return []
    thread.join()  # a query has its own limit
    return found


def _ask_anew(known: BaseDatabaseWrapper, connected: Event, found: list[Finding]) -> None:
    try:
        settings = get_vendor(known.alias).hurried(known.settings_dict, LIMIT)
        if settings is not None:
            connection = known.copy()
            connection.settings_dict = settings
            connections[known.alias] = connection  # this thread's
            with closing(connection):
                connection.ensure_connection()
                connected.set()
                found += of(known.alias)
    except Exception:  # noqa: S110 - likewise
        pass
    finally:
        connected.set()


def _survey(vendor: Vendor, names: Collection[str]) -> Survey:
    began = time.monotonic()
    try:
        with vendor.limited(LIMIT):
            return vendor.survey(names, migrations=True)
    except Error:  # no migration was ever applied, or this role may not read them
        if time.monotonic() - began >= LIMIT:
            raise
        with vendor.limited(LIMIT):
            return vendor.survey(names, migrations=False)


def _found(
    using: str, tables: Collection[TrackedTable], found: Survey, states: Collection[State]
) -> Iterator[Finding]:
    if inspection.LOG not in found.shapes:
        yield from _without_log(using, tables, found)
        return
    broken = [state for state in states if state.status in capture.BROKEN]
    is_own = found.shapes[inspection.LOG].kind is not Kind.VIEW
    changeable = is_own and get_settings().APPEND_ONLY and not found.append_only
    if broken or changeable:
        remedy = to_run(using, found.applied)
        yield from (_of_table(using, state, remedy) for state in broken)
        if changeable:
            text = Sentence(_CHANGEABLE, database=using)
            yield Finding(CHANGEABLE, inspection.LOG, text, remedy)
    for one in found.swallowing:
        text = Sentence(_SWALLOWING, database=using, cause=one.cause)
        yield Finding(SWALLOWING, one.cause, text, Sentence(_END, statement=one.remedy))
    for state in states:
        if state.status is Status.UNSUPPORTED:
            yield _not_auditable(using, state, tables)


def _without_log(using: str, tables: Collection[TrackedTable], found: Survey) -> Iterator[Finding]:
    there = [table.name for table in tables if table.name in found.shapes]
    if there:
        listed = ", ".join(sorted(there))
        text = Sentence(_NO_LOG, database=using, tables=listed)
        remedy = Sentence(_ALLOW)
        if inspection.may_hold_log(using):
            command = str(inspection.without_log(using)).partition("Run: ")[2]
            remedy = Sentence(_RUN, command=command)
        yield Finding(NO_LOG, "", text, remedy)


def _of_table(using: str, state: State, remedy: Sentence) -> Finding:
    template, names = _BROKEN.get(state.status, _UNGUARDED), ""
    if state.installed:
        names = ", ".join(partitions.unguarded(state.installed))
    text = Sentence(template, database=using, table=state.name, partitions=names)
    return Finding(state.status.value, state.name, text, remedy)


def _not_auditable(using: str, state: State, tables: Collection[TrackedTable]) -> Finding:
    model = next(table.model for table in tables if table.name == state.name)
    text = Sentence(_UNSUPPORTED, database=using, table=state.name)
    remedy = Sentence(_LEAVE_OUT, model=model._meta.label)
    return Finding(state.status.value, state.name, text, remedy, once=True)


def to_run(using: str, applied: unapplied.Applied | None = None) -> Sentence:
    """Return what fixes the triggers: while migrations are pending, ``migrate``."""
    command = "migrate" if migrations(using, applied) else "audit_triggers install"
    return Sentence(_RUN, command=f"manage.py {command} --database {using}")


def migrations(using: str, applied: unapplied.Applied | None = None) -> tuple[str, ...]:
    """Return the migrations that the job needs and that are pending, as far as that is known.

    :param applied: those that are applied, if the caller knows them.
    """
    with suppress(MigrationsUnreadable, Error):  # a run says so; this role may not read them
        known = unapplied.recorded(connections[using]) if applied is None else applied
        return tuple(sorted(unapplied.pending(unapplied.needed(using), known)))
    return ()


def of_migrations_to_tell(using: str, error: MigrationsPending) -> list[Finding]:
    """Return what to report now of pending migrations.

    :raises MigrationsPending: if auditrepr's own tables do not exist.
    """
    try:
        return reports.due(using, {reports.MIGRATIONS: [of_migrations(error)]})
    except Error:
        raise error from None


def to_tell(using: str) -> list[Finding]:
    """Return what to report now of this database, whose migrations are applied."""
    with suppress(Error):  # the database has just ended it, or takes too long
        found = [*of(using), *partition_state.findings(using)]
        return reports.to_tell(using, {reports.RECORDING: found, reports.MIGRATIONS: []})
    return []


def of_migrations(error: MigrationsPending) -> Finding:
    """Return the finding for pending migrations, which every deployment has for a while."""
    text, _, command = str(error).partition(" Run: ")
    remedy = f"Until they are applied, no representation is stored. Run: {command}"
    return Finding(reports.MIGRATIONS, "", text, remedy, patience=DEPLOYMENT)


def migrations_since(using: str, applied: unapplied.Applied | None = None) -> datetime | None:
    """Return since when runs find migrations pending, if for longer than a deployment takes.

    :param applied: the migrations that are applied, if the caller knows them: if none is pending
        now, the next run notices.
    """
    if applied is not None and not migrations(using, applied):
        return None
    return reports.first_seen(using, reports.MIGRATIONS, DEPLOYMENT)
