"""Imports the events of other audit logs, so that old and new are read in one place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error, connections

from ... import capture
from ...exceptions import AuditReprError, MayNotImport, SourceUnreadable, UnknownSource
from ...job import importing, logs
from ...job.importing import Imported, Request
from ...job.importing.running import BATCH_SIZE
from ...job.rights import explained, refused
from ...utils.phrases import counted
from ...utils.table_names import model_labeled
from ...utils.text import one_line, visible
from ..dry_run import described, table
from ..importing import about, about_abandoned, about_erasures, about_left_out
from ..locking import LOCKS, add_lock, chosen_lock
from ..options import add_database, database_alias, listed, moment, number_upto, one_of, seconds
from ..progress import progress_bar
from ..signals import stopping_on_signals
from ..terminal import TerminalCommand, retries_shown
from ..usage import USAGE, check_exclusive, check_options

#: A batch is one transaction, and its events are built in no other.
batch_size = number_upto(1_000_000)


#: The options to check here, too: call_command() passes them unchecked.
CHECKED: dict[str, Callable[[Any], Any]] = {
    "database": database_alias,
    "until": moment,
    "batch_size": batch_size,
    "wait": seconds,
    "lock": one_of(LOCKS),
}


class Command(TerminalCommand):
    help = (
        "Import the events of other audit logs, or of a table of your own that"
        ' AUDITREPR["SOURCES"] names. They come before all events of the log, and backfill_reprs'
        " stores their representations as for any other. See docs/import.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("sources", nargs="+", metavar="SOURCE", help="Log to import. Several are merged.")
        add(
            "--dry-run",
            action="store_true",
            help="Show what would be imported, sample events, and any obstacles.",
        )
        _add_events(parser)
        add(
            "--abandon",
            action="store_true",
            help="End an interrupted import with the events that it has imported.",
        )
        add_database(parser, "Database that holds both logs.")
        add(
            "--batch-size",
            type=batch_size,
            default=BATCH_SIZE,
            metavar="EVENTS",
            help="Events imported in one transaction. Default: %(default)s.",
        )
        add_lock(parser, "Lock shared with backfill_reprs, which cannot run meanwhile.")
        add("--no-progress", action="store_true", help="Do not show a progress bar.")

    def handle(self, *, sources: list[str], dry_run: bool, abandon: bool, **options: Any) -> None:
        self.verbosity = options["verbosity"]
        check_options(options, CHECKED, required={"database", "batch_size", "wait", "lock"})
        given = {"dry_run": dry_run, "abandon": abandon}
        check_exclusive(given, "dry_run", "abandon")
        using = options["database"]
        names = list(dict.fromkeys(sources))
        request = Request(using, names, options["until"], _models(options["models"]))
        try:
            capture.databases(using)
            if dry_run:
                self._preview(request)
                return
            with stopping_on_signals() as received, retries_shown():
                work = self._abandon if abandon else self._import
                work(request, options, lambda: bool(received))
        except UnknownSource as error:
            raise CommandError(visible(str(error)), returncode=USAGE) from error
        except (AuditReprError, Error) as error:
            raise CommandError(visible(_explained(error, using))) from error
        if received:
            sys.exit(128 + received[0])

    def _import(self, request: Request, options: dict[str, Any], stop: Callable[[], bool]) -> None:
        show = self.verbosity >= 1 and not options["no_progress"]
        with progress_bar(show=show, done="imported") as on_progress:
            done = importing.run(
                request,
                lock=chosen_lock(request.using, options, stop),
                batch_size=options["batch_size"],
                on_progress=on_progress,
                stop=stop,
            )
        self._report(request, done)

    def _abandon(self, request: Request, options: dict[str, Any], stop: Callable[[], bool]) -> None:
        ended = importing.abandon(request, lock=chosen_lock(request.using, options, stop))
        for line in about_abandoned(logs.named(request.using), ended):
            self._say(line)
        if ended.events:
            self._warn_of_erasures(request)

    def _report(self, request: Request, done: Imported) -> None:
        named = logs.named(request.using)
        self._say(f"{named}: Imported {counted(done.events, 'event')}.")
        for line in about_left_out(done):
            self._say(line)
        if done.left:
            self._say(f"{counted(done.left, 'event')} are left. Repeat the command to continue.")
        elif done.events:
            self._say("backfill_reprs stores their representations.")
        if done.events:
            self._warn_of_erasures(request)

    def _warn_of_erasures(self, request: Request) -> None:
        """Say at any verbosity that what was erased may be back."""
        for line in about_erasures(importing.erasures(request.using)):
            self.stderr.write(visible(line))

    def _preview(self, request: Request) -> None:
        found = importing.forecast(request)
        for line in about(logs.named(request.using), found):
            self._say(line)
        rows = [described(one.event, one.outcome, request.using) for one in found.shown]
        if rows:
            self._say("\nThe latest events, as they would read:")
        for line in table(rows):
            self._say(line)
        erasures = list(about_erasures(importing.erasures(request.using)))
        for line in [*([""] if erasures else []), *erasures]:
            self._say(line)
        if found.refusals:
            reasons = "\n".join(f"- {visible(str(one))}" for one in found.refusals)
            raise CommandError(f"This import would be refused:\n{reasons}")

    def _say(self, text: str) -> None:
        if self.verbosity >= 1:
            self.stdout.write(visible(text) if "\n" not in text else text)


def _explained(error: BaseException, using: str) -> str:
    """Return the error as one line; if a right is missing, with the role that has it."""
    cause = error.__cause__ if isinstance(error, SourceUnreadable) else error
    if cause is None or not refused(cause, using):
        return explained(error, using)
    role = connections[using].settings_dict["USER"]
    return str(MayNotImport(alias=using, role=role, reason=one_line(cause).rstrip(".")))


def _models(labels: Any) -> list[Any]:
    """Return the models.

    :raises CommandError: with exit code 2, if one is not installed.
    """
    try:
        return [model_labeled(str(label)) for label in listed(labels or [])]
    except LookupError as error:
        message = f"argument --model: {error.args[0]}"
        raise CommandError(visible(message), returncode=USAGE) from error


def _add_events(parser: CommandParser) -> None:
    """Add the options that limit which events are imported."""
    add = parser.add_argument
    add(
        "--until",
        type=moment,
        metavar="TIME",
        help="Import only events from before this time (ISO 8601). Default: when auditrepr's"
        " own log begins. Later events cannot be imported afterwards.",
    )
    add(
        "--model",
        action="append",
        dest="models",
        metavar="MODEL",
        help="Import only events of this model, such as shop.Order; may be repeated. Others of the"
        " same time cannot be imported afterwards.",
    )
