"""System checks of settings, triggers and databases; ``docs/checks.md`` lists their IDs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db import Error as DatabaseError

from . import capture
from .capture import append_only
from .capture.state import State, Status
from .conf import get_settings
from .exceptions import (
    AuditReprError,
    InvalidSetting,
    KeyExcluded,
    OwnTable,
    UnknownColumn,
    UnknownModel,
    UnsupportedDatabase,
)
from .models import AuditLog
from .tracking import tracked_tables
from .utils.text import one_line
from .vendors import get_vendor, supports

IDS = {
    InvalidSetting: "auditrepr.E001",
    UnknownModel: "auditrepr.E002",
    UnknownColumn: "auditrepr.E003",
    KeyExcluded: "auditrepr.E004",
    OwnTable: "auditrepr.E005",
}
#: Directories that the system cleans up.
CLEANED = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108


def register() -> None:
    """Register the checks for ``manage.py check`` and ``migrate``."""
    checks.register(check_settings)
    checks.register(check_lock_file)
    checks.register(check_databases, Tags.database)


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check that MODELS, EXCLUDE and @track name existing models and fields."""
    try:
        tracked_tables(DEFAULT_DB_ALIAS)
    except tuple(IDS) as error:
        return [
            Error(str(error), id=next(IDS[kind] for kind in type(error).__mro__ if kind in IDS))
        ]
    return []


def check_lock_file(**_: Any) -> list[CheckMessage]:
    """Check that the lock file is not in a directory that the system cleans up."""
    try:
        file = get_settings().LOCK_FILE
    except InvalidSetting:
        return []  # check_settings says so
    cleaned = {folder.resolve() for folder in (*CLEANED, Path(tempfile.gettempdir()))}
    if file is None or cleaned.isdisjoint(file.resolve().parents):
        return []
    return [
        checks.Warning(
            f'AUDITREPR["LOCK_FILE"] ({file}) is in a directory that the system cleans up. If the'
            " file is deleted during a run, a second run can start.",
            hint="Use a persistent directory such as /var/lib, or remove LOCK_FILE.",
            id="auditrepr.W004",
        )
    ]


def check_databases(databases: Collection[str] | None, **_: Any) -> list[CheckMessage]:
    """Check that all audited tables in these databases are captured."""
    return [message for using in databases or () for message in _looked_at(using)]


def _looked_at(using: str) -> list[CheckMessage]:
    try:
        return list(_check_database(using))
    except (AuditReprError, DatabaseError) as error:
        said = one_line(error)
        return [
            checks.Warning(
                f'Could not check the audit triggers in database "{using}": {said}',
                hint=f"Fix this, then run: manage.py check --database {using}",
                id="auditrepr.W006",
            )
        ]


def _check_database(using: str) -> Iterator[CheckMessage]:
    try:
        names = [table.name for table in tracked_tables(using)]
    except AuditReprError:
        return  # check_settings says so
    if not names:
        return
    if not supports(connections[using]):
        yield from _unsupported(using)
    elif not capture.holds_log(using):
        yield from _without_log(using, names)
    else:
        states = capture.inspect(using)
        yield from _broken(using, states)
        yield from _left_out(using, states)
        yield from _sequence(using)
        yield from _not_append_only(using)


def _unsupported(using: str) -> Iterator[CheckMessage]:
    if router.allow_migrate_model(using, AuditLog):
        yield Error(
            str(UnsupportedDatabase(alias=using, vendor=connections[using].display_name)),
            hint="Exclude auditrepr from this database: return False from allow_migrate() in a"
            " database router.",
            id="auditrepr.E006",
        )


def _without_log(using: str, names: Collection[str]) -> Iterator[CheckMessage]:
    there = sorted(get_vendor(using).shapes(names))
    if not there:
        return
    hint = "Allow auditrepr's tables in this database in your router's allow_migrate()."
    if router.allow_migrate_model(using, AuditLog):
        if _is_being_migrated():
            return
        hint = f"Run: manage.py migrate --database {using}"
    yield checks.Warning(
        f'Database "{using}" has no audit log, so changes to {", ".join(there)} are not recorded.',
        hint=hint,
        id="auditrepr.W003",
    )


def _is_being_migrated() -> bool:
    """Return whether ``manage.py migrate``, which runs the checks first, will create the log."""
    command, *options = [*sys.argv[1:], ""]
    others = {config.label for config in apps.get_app_configs()} - {AuditLog._meta.app_label}
    return command == "migrate" and others.isdisjoint(options)


def _broken(using: str, states: Collection[State]) -> Iterator[CheckMessage]:
    broken = [f"{s.name} ({s.status.value})" for s in states if s.status in capture.BROKEN]
    if broken:
        yield checks.Warning(
            f'Database "{using}" has broken audit triggers; changes may go unrecorded:'
            f" {', '.join(broken)}.",
            hint=f"Run: manage.py audit_triggers install --database {using}",
            id="auditrepr.W001",
        )


def _left_out(using: str, states: Collection[State]) -> Iterator[CheckMessage]:
    names = [state.name for state in states if state.status is Status.UNSUPPORTED]
    if names:
        yield checks.Warning(
            f'Database "{using}": {", ".join(names)} cannot be audited: views and foreign tables'
            " are not supported.",
            hint="Audit the underlying tables, or stop auditing these models.",
            id="auditrepr.W002",
        )


def _sequence(using: str) -> Iterator[CheckMessage]:
    cache = get_vendor(using).sequence_cache()
    if cache > 1:
        table = AuditLog._meta.db_table
        yield Error(
            f'Database "{using}": the ID sequence of the audit log has CACHE {cache}, so IDs do'
            " not show the order of events.",
            hint=f"Run in that database: ALTER TABLE {table} ALTER COLUMN id SET CACHE 1;",
            id="auditrepr.E007",
        )


def _not_append_only(using: str) -> Iterator[CheckMessage]:
    if append_only.missing(using):
        yield checks.Warning(
            f'Database "{using}": AUDITREPR["APPEND_ONLY"] is True, but the append-only triggers'
            " are missing or disabled.",
            hint=f"Run: manage.py audit_triggers install --database {using}",
            id="auditrepr.W005",
        )
