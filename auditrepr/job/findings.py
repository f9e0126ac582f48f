"""Finds what keeps the log of a database from being complete: what should be recorded and is not.

Findings are reported wherever users may look, each with the command to run. The job reports one
when it first sees it and then once an hour, however many runs see it: what is repeated too often is
not read.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any, NamedTuple

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from .. import capture
from ..capture import inspection, partitions
from ..capture.state import State, Status
from ..conf import get_settings
from ..exceptions import MigrationsPending, MigrationsUnreadable
from ..lineage import unapplied
from ..models import Checkpoint
from ..tracking import TrackedTable, tracked_tables
from ..vendors import Vendor, get_vendor
from ..vendors.types import Survey

#: Seconds that a query may take, and connecting as well.
LIMIT = 1.0
#: How often a finding is reported while it lasts.
AGAIN = timedelta(hours=1)
#: How long a deployment may take between new code and ``migrate``.
DEPLOYMENT = timedelta(minutes=10)

#: The groups of findings; each is reported by itself.
RECORDING, MIGRATIONS = "recording", "migrations"
#: The kinds of findings, besides a table's status.
NO_LOG, CHANGEABLE = "no log", "not append-only"


@dataclass(frozen=True)
class Finding:
    """Something that keeps the log from being complete.

    :param kind: with the name, what identifies it from one run to the next.
    :param patience: how long it lasts before it is reported.
    :param once: report it only once while it lasts.
    """

    kind: str
    name: str
    text: str
    remedy: str  # what to do about it
    patience: timedelta = timedelta()
    once: bool = False

    @property
    def key(self) -> str:
        """Return what identifies it from one run to the next."""
        return f"{self.kind} {self.name}"

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}"


class Look(NamedTuple):
    """The state of a database's tables, and the findings."""

    states: list[State]
    findings: list[Finding]


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
    return Look(states, list(_found(using, tables, found, states)))


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
    changeable = get_settings().APPEND_ONLY and not found.append_only
    if broken or changeable:
        remedy = to_run(using, found.applied)
        yield from (_of_table(using, state, remedy) for state in broken)
        if changeable:
            text = (
                f'Database "{using}": AUDITREPR["APPEND_ONLY"] is True, but the append-only'
                " triggers are missing or disabled."
            )
            yield Finding(CHANGEABLE, inspection.LOG, text, remedy)
    for state in states:
        if state.status is Status.UNSUPPORTED:
            yield _not_auditable(using, state, tables)


def _without_log(using: str, tables: Collection[TrackedTable], found: Survey) -> Iterator[Finding]:
    there = [table.name for table in tables if table.name in found.shapes]
    if there:
        listed = ", ".join(sorted(there))
        text = f'Database "{using}" has no audit log, so changes to {listed} are not recorded.'
        remedy = "Allow auditrepr's tables in this database in your router's allow_migrate()."
        if inspection.may_hold_log(using):
            remedy = "Run:" + str(inspection.without_log(using)).partition("Run:")[2]
        yield Finding(NO_LOG, "", text, remedy)


def _of_table(using: str, state: State, remedy: str) -> Finding:
    what = {
        Status.LEFTOVER: "are left over: changes are recorded although it is not audited.",
        Status.OUTDATED: "are outdated: they do not record what the settings say.",
    }
    said = what.get(state.status, f"are {state.status.value}: changes are not recorded.")
    if state.status is Status.UNGUARDED and state.installed:
        listed = ", ".join(partitions.unguarded(state.installed))
        said = f"are missing on {listed}: a TRUNCATE that names a partition is not recorded."
    text = f'Database "{using}": {state.name}: triggers {said}'
    return Finding(state.status.value, state.name, text, remedy)


def _not_auditable(using: str, state: State, tables: Collection[TrackedTable]) -> Finding:
    model = next(table.model for table in tables if table.name == state.name)
    text = (
        f'Database "{using}": {state.name} cannot be audited: views, foreign tables and virtual'
        " tables are not supported."
    )
    remedy = (
        "Audit the underlying table, or stop auditing this model:"
        f' "-{model._meta.label}" in AUDITREPR["MODELS"].'
    )
    return Finding(state.status.value, state.name, text, remedy, once=True)


def to_run(using: str, applied: unapplied.Applied | None = None) -> str:
    """Return what fixes the triggers: while migrations are pending, ``migrate``."""
    command = "audit_triggers install"
    with suppress(MigrationsUnreadable, Error):  # this role may not read them
        known = unapplied.recorded(connections[using]) if applied is None else applied
        if unapplied.pending(unapplied.needed(using), known):
            command = "migrate"
    return f"Run: manage.py {command} --database {using}"


def of_migrations(error: MigrationsPending) -> Finding:
    """Return the finding for pending migrations, which every deployment has for a while."""
    text, _, command = str(error).partition(" Run: ")
    remedy = f"Until they are applied, no representation is stored. Run: {command}"
    return Finding(MIGRATIONS, "", text, remedy, patience=DEPLOYMENT)


def due(using: str, found: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """Return the findings to report now; note that they are, and forget those that are over.

    :param found: all findings there are now, by group; other groups stay as they are.
    :raises django.db.Error: if this cannot be stored.
    """
    if not any(found.values()) and not _kept(using).keys() & found.keys():
        return []
    now, told = timezone.now(), []
    with transaction.atomic(using):
        checkpoints = Checkpoint.objects.using(using).select_for_update()
        checkpoint = checkpoints.filter(pk=1).first() or Checkpoint(pk=1)
        for group, findings in found.items():
            before = checkpoint.findings.get(group, {})
            entries = {f.key: before.get(f.key, {"since": now.isoformat()}) for f in findings}
            for finding in findings:
                if _is_due(finding, entries[finding.key], now):
                    told.append(finding)
                    entries[finding.key] = {**entries[finding.key], "told": now.isoformat()}
            checkpoint.findings[group] = entries
        only = None if checkpoint._state.adding else ["findings"]
        checkpoint.save(using=using, update_fields=only)
    return told


def migrations_since(using: str) -> datetime | None:
    """Return since when runs find migrations pending, if for longer than a deployment takes."""
    for entry in _kept(using).get(MIGRATIONS, {}).values():
        since = datetime.fromisoformat(entry["since"])
        if timezone.now() - since >= DEPLOYMENT:
            return since
    return None


def _kept(using: str) -> dict[str, Any]:
    kept = Checkpoint.objects.using(using).filter(pk=1).values_list("findings", flat=True).first()
    return {group: entries for group, entries in (kept or {}).items() if entries}


def _is_due(finding: Finding, entry: Mapping[str, str], now: datetime) -> bool:
    told = entry.get("told")
    if told is not None:
        return not finding.once and now - datetime.fromisoformat(told) >= AGAIN
    return now - datetime.fromisoformat(entry["since"]) >= finding.patience
