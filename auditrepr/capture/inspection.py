"""Inspects which databases have a log, and how the triggers of every table stand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections, router

from ..exceptions import DatabaseUnreachable, LogElsewhere, LogKeptOut, MigrationsPending
from ..lineage import unapplied
from ..models import AuditLog
from ..tracking import TrackedTable, tracked_tables
from ..utils.table_names import log_name, model_for_table
from ..utils.text import one_line
from ..vendors import Vendor, get_vendor, supports
from ..vendors.capture_types import Capture, Installed, Kind, Survey, TableShape
from . import partitions
from .state import State, Status

LOG = log_name(AuditLog._meta.db_table)
FIRST_MIGRATION = f"{AuditLog._meta.app_label}.0001_initial"
#: The kinds of tables that can have triggers of ours.
AUDITABLE = (Kind.TABLE, Kind.PARTITIONED)


def databases(using: str | None = None, *, with_log: bool = True) -> list[str]:
    """Return the aliases to work on: `using`, or every database that has an audit log.

    :param with_log: leave out databases that have no audit log.
    :raises MigrationsPending: if none is left.
    :raises DatabaseUnreachable: if one of them cannot be connected to.
    """
    aliases = [using] if using else [alias for alias in connections if may_hold_log(alias)]
    found = [alias for alias in aliases if not with_log or holds_log(alias)]
    if not found:
        raise without_log(using or DEFAULT_DB_ALIAS)
    return found


def without_log(using: str) -> MigrationsPending:
    """Return the error for a database, or a schema of it, that has no audit log."""
    if not router.allow_migrate_model(using, AuditLog):
        return LogKeptOut(alias=using, remedy=_instead())
    if schema := schema_of(using):
        return LogElsewhere(alias=using, schema=schema)
    return MigrationsPending(alias=using, apps=AuditLog._meta.app_label)


def _instead() -> str:
    """Return what to do where a router keeps the log out of a database."""
    if others := ", ".join(alias for alias in connections if may_hold_log(alias)):
        return f"Choose one with a log: --database {others}."
    return "Let it return None or True for auditrepr in the databases that have audited models."


def schema_of(using: str) -> str:
    """Return the schema where the log is, or would be; empty if it is the usual one."""
    schema = get_vendor(using).log_schema()
    return "" if schema == "public" else schema


def holds_log(using: str) -> bool:
    """Return whether this database has auditrepr's tables.

    :raises DatabaseUnreachable: if it cannot be reached.
    """
    vendor = get_vendor(using)
    connect(using)
    return LOG in vendor.shapes([LOG])


def connect(using: str) -> None:
    """Connect to the database, if there is no connection yet.

    :raises DatabaseUnreachable: if that fails, also for an option that does not exist.
    """
    try:
        connections[using].ensure_connection()
    except (Error, ImproperlyConfigured, TypeError) as error:
        raise DatabaseUnreachable(alias=using, reason=one_line(error)) from error


def inspect(
    using: str, tables: Collection[TrackedTable] | None = None, *, outdated: bool = True
) -> list[State]:
    """Return the state of every tracked table, then of tables whose triggers are left over.

    The list is empty if the database has no audit log.

    :param tables: the tracked tables, if the caller knows them.
    :param outdated: see :func:`judged`.
    :raises UnsupportedDatabase: if auditrepr does not support this database.
    """
    vendor = get_vendor(using)
    if tables is None:
        tables = tracked_tables(using)
    found = vendor.survey(to_survey(tables), migrations=False)
    return judged(vendor, tables, found, outdated=outdated)


def to_survey(tables: Iterable[TrackedTable]) -> list[str]:
    """Return the names of the tables to survey, to judge these."""
    return [LOG, *(table.name for table in tables)]


def judged(
    vendor: Vendor, tables: Collection[TrackedTable], found: Survey, *, outdated: bool = True
) -> list[State]:
    """Return what :func:`inspect` returns, from what a survey has found.

    :param outdated: find triggers that would be made in another way now. It takes longer than
        everything else, because all their SQL is written. Otherwise they count as OK unless new
        ones would record more columns.
    """
    # A log that is attached to another one is a view, and has no triggers of ours.
    if LOG not in found.shapes or found.shapes[LOG].kind is Kind.VIEW:
        return []
    captures = {
        table.name: _capture(table, shape)
        for table in tables
        if (shape := found.shapes.get(table.name)) and shape.kind in AUDITABLE
    }
    written = {
        name: capture
        for name, capture in captures.items()
        if outdated or _reveals(capture, found.installed.get(name))
    }
    wanted = vendor.fingerprints(*written.values(), schema=found.schema)
    fingerprints = dict(zip(written, wanted, strict=True))
    names = [table.name for table in tables]
    states = [_state(n, found, captures.get(n), fingerprints.get(n)) for n in names]
    leftovers = sorted(found.installed.keys() - set(names))
    states += [State(name, Status.LEFTOVER, None, found.installed[name]) for name in leftovers]
    return _until_migrate(vendor, states, found.applied)


def may_hold_log(using: str) -> bool:
    """Return whether the database is supported, and no router keeps the log out of it."""
    return supports(connections[using]) and router.allow_migrate_model(using, AuditLog)


def _until_migrate(
    vendor: Vendor, states: list[State], applied: unapplied.Applied | None
) -> list[State]:
    """Return the states, with the tables that wait for a pending migration marked as such."""
    changing = [s for s in states if s.status is Status.LEFTOVER or _would_leak(s)]
    if not changing:
        return states
    known = unapplied.recorded(vendor.connection) if applied is None else applied
    leaving = unapplied.leaving(vendor.using, known)
    ahead = _ahead_of_table(changing, known)
    waits = {s.name for s in changing if s.name in leaving or s.name in ahead}
    return [replace(s, status=Status.WAITING) if s.name in waits else s for s in states]


def _would_leak(state: State) -> bool:
    """Return whether new triggers would record a column that the installed ones exclude."""
    return state.status is Status.OUTDATED and _reveals(state.capture, state.installed)


def _reveals(capture: Capture | None, installed: Installed | None) -> bool:
    """Return whether triggers made now would record a column that the installed ones exclude."""
    if capture is None or installed is None:
        return False
    there = {column.name for column in capture.shape.columns}
    return bool(installed.excluded & there - capture.excluded)


def _ahead_of_table(states: Iterable[State], applied: unapplied.Applied) -> set[str]:
    """Return the tables whose models have pending migrations."""
    models = {s.name: model_for_table(s.name) for s in states if s.capture}
    labels = {name: model._meta.app_label for name, model in models.items() if model}
    return {n for n, label in labels.items() if unapplied.has_pending(label, applied)}


def _state(name: str, found: Survey, capture: Capture | None, wanted: str | None) -> State:
    """Return the state of a tracked table whose triggers should have this fingerprint.

    :param wanted: None if any fingerprint will do.
    """
    installed = found.installed.get(name)
    if name not in found.shapes:
        return State(name, Status.ABSENT, None, installed)
    if capture is None:
        return State(name, Status.UNSUPPORTED)
    if installed is None or not installed.whole:
        return State(name, Status.MISSING, capture, installed)
    if not installed.enabled:
        return State(name, Status.DISABLED, capture, installed)
    if wanted is not None and installed.fingerprint != wanted:
        return State(name, Status.OUTDATED, capture, installed)
    guarded = not partitions.unguarded(installed)
    return State(name, Status.OK if guarded else Status.UNGUARDED, capture, installed)


def _capture(table: TrackedTable, shape: TableShape) -> Capture:
    # Between two migrations the model's key may not exist yet, or no longer.
    there = {column.name for column in shape.columns}.issuperset(table.key_columns)
    key = table.key_columns if there else shape.key_columns
    return Capture(table.name, table.db_table, shape, key, table.excluded)
