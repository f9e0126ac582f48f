"""Shows the state of the backfill job, and releases the lock of a hung run."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error

from ... import capture
from ...exceptions import AuditReprError, MigrationsPending
from ...job import logs, preflight
from ...job.locks import lease
from ...job.monitoring import status, summary, unread
from ...job.monitoring.status import JobStatus
from ...job.monitoring.unread import Unread
from ...job.rights import explained
from ...job.rounds import shares
from ...utils.phrases import counted
from ...utils.text import visible
from ..alarms import alarms_of, late
from ..errors import addressed, together
from ..options import add_databases, add_no_input, database_aliases, one_of
from ..status_formats.document import document
from ..status_formats.prometheus import metrics
from ..status_formats.text import lines
from ..terminal import TerminalCommand, answer, is_terminal
from ..usage import check_exclusive, check_options

#: Period in which failed events and lost coverage count, by default.
WINDOW = timedelta(hours=1)
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: Any) -> float:
    """Return the seconds in ``10m``, ``90s``, ``2h``, ``1d``, or in a bare number.

    :raises ArgumentTypeError: if the text is not a duration.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([smhd]?)", str(text))
    if not found:
        raise ArgumentTypeError(f"{str(text)!r} is not a duration: use 90s, 10m, 2h or 1d")
    return float(found[1]) * UNITS[found[2]]


#: The options to check here, too: call_command() passes them unchecked.
CHECKED: dict[str, Callable[[Any], Any]] = {
    "database": database_aliases,
    "max_lag": duration,
    "window": duration,
    "format": one_of(("text", "json", "prometheus")),
}


class Command(TerminalCommand):
    help = (
        "Show the state of the backfill job: pending events, watermark, lock, latest runs,"
        " failures, triggers and coverage. Writes nothing, except with --release-lock or --cancel."
        " Exit codes: 0 success; 1 error, broken triggers, migrations pending for more than ten"
        " minutes, coverage lost or events failed within --window, or the oldest pending event has"
        " waited longer than --max-lag; 2 wrong usage."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add_databases(parser)
        add(
            "--format",
            choices=("text", "json", "prometheus"),
            help="Output format. Default: text.",
        )
        add(
            "--max-lag",
            type=duration,
            metavar="10m",
            help="Exit with code 1 if the oldest pending event has waited longer than this: 90s,"
            " 10m, 2h, 1d.",
        )
        add(
            "--window",
            type=duration,
            metavar="1h",
            help="Period in which failed events and lost coverage count. Default: 1h.",
        )
        _add_actions(parser)
        add_no_input(parser)

    def handle(self, **options: Any) -> None:
        if "NO_COLOR" in os.environ:
            self.style = no_style()
        check_options(options, CHECKED)
        for shown in ("format", "max_lag", "window"):
            check_exclusive(options, "release_lock", "cancel", shown)
        aliases = options["database"] or logs.aliases()
        if options["release_lock"]:
            self._on_each(aliases, partial(self._release, interactive=options["interactive"]))
        elif options["cancel"]:
            self._on_each(aliases, self._cancel)
        else:
            self._show(aliases, options)

    def _on_each(self, aliases: Sequence[str], act: Callable[[str], None]) -> None:
        """Act on each database: an error of one does not concern the others."""
        errors: dict[str, str] = {}
        for using in aliases:
            try:
                act(using)
            except (AuditReprError, Error, CommandError) as error:
                errors[using] = explained(error, using)
        if errors:
            raise CommandError(together(aliases, errors))

    def _show(self, aliases: Sequence[str], options: dict[str, Any]) -> None:
        found: list[JobStatus | Unread] = []
        errors: dict[str, str] = {}
        alarms: list[str] = []
        for using in aliases:
            try:
                one, wrong = self._look(using, options)
                found.append(one)
                alarms += (visible(addressed(aliases, using, line)) for line in wrong)
            except (AuditReprError, Error) as error:
                errors[using] = explained(error, using)
                found.append(unread.of(using, error, errors[using]))
        getattr(self, f"_{options['format'] or 'text'}")(found)
        if errors:
            alarms.insert(0, together(aliases, errors))
        if alarms:
            raise CommandError("\n".join(alarms))

    def _look(self, using: str, options: dict[str, Any]) -> tuple[JobStatus | Unread, list[str]]:
        """Return the status of one database, or what is known of it, and its alarms."""
        try:
            found = status.of(using)
        except MigrationsPending as error:
            if not status.is_deploying(using):
                raise
            self.stderr.write(visible(str(error)))
            known = unread.of(using, error, str(error))
            return known, list(late(known.lag or 0, options["max_lag"]))
        window = WINDOW if options["window"] is None else timedelta(seconds=options["window"])
        return found, list(alarms_of(found, window, options["max_lag"]))

    def _text(self, found: Sequence[JobStatus | Unread]) -> None:
        """Print what could be read; standard error has the rest."""
        for n, one in enumerate(one for one in found if isinstance(one, JobStatus)):
            if n:
                self.stdout.write("")
            for line in lines(one):
                self.stdout.write(self.style.ERROR(line.text) if line.alarming else line.text)

    def _json(self, found: Sequence[JobStatus | Unread]) -> None:
        documents = [document(one) for one in found]
        self.stdout.write(json.dumps(documents, indent=2, cls=DjangoJSONEncoder))

    def _prometheus(self, found: Sequence[JobStatus | Unread]) -> None:
        self.stdout.write("\n".join(metrics(found)))

    def _release(self, using: str, interactive: bool) -> None:
        preflight.commits(using)
        capture.databases(using)
        held = summary.lease(using)
        if held is None:
            self.stdout.write(f"{logs.named(using)}: The database lock is not held.")
            return
        who = visible(str(held.holder or "an unknown process"))
        if interactive:
            self._confirm(using, who)
        if not lease.release(using, held.token):
            raise CommandError(
                f"The lock was not released: {who} is storing a batch, or has released it"
                " meanwhile. Check with: manage.py backfill_status"
            )
        self.stdout.write(
            f"{logs.named(using)}: Lock released. {who} can no longer store anything."
        )

    def _cancel(self, using: str) -> None:
        preflight.commits(using)
        capture.databases(using)
        preflight.check_own_tables(using)
        count = shares.void(using)
        left = f"{counted(count, 'share')} {'was' if count == 1 else 'were'} left"
        told = f"Canceled the round ({left})." if count else "There is no round."
        self.stdout.write(f"{logs.named(using)}: {told}")

    def _confirm(self, using: str, who: str) -> None:
        if not is_terminal(sys.stdin):
            raise CommandError(
                "Cannot ask for confirmation: there is no terminal. To release"
                " the lock anyway, use --no-input."
            )
        self.stdout.write(
            f"{logs.named(using)}: The lock is held by {who}."
            " Releasing it discards the batch that is not committed yet."
        )
        if answer("Release the lock? [y/N] ").lower() not in ("y", "yes"):
            raise CommandError("The lock was not released.")


def _add_actions(parser: CommandParser) -> None:
    """Add the options that change something, of which one run takes one."""
    act = parser.add_mutually_exclusive_group()
    act.add_argument(
        "--release-lock",
        action="store_true",
        help="Release the database lock of a hung run. That run can no longer store anything.",
    )
    act.add_argument(
        "--cancel",
        action="store_true",
        help="Cancel the round of several workers, so that they stop. What they have stored"
        " stays, and the next run does the rest.",
    )
