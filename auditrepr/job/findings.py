"""What is wrong with recording in one database: what should be in the log, and is not.

It is told wherever somebody may look, with what to run. A finding is told when it is first seen
and then once an hour, however many runs see it: who is told too often stops reading.
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
from ..capture import triggers
from ..capture.state import State, Status
from ..conf import get_settings
from ..exceptions import MigrationsPending, MigrationsUnreadable
from ..lineage import unapplied
from ..models import Checkpoint
from ..tracking import TrackedTable, tracked_tables
from ..vendors import Vendor, get_vendor
from ..vendors.types import Survey

#: Seconds that a query may take, and that a connection may besides.
LIMIT = 1.0
#: How often a finding is told while it lasts.
AGAIN = timedelta(hours=1)
#: Every deployment has a while between new code and ``migrate``.
DEPLOYMENT = timedelta(minutes=10)

#: The groups that findings are kept in.
RECORDING, MIGRATIONS = "recording", "migrations"
#: What else a finding may be of, besides a table with this status.
NO_LOG, CHANGEABLE = "no log", "not append-only"


@dataclass(frozen=True)
class Finding:
    """Something that keeps the log from being complete.

    :param kind: what it is; with the name, what it is kept as from one run to the next.
    :param patience: for how long nobody is told.
    :param once: whether it is not told again while it lasts.
    """

    kind: str
    name: str
    text: str
    remedy: str  # what to do
    patience: timedelta = timedelta()
    once: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind} {self.name}"

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}"


class Look(NamedTuple):
    """A database, looked at once."""

    states: list[State]
    findings: list[Finding]


def of(using: str) -> list[Finding]:
    """What is wrong with recording in this database: see :func:`look`."""
    return look(using).findings


def look(using: str) -> Look:
    """How every table stands, and what is wrong; one query, of no more than a second.

    :raises AuditReprError: if the settings cannot be read.
    :raises django.db.Error: if the database cannot be asked, or takes too long.
    """
    tables = tracked_tables(using)
    vendor = get_vendor(using)
    found = _survey(vendor, triggers.to_survey(tables))
    states = triggers.judged(vendor, tables, found)
    return Look(states, list(_found(using, tables, found, states)))


def at_hand(using: str) -> list[Finding]:
    """The same, from a process that may have no database: nothing, where it cannot be reached.

    A connection that is open is used; another one is made by a thread of its own, and given up
    if that takes too long.
    """
    connection = connections[using]
    if connection.connection is not None:
        with suppress(Exception):  # whatever a database's driver raises: there is none to be asked
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
    except Error:  # no migration was ever applied, or this role may not know
        if time.monotonic() - began >= LIMIT:
            raise
        with vendor.limited(LIMIT):
            return vendor.survey(names, migrations=False)


def _found(
    using: str, tables: Collection[TrackedTable], found: Survey, states: Collection[State]
) -> Iterator[Finding]:
    if triggers.LOG not in found.shapes:
        yield from _without_log(using, tables, found)
        return
    broken = [state for state in states if state.status in capture.BROKEN]
    changeable = get_settings().APPEND_ONLY and not found.append_only
    if broken or changeable:
        remedy = to_run(using, found.applied)
        yield from (_of_table(using, state, remedy) for state in broken)
        if changeable:
            text = f'Database "{using}": the audit log is not append-only.'
            yield Finding(CHANGEABLE, triggers.LOG, text, remedy)
    for state in states:
        if state.status is Status.UNSUPPORTED:
            yield _not_auditable(using, state, tables)


def _without_log(using: str, tables: Collection[TrackedTable], found: Survey) -> Iterator[Finding]:
    there = [table.name for table in tables if table.name in found.shapes]
    if there:
        listed = ", ".join(sorted(there))
        text = f'Database "{using}" has no audit log: changes to {listed} are not recorded.'
        remedy = "Keep auditrepr's tables there as well: that is up to your database router."
        if triggers.may_hold_log(using):
            remedy = "Run:" + str(triggers.without_log(using)).partition("Run:")[2]
        yield Finding(NO_LOG, "", text, remedy)


def _of_table(using: str, state: State, remedy: str) -> Finding:
    what = {
        Status.LEFTOVER: "are left over: it is recorded, although the settings leave it out.",
        Status.OUTDATED: "are outdated: what they record is not what the settings say.",
    }
    said = what.get(state.status, f"are {state.status.value}: changes to it are not recorded.")
    text = f'Database "{using}": {state.name}: its triggers {said}'
    return Finding(state.status.value, state.name, text, remedy)


def _not_auditable(using: str, state: State, tables: Collection[TrackedTable]) -> Finding:
    model = next(table.model for table in tables if table.name == state.name)
    text = (
        f'Database "{using}": {state.name} cannot be audited: views, foreign tables and virtual'
        " tables carry no triggers."
    )
    remedy = (
        "Audit the tables behind it, or leave its model out:"
        f' "-{model._meta.label}" in AUDITREPR["MODELS"].'
    )
    return Finding(state.status.value, state.name, text, remedy, once=True)


def to_run(using: str, applied: unapplied.Applied | None = None) -> str:
    """What puts triggers right: while migrations are pending, ``migrate``."""
    command = "audit_triggers install"
    with suppress(MigrationsUnreadable, Error):  # this role may not know
        known = unapplied.recorded(connections[using]) if applied is None else applied
        if unapplied.pending(unapplied.needed(using), known):
            command = "migrate"
    return f"Run: manage.py {command} --database {using}"


def of_migrations(error: MigrationsPending) -> Finding:
    """That migrations are pending, which every deployment has for a while."""
    text, _, command = str(error).partition(" Run: ")
    remedy = f"Until then nothing is represented. Run: {command}"
    return Finding(MIGRATIONS, "", text, remedy, patience=DEPLOYMENT)


def due(using: str, found: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """Those that are to be told now; keeps what was told when, and forgets what is over.

    :param found: what there is now, by group; groups that are not named stay as they are.
    :raises django.db.Error: if it cannot be kept.
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
    """Since when runs have found migrations pending, if for longer than a deployment takes."""
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
