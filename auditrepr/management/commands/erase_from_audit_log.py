"""Erases a person: an object, or an actor."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error

from ... import capture
from ...exceptions import AuditReprError
from ...job import logs
from ...job.erasing.checking import check
from ...job.erasing.preview import preview
from ...job.erasing.run import BATCH_SIZE, erase
from ...job.erasing.target import Target
from ...job.rights import explained
from ...utils.text import visible
from ..erasing.asked import asked_of
from ..erasing.report import counts, forecast, outcome
from ..locking import LOCKS, add_lock, chosen_lock
from ..options import (
    add_database,
    add_no_input,
    database_alias,
    listed,
    number_upto,
    one_of,
    seconds,
    some,
)
from ..signals import stopping_on_signals
from ..terminal import TerminalCommand, answer, is_terminal
from ..usage import USAGE, check_exclusive, check_options

#: Events whose seals one transaction may have to check.
batch_size = number_upto(2_000)


def texts(given: Any) -> list[str]:
    """Return texts, of which none is blank.

    :raises ArgumentTypeError: if one is.
    """
    found = listed(given)
    if any(not str(text).strip() for text in found):
        raise ArgumentTypeError("a text is empty")
    return list(map(str, found))


#: The options to check here, too: call_command() passes them unchecked.
CHECKED = {
    "database": database_alias,
    "object": some,
    "actor": some,
    "columns": texts,
    "text": texts,
    "keep_text": texts,
    "batch_size": batch_size,
    "wait": seconds,
    "lock": one_of(LOCKS),
}
REQUIRED = ("database", "batch_size", "wait", "lock")


class Command(TerminalCommand):
    help = (
        "Erase a person from the audit log: the values of an object's events, or the contexts of an"
        " actor's, and what names them elsewhere, also in representations and errors. Needs the"
        " owner of the log. Exit codes: 0 success; 1 an"
        " error; 2 wrong usage; 128+n stopped by signal n: run it again. See docs/personal-data.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        _add_what(parser)
        _add_texts(parser)
        add = parser.add_argument
        add(
            "--ignore-seals",
            action="store_true",
            help="Erase also in what is no longer what was sealed: verify_audit_log reports it for"
            " good. See docs/seal.md.",
        )
        add("--dry-run", action="store_true", help="Show what would be erased; change nothing.")
        add_database(parser, "Database to erase in.")
        add(
            "--batch-size",
            type=batch_size,
            default=BATCH_SIZE,
            metavar="EVENTS",
            help="Events changed in one transaction. Default: %(default)s.",
        )
        add_lock(parser, "Lock shared with backfill_reprs, which cannot run meanwhile.")
        add_no_input(parser)

    def handle(self, *, dry_run: bool, interactive: bool, **options: Any) -> None:
        self.verbosity = options["verbosity"]
        check_options(options, CHECKED, required=REQUIRED)
        check_exclusive(options, "object", "actor")
        if options["object"] is None and options["actor"] is None:
            raise CommandError("one of --object and --actor is required", returncode=USAGE)
        using = options["database"]
        try:
            capture.databases(using)
            asked = asked_of(options)
            if dry_run:
                self._say_all(using, forecast(preview(asked)))
                return
            check(asked.target)
            if interactive:
                self._confirm(asked.target)
            with stopping_on_signals() as received:

                def stop() -> bool:
                    return bool(received)

                done = erase(
                    asked,
                    lock=chosen_lock(using, options, stop, of_run=False),
                    batch_size=options["batch_size"],
                    on_batch=lambda record: self._say(2, using, counts(record)),
                    stop=stop,
                )
        except (AuditReprError, Error) as error:
            raise CommandError(visible(explained(error, using))) from error
        self._say_all(using, outcome(done))
        if received:
            sys.exit(128 + received[0])

    def _confirm(self, target: Target) -> None:
        if not is_terminal(sys.stdin):
            raise CommandError(
                "Cannot ask for confirmation: there is no terminal. To erase anyway, use"
                " --no-input."
            )
        question = (
            f"This permanently erases {visible(str(target))} from the audit log in"
            f" {logs.named(target.using)}; --dry-run shows what.\nType 'yes' to continue: "
        )
        if answer(question) != "yes":
            raise CommandError("Nothing was erased.")

    def _say_all(self, using: str, lines: Iterator[str]) -> None:
        for line in lines:
            self._say(1, using, line)

    def _say(self, level: int, using: str, text: str) -> None:
        if self.verbosity >= level:
            self.stdout.write(visible(f"{logs.named(using)}: {text}"))


def _add_what(parser: CommandParser) -> None:
    """Add the options that say what is erased."""
    add = parser.add_argument
    add(
        "--object",
        type=some,
        metavar="MODEL:PK",
        help="The object, such as shop.Customer:17; a key of several columns as a JSON array.",
    )
    add(
        "--actor",
        type=some,
        metavar="USER",
        help="User as recorded in the contexts: primary key or text.",
    )
    add(
        "--columns",
        nargs="+",
        metavar="NAME",
        help="Erase only these fields of the object, of whatever type, or only these values of"
        " the actor's contexts. Default: all text.",
    )


def _add_texts(parser: CommandParser) -> None:
    """Add the options that say of texts whether they are replaced, or kept."""
    add = parser.add_argument
    add(
        "--text",
        action="append",
        metavar="TEXT",
        help="A further text to replace wherever it is found, however short; may be repeated.",
    )
    add(
        "--keep-text",
        action="append",
        metavar="TEXT",
        help="A value to erase only in the object's own events; may be repeated.",
    )
    add(
        "--keep-current",
        action="store_true",
        help="Keep the values that the object's row has now, also in the log.",
    )
