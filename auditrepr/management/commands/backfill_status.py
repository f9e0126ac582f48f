"""How the job stands, on one screen and for monitoring; and the lock, in an emergency."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, Error, connections

from ... import capture
from ...exceptions import AuditReprError
from ...job import preflight, status
from ...job.locks import lease
from ...job.status import Status
from ...utils.text import visible
from .. import status_formats
from ..base import USAGE
from ..terminal import TerminalCommand, answer

#: How many tables are named on standard error, where recording has stopped for many.
MOST_ALARMS = 20
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: Any) -> float:
    """Seconds, from ``10m``, ``90s``, ``2h``, ``1d``, or a bare number of them.

    :raises ArgumentTypeError: if it is none of these.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([smhd]?)", str(text))
    if not found:
        raise ArgumentTypeError(f"{str(text)!r} is no span of time: write 10m, 90s, 2h or 1d")
    return float(found[1]) * UNITS[found[2]]


class Command(TerminalCommand):
    help = (
        "Show how the job stands: what is pending and since when, who is at work, the last runs,"
        " the quarantine, the triggers. Keeps nothing. Exit codes: 0; 1 if triggers are broken,"
        " migrations are pending for more than ten minutes, capture was interrupted or events"
        " failed within the --window, or the oldest pending row has waited for longer than"
        " --max-lag, and on an error; 2 usage."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="Default: %(default)s.")
        add("--format", choices=("text", "json", "prometheus"), default="text")
        add(
            "--max-lag",
            type=duration,
            metavar="10m",
            help="Exit 1 if the oldest pending row has waited for longer: 90s, 10m, 2h, 1d.",
        )
        add(
            "--window",
            type=duration,
            default=3600.0,
            metavar="1h",
            help="For how long events that failed, and coverage that was lost, count. Default: 1h.",
        )
        add(
            "--release-lock",
            action="store_true",
            help="Take the database lock from a run that hangs: it can store nothing more.",
        )
        add("--no-input", "--noinput", action="store_false", dest="interactive", help="Do not ask.")

    def handle(self, *, database: str, release_lock: bool, **options: Any) -> None:
        if "NO_COLOR" in os.environ:
            self.style = no_style()
        limit = options["max_lag"] and _checked("max-lag", options["max_lag"])
        window = timedelta(seconds=_checked("window", options["window"]))
        if database not in connections:
            known = ", ".join(connections)
            raise CommandError(f'There is no database "{visible(database)}" in DATABASES: {known}')
        try:
            if release_lock:
                self._release(database, options["interactive"])
                return
            found = status.of(database)
            alarms = list(_alarms(found, window, limit))
        except (AuditReprError, Error) as error:
            raise CommandError(visible(" ".join(str(error).split()))) from error
        getattr(self, f"_{options['format']}")(found)
        if alarms:
            raise CommandError("\n".join(map(visible, alarms)))

    def _text(self, found: Status) -> None:
        for line in status_formats.lines(found):
            self.stdout.write(self.style.ERROR(line.text) if line.alarming else line.text)

    def _json(self, found: Status) -> None:
        document = status_formats.document(found)
        self.stdout.write(json.dumps(document, indent=2, cls=DjangoJSONEncoder))

    def _prometheus(self, found: Status) -> None:
        self.stdout.write("\n".join(status_formats.metrics(found)))

    def _release(self, using: str, interactive: bool) -> None:
        preflight.commits(using)
        capture.databases(using)
        held = status.lease(using)
        if held is None:
            self.stdout.write("Nobody holds the database lock.")
            return
        who = visible(str(held.holder or "somebody"))
        if interactive:
            self._confirm(who)
        if not lease.release(using, held.token):
            raise CommandError(
                f"The lock was not released: {who} is storing a batch now, or has let it go."
                " Look again: manage.py backfill_status"
            )
        self.stdout.write(f"The lock is free. {who} can store nothing more.")

    def _confirm(self, who: str) -> None:
        if not sys.stdin.isatty():
            raise CommandError("Nobody is there to be asked: give --no-input to release the lock.")
        self.stdout.write(f"The lock is held by {who}. What it has not stored yet will be undone.")
        if answer("Release the lock? [y/N] ").lower() not in ("y", "yes"):
            raise CommandError("The lock was not released.")


def _checked(option: str, value: Any) -> float:
    """A span that call_command() may have passed as it is.

    :raises CommandError: with exit code 2.
    """
    try:
        return duration(value)
    except ArgumentTypeError as error:
        raise CommandError(f"argument --{option}: {error}", returncode=USAGE) from error


def _alarms(found: Status, window: timedelta, limit: float | None) -> Iterator[str]:
    """What somebody has to know: each of them makes the command fail."""
    lasting = [finding for finding in found.findings if not finding.once]
    yield from _first(map(str, lasting))
    if found.migrations_since:
        waited = status_formats.span((found.at - found.migrations_since).total_seconds())
        yield (
            f"Migrations have been pending for {waited}."
            f" Run: manage.py migrate --database {found.database}"
        )
    named = {finding.name for finding in lasting}
    yield from _first(
        f"{gap.table_name}: the log has a gap ({gap.get_reason_display()})."
        for gap in found.gaps
        if gap.table_name not in named
        and (gap.since_event is None or found.at - gap.recorded_at < window)
    )
    failed = status.recently_failed(found.database, window)
    if failed.rows:
        span = status_formats.span(window.total_seconds())
        yield f"{failed} events failed within {span}; the admin names them."
    if limit is not None and found.lag > limit:
        waited, allowed = status_formats.span(found.lag), status_formats.span(limit)
        yield f"The oldest pending row has waited for {waited}; --max-lag allows {allowed}."


def _first(lines: Iterable[str]) -> Iterator[str]:
    """As many as somebody reads."""
    every = list(lines)
    yield from every[:MOST_ALARMS]
    if len(every) > MOST_ALARMS:
        yield f"{len(every) - MOST_ALARMS} more like these: manage.py backfill_status"
