"""Seals the log, and exports the seals."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error

from ... import capture
from ...capture import attachment
from ...exceptions import AuditReprError
from ...job import logs, preflight
from ...job.rights import explained
from ...job.seals import export, sealing
from ...job.seals.sealing import Sealed
from ...models import SealEntry
from ...utils.phrases import counted
from ...utils.text import visible
from ..export_output import NewFile, Output, StreamOutput
from ..locking import LOCKS, add_lock, chosen_lock
from ..options import add_database, database_alias, one_of, seconds, some, whole_number
from ..progress import progress_bar
from ..signals import stopping_on_signals
from ..terminal import TerminalCommand
from ..usage import USAGE, check_options

#: In place of a file: standard output.
STDOUT = "-"


def seal_number(text: Any) -> int:
    """Return the number of a seal."""
    return whole_number(text, most=2**63 - 1)


#: The options to check here, too: call_command() passes them unchecked.
CHECKED: dict[str, Callable[[Any], Any]] = {
    "database": database_alias,
    "export": some,
    "after": seal_number,
    "wait": seconds,
    "lock": one_of(LOCKS),
}


class Command(TerminalCommand):
    help = (
        "Seal the events up to the watermark that are not sealed yet, so that verify_audit_log"
        " finds each later change of them, and export the seals, to keep them out of reach of all"
        " who may write to the database. See docs/seal.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--export",
            type=some,
            metavar="FILE",
            help="File to write the seals to, as lines of JSON; - for standard output.",
        )
        add(
            "--after",
            type=seal_number,
            metavar="NUMBER",
            help="Export only the seals after this one; needs --export.",
        )
        add(
            "--no-seal",
            action="store_true",
            help="Export the seals that are there, and seal nothing; needs --export, and only the"
            " right to read.",
        )
        add_database(parser, "Database whose log to seal.")
        add_lock(parser, "Lock shared with backfill_reprs, which cannot run meanwhile.")
        add("--no-progress", action="store_true", help="Do not show a progress bar.")

    def handle(self, *, no_seal: bool, **options: Any) -> None:
        check_options(options, CHECKED, required=("database", "wait", "lock"))
        file = options["export"]
        for name, given in (("--after", options["after"] is not None), ("--no-seal", no_seal)):
            if given and file is None:
                raise CommandError(f"argument {name}: requires --export", returncode=USAGE)
        self.told = self.stderr if file == STDOUT else self.stdout
        self.verbosity = options["verbosity"]
        using = options["database"]
        try:
            capture.databases(using)
            attachment.refuse(using, "auditrepr does not seal them")
            with stopping_on_signals() as received:
                if not no_seal:
                    self._seal(using, options, lambda: bool(received))
                if file is not None and not received:
                    self._export(using, file, options["after"] or 0)
        except (AuditReprError, Error) as error:
            writes = [SealEntry._meta.db_table]
            raise CommandError(visible(explained(error, using, writes=writes))) from error
        if received:
            sys.exit(128 + received[0])

    def _seal(self, using: str, options: dict[str, Any], stop: Callable[[], bool]) -> None:
        preflight.commits(using)
        preflight.check_own_tables(using)
        show = self.verbosity >= 1 and not options["no_progress"]
        lock = chosen_lock(using, options, stop, of_run=False)
        with lock.held(), progress_bar(show=show, done="sealed") as draw:
            done = sealing.seal(using, lock, draw, stop)
        self._say(f"{logs.named(using)}: {_told(done)}")

    def _export(self, using: str, file: str, after: int) -> None:
        preflight.check_own_tables(using)
        output: Output = StreamOutput(self.stdout) if file == STDOUT else NewFile(Path(file))
        whole = False
        count = 0
        try:
            for line in export.lines(using, after):
                output.write(line)
                count += 1
            output.commit()
            whole = True
        finally:
            output.close(whole=whole)
        where = "" if file == STDOUT else f" to {file}"
        self._say(f"{logs.named(using)}: Exported {counted(count, 'seal')}{where}.")

    def _say(self, text: str) -> None:
        if self.verbosity >= 1:
            self.told.write(visible(text))


def _told(done: Sealed) -> str:
    if done.entries:
        return f"Sealed {counted(done.events, 'event')}, up to event {done.upto_id}."
    return "Nothing to seal: what is settled is sealed already."
