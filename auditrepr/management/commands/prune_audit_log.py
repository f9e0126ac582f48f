"""Deletes old events; nothing else does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error

from ... import capture
from ...conf import get_settings
from ...exceptions import AuditReprError
from ...job import logs
from ...job.retention import prune
from ...job.retention.prune import Pruned
from ...job.rights import explained
from ...utils.phrases import counted, timestamp
from ...utils.text import visible
from ..locking import LOCKS, add_lock, chosen_lock
from ..options import (
    add_database,
    add_no_input,
    database_alias,
    moment,
    number_upto,
    one_of,
    seconds,
)
from ..signals import stopping_on_signals
from ..terminal import TerminalCommand, answer, is_terminal
from ..usage import USAGE, check_options

#: Databases limit the parameters of a statement.
batch_size = number_upto(10_000)


NOTHING_SAID = (
    "Say which events to delete: those before a date, with --before, or those that"
    ' AUDITREPR["RETENTION"] = {"shop.Cart": "90 days", "*": "7 years"} does not keep.'
)


#: The options to check here, too: call_command() passes them unchecked.
CHECKED = {
    "database": database_alias,
    "before": moment,
    "batch_size": batch_size,
    "wait": seconds,
    "lock": one_of(LOCKS),
}


class Command(TerminalCommand):
    help = (
        "Delete events older than a date, or than the settings keep them, with their"
        " representations and failures. Earlier states of objects can no longer be determined."
        " What that means for events that remain: docs/pruning.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--before",
            type=moment,
            metavar="DATE",
            help="Delete events before this date or time (ISO 8601). Default: those that"
            ' AUDITREPR["RETENTION"] does not keep.',
        )
        add(
            "--keep-last",
            action="store_true",
            help="Keep the latest event of every object, however old it is.",
        )
        add(
            "--ignore-seals",
            action="store_true",
            help="Prune also what is no longer what was sealed: verify_audit_log reports it for"
            " good. See docs/seal.md.",
        )
        add(
            "--dry-run", action="store_true", help="Show how much would be deleted; delete nothing."
        )
        add_database(parser, "Database to prune.")
        add(
            "--batch-size",
            type=batch_size,
            default=prune.BATCH_SIZE,
            metavar="EVENTS",
            help="Events deleted in one transaction. Default: %(default)s.",
        )
        add_lock(parser, "Lock shared with backfill_reprs, which cannot run meanwhile.")
        add_no_input(parser)

    def handle(self, *, dry_run: bool, keep_last: bool, interactive: bool, **options: Any) -> None:
        self.verbosity = options["verbosity"]
        check_options(options, CHECKED, required=CHECKED.keys() - {"before"})
        database = options["database"]
        if options["before"] is None and not get_settings().RETENTION:
            raise CommandError(NOTHING_SAID, returncode=USAGE)
        try:
            capture.databases(database)
            if dry_run:
                self._preview(database, options["before"], keep_last=keep_last)
                return
            if interactive:
                self._confirm(database, options["before"])
            with stopping_on_signals() as received:

                def stop() -> bool:
                    return bool(received)

                done = prune.prune(
                    database,
                    options["before"],
                    lock=chosen_lock(database, options, stop, of_run=False),
                    keep_last=keep_last,
                    ignore_seals=options["ignore_seals"],
                    batch_size=options["batch_size"],
                    on_batch=lambda done: self._say(2, _told(done)),
                    stop=stop,
                )
        except (AuditReprError, Error) as error:
            raise CommandError(visible(explained(error, database))) from error
        self._say(1, f"{logs.named(database)}: Deleted {_told(done)}.")
        if received:
            sys.exit(128 + received[0])

    def _preview(self, using: str, before: datetime | None, *, keep_last: bool) -> None:
        found = prune.preview(using, before, keep_last=keep_last)
        self._say(1, f"{logs.named(using)}: Would delete {_told(found)}.")
        for line in _by_entry(found):
            self._say(1, line)

    def _confirm(self, using: str, before: datetime | None) -> None:
        if not is_terminal(sys.stdin):
            raise CommandError(
                "Cannot ask for confirmation: there is no terminal. To delete"
                " anyway, use --no-input."
            )
        what = (
            f"all events before {timestamp(before)}"
            if before
            else 'all events that are older than AUDITREPR["RETENTION"] keeps them'
        )
        question = (
            f"This permanently deletes {what} from the audit log in {logs.named(using)}.\n"
            "Type 'yes' to continue: "
        )
        if answer(question) != "yes":
            raise CommandError("Nothing was deleted.")

    def _say(self, level: int, text: str) -> None:
        if self.verbosity >= level:
            self.stdout.write(text)


def _by_entry(pruned: Pruned) -> Iterator[str]:
    """Yield a line for each entry of RETENTION."""
    width = max(map(len, pruned.by_entry), default=0)
    for entry, number in pruned.by_entry.items():
        age = get_settings().RETENTION[entry]
        yield f"  {entry.ljust(width)}  {counted(number, 'event')} older than {age}"


def _told(pruned: Pruned) -> str:
    upto = f" up to ID {pruned.last_id}" if pruned.events else ""
    return (
        f"{counted(pruned.events, 'event')}{upto},"
        f" {counted(pruned.representations, 'representation')} and"
        f" {counted(pruned.failures, 'failure')}"
    )
