"""System checks of settings, triggers and databases; ``docs/checks.md`` lists their IDs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags
from django.db import Error as DatabaseError
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string

from . import capture
from .attribution import AuditContextMiddleware
from .capture import attachment, inspection
from .capture.state import Status
from .conf import get_settings
from .exceptions import (
    AuditReprError,
    IndexesMissing,
    InvalidSetting,
    SettingsOfOwnLog,
    UnsupportedDatabase,
    ViewMissing,
)
from .job.monitoring import findings
from .job.monitoring.findings import CHANGEABLE, NO_LOG, SWALLOWING
from .job.partitions import state as partition_state
from .job.partitions.state import BOUNDED, FEW_AHEAD
from .job.reports import Finding
from .models import AuditLog
from .tracking import problems, tracked_tables
from .utils.text import one_line
from .vendors import get_vendor, supports

WARNINGS = {
    Status.UNSUPPORTED.value: "auditrepr.W002",
    NO_LOG: "auditrepr.W003",
    CHANGEABLE: "auditrepr.W005",
    FEW_AHEAD: "auditrepr.W007",
    BOUNDED: "auditrepr.W008",
    SWALLOWING: "auditrepr.W010",
}
BROKEN = {status.value for status in capture.BROKEN}
#: Directories that the system cleans up.
CLEANED = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108


def register() -> None:
    """Register the checks for ``manage.py check`` and ``migrate``."""
    checks.register(check_settings)
    checks.register(check_middleware)
    checks.register(check_lock_file)
    checks.register(check_time_zones)
    checks.register(check_databases, Tags.database)
    checks.register(check_recording)


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the settings and what ``@auditrepr.track`` was given, and report every problem."""
    return [Error(str(problem), id=problem.check_id) for problem in problems.problems()]


def check_middleware(**_: Any) -> list[CheckMessage]:
    """Check that what MIDDLEWARE names of auditrepr exists, and is there once."""
    return list(_of_middleware(django_settings.MIDDLEWARE or ()))


def _of_middleware(paths: Sequence[str]) -> Iterator[CheckMessage]:
    found = {path: _is_ours(path) for path in paths}
    for path, ours in found.items():
        if not ours and path.startswith(f"{AuditLog._meta.app_label}."):
            yield Error(
                f"MIDDLEWARE contains {path!r}, which is not a middleware of auditrepr.",
                hint='Use "auditrepr.AuditContextMiddleware".',
                id="auditrepr.E012",
            )
    named = [path for path in paths if found[path]]
    if len(named) > 1:
        yield checks.Warning(
            f"MIDDLEWARE contains auditrepr's middleware more than once ({', '.join(named)}), so"
            " one request can have several request IDs.",
            hint="Remove all but one of them.",
            id="auditrepr.W011",
        )


def _is_ours(path: str) -> bool:
    """Return whether the path leads to auditrepr's middleware, or to one that inherits from it."""
    try:
        found = import_string(path)
    except Exception:  # whatever the module raises: Django says so when it loads it
        return False
    return isinstance(found, type) and issubclass(found, AuditContextMiddleware)


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


def check_time_zones(**_: Any) -> list[CheckMessage]:
    """Check that Django reads the times of each log as what they are."""
    found = [one for one in connections.all() if inspection.may_hold_log(one.alias)]
    return [
        checks.Warning(
            f'DATABASES["{one.alias}"]["TIME_ZONE"] is {one.timezone_name!r}, but the times of the'
            " audit log are UTC. The database stores no time zones, so Django reads all times as"
            " those of that zone.",
            hint="Remove TIME_ZONE from the settings of this database.",
            id="auditrepr.W012",
        )
        for one in found
        if not one.features.supports_timezones and one.settings_dict["TIME_ZONE"] and not _utc(one)
    ]


def _utc(connection: BaseDatabaseWrapper) -> bool:
    return connection.timezone_name in ("UTC", "Etc/UTC")


def check_databases(databases: Collection[str] | None, **_: Any) -> list[CheckMessage]:
    """Check that all audited tables in these databases are captured."""
    if not apps.is_installed("auditrepr"):
        return []  # a test has other apps for a while, and still these checks
    return [message for using in databases or () for message in _looked_at(using)]


def check_recording(**_: Any) -> list[CheckMessage]:
    """Check the same in all other databases that can be reached: images are built without any."""
    if sys.argv[1:2] == ["migrate"] or check_settings():
        return []  # it installs what is missing; check_settings says so
    # Not from what checks are given: Django 6.1 gives them all, whichever are named.
    named = {argument.removeprefix("--database=") for argument in sys.argv[2:]}
    others = [using for using in connections if using not in named]
    audited = [
        using for using in others if inspection.may_hold_log(using) and tracked_tables(using)
    ]
    return [m for using in audited for m in _messages(using, findings.at_hand(using))]


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
    if check_settings() or not tracked_tables(using):
        return  # check_settings says so
    if not supports(connections[using]):
        yield from _unsupported(using)
        return
    has_log = capture.holds_log(using)
    if not has_log and inspection.may_hold_log(using) and _is_being_migrated():
        return
    yield from _messages(using, [*findings.of(using), *partition_state.findings(using)])
    if has_log:
        yield from _sequence(using)
        yield from _attached(using)


def _messages(using: str, found: Collection[Finding]) -> Iterator[CheckMessage]:
    """Yield a message for each finding, and one for all triggers that one command fixes."""
    broken = [finding for finding in found if finding.kind in BROKEN]
    if broken:
        listed = ", ".join(f"{finding.name} ({finding.kind})" for finding in broken)
        text = f'Database "{using}" has broken audit triggers; changes may go unrecorded: {listed}.'
        yield checks.Warning(text, hint=broken[0].remedy, id="auditrepr.W001")
    for finding in found:
        if finding.kind in WARNINGS:
            yield checks.Warning(finding.text, hint=finding.remedy, id=WARNINGS[finding.kind])


def _unsupported(using: str) -> Iterator[CheckMessage]:
    if router.allow_migrate_model(using, AuditLog):
        yield Error(
            str(UnsupportedDatabase(alias=using, vendor=connections[using].display_name)),
            hint="Exclude auditrepr from this database: return False from allow_migrate() in a"
            " database router.",
            id="auditrepr.E006",
        )


def _is_being_migrated() -> bool:
    """Return whether ``manage.py migrate``, which runs the checks first, will create the log."""
    command, *options = [*sys.argv[1:], ""]
    others = {config.label for config in apps.get_app_configs()} - {AuditLog._meta.app_label}
    return command == "migrate" and others.isdisjoint(options)


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


def _attached(using: str) -> Iterator[CheckMessage]:
    """Yield what is wrong with a log that is attached to another one."""
    found = attachment.attached(using)
    if found is None:
        return
    if named := attachment.own_settings():
        yield Error(
            str(SettingsOfOwnLog(alias=using, source=found.source, settings=named)),
            hint=f"Remove {named}, or run: manage.py audit_triggers detach --database {using}",
            id="auditrepr.E009",
        )
    problem = attachment.problem(using, found)
    if isinstance(problem, ViewMissing | IndexesMissing):
        yield checks.Warning(
            str(problem),
            hint=f"See: manage.py audit_triggers check --database {using}",
            id="auditrepr.W009",
        )
