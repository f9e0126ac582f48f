"""Deletes old events: a deliberate act, that nothing else does."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error, connections

from ... import capture
from ...exceptions import AuditReprError
from ...job import prune
from ...job.locks.file import FileLock
from ...job.locks.lease import DatabaseLock
from ...job.prune import Pruned
from ...job.rights import explained
from ...utils.text import visible
from ..base import stopping_on_signals
from ..options import moment, seconds, whole_number
from ..terminal import TerminalCommand, answer, is_terminal

LOCKS = {"database": DatabaseLock, "file": FileLock}
#: Databases limit the parameters of a statement.
LARGEST_BATCH = 10_000


def batch_size(text: Any) -> int:
    """How many events go in one transaction."""
    size = whole_number(text)
    if size > LARGEST_BATCH:
        raise ArgumentTypeError(f"{text!r} is more than {LARGEST_BATCH}")
    return size


#: What call_command() passes as it is, so that it has to be checked here, too.
CHECKED = {"before": moment, "batch_size": batch_size, "wait": seconds}


class Command(TerminalCommand):
    help = (
        "Delete the events from before a date, with their representations. What objects were like"
        " before then can no longer be told; what they were like later is as certain as it was."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--before", required=True, type=moment, metavar="DATE", help="A date or a time, ISO.")
        add(
            "--keep-last",
            action="store_true",
            help="Keep the latest event of every object, however old it is.",
        )
        add("--dry-run", action="store_true", help="Say what would go; delete nothing.")
        add("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections), help="Its alias.")
        add(
            "--batch-size",
            type=batch_size,
            default=prune.BATCH_SIZE,
            metavar="EVENTS",
            help="Events deleted in one transaction. Default: %(default)s.",
        )
        add(
            "--lock",
            choices=LOCKS,
            default="database",
            help="The lock that backfill_reprs uses: it waits meanwhile.",
        )
        add("--wait", type=seconds, default=0.0, metavar="SECONDS", help="Wait for the lock.")
        add(
            "--no-input",
            "--noinput",
            action="store_false",
            dest="interactive",
            help="Do not ask for a confirmation.",
        )

    def handle(
        self, *, database: str, dry_run: bool, keep_last: bool, interactive: bool, **options: Any
    ) -> None:
        self.verbosity = options["verbosity"]
        self._check_options(options)
        try:
            capture.databases(database)
            if dry_run:
                found = prune.preview(database, options["before"], keep_last=keep_last)
                self._say(1, f"Nothing was deleted; {_told(found)} would go.")
                return
            if interactive:
                self._confirm(database, options["before"])
            with stopping_on_signals() as received:

                def stop() -> bool:
                    return bool(received)

                done = prune.prune(
                    database,
                    options["before"],
                    lock=LOCKS[options["lock"]](database, wait=options["wait"], stop=stop),
                    keep_last=keep_last,
                    batch_size=options["batch_size"],
                    on_batch=lambda done: self._say(2, _told(done)),
                    stop=stop,
                )
        except (AuditReprError, Error) as error:
            raise CommandError(visible(explained(error, database))) from error
        self._say(1, f"Deleted: {_told(done)}.")
        if received:
            sys.exit(128 + received[0])

    def _check_options(self, options: dict[str, Any]) -> None:
        for name, check in CHECKED.items():
            try:
                options[name] = check(options[name])
            except ArgumentTypeError as error:
                option = name.replace("_", "-")
                raise CommandError(f"argument --{option}: {error}", returncode=2) from error

    def _confirm(self, using: str, before: datetime) -> None:
        if not is_terminal(sys.stdin):
            raise CommandError("There is no terminal to ask on: give --no-input.")
        question = (
            f'This deletes every event from before {before} from the audit log of "{using}", for'
            " good.\nType 'yes' to go on: "
        )
        if answer(question) != "yes":
            raise CommandError("Nothing was deleted.")

    def _say(self, level: int, text: str) -> None:
        if self.verbosity >= level:
            self.stdout.write(text)


def _told(pruned: Pruned) -> str:
    return (
        f"{pruned.events} events up to id {pruned.last_id}, {pruned.representations}"
        f" representations and {pruned.failures} quarantine entries"
    )
