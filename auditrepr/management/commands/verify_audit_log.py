"""Compares the log with its seals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error

from ... import capture
from ...capture import attachment
from ...exceptions import AuditReprError
from ...job import logs
from ...job.rights import explained
from ...job.seals import export, form, verifying
from ...job.seals.verifying import Verified
from ...utils.phrases import counted, noun, timestamp
from ...utils.text import visible
from ..options import add_database, database_alias, some
from ..progress import progress_bar
from ..signals import stopping_on_signals
from ..terminal import TerminalCommand
from ..usage import USAGE, check_options
from .seal_audit_log import seal_number

#: The options to check here, too: call_command() passes them unchecked.
CHECKED: dict[str, Callable[[Any], Any]] = {
    "database": database_alias,
    "against": some,
    "from_number": seal_number,
}


class Command(TerminalCommand):
    help = (
        "Compute the digests of all sealed events again, and name the first event of each range"
        " that is no longer what was sealed. With --against, compare the seals with an export, too:"
        " without it, users who may write to the table of seals can seal a changed log again. Needs"
        " only the right to read. Exit codes: 0 the log matches its seals; 1 it does not, or an"
        " error; 2 wrong usage; 128+n stopped by signal n. See docs/seal.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--against",
            type=some,
            metavar="FILE",
            help="Export of seal_audit_log to compare the seals with, of any time.",
        )
        add(
            "--older-copy",
            action="store_true",
            help="The database is a copy from before the export, and may lack its last seals; needs"
            " --against.",
        )
        add(
            "--from",
            type=seal_number,
            dest="from_number",
            metavar="NUMBER",
            help="Seal to continue from, as an interrupted command prints it. Default: the first.",
        )
        add_database(parser, "Database whose log to verify.")
        add("--no-progress", action="store_true", help="Do not show a progress bar.")

    def handle(self, *, older_copy: bool, **options: Any) -> None:
        check_options(options, CHECKED, required=("database",))
        if older_copy and options["against"] is None:
            raise CommandError("argument --older-copy: requires --against", returncode=USAGE)
        using = options["database"]
        show = options["verbosity"] >= 1 and not options["no_progress"]
        try:
            capture.databases(using)
            attachment.refuse(using, "they have no seals")
            with stopping_on_signals() as received, progress_bar(show=show, done="verified") as bar:
                found = verifying.verify(
                    using,
                    first=options["from_number"] or 1,
                    against=options["against"] and export.read(Path(options["against"])),
                    older_copy=older_copy,
                    on_progress=bar,
                    stop=lambda: bool(received),
                )
        except (AuditReprError, Error) as error:
            raise CommandError(visible(explained(error, using, writes=[]))) from error
        if options["verbosity"] >= 1:
            for line in _told(found, exported=bool(options["against"])):
                self.stdout.write(visible(f"{logs.named(using)}: {line}"))
        if found.differing:
            raise CommandError("\n".join(map(visible, _differences(found))))
        if received:
            sys.exit(128 + received[0])


def _told(found: Verified, *, exported: bool) -> Iterator[str]:
    """Yield what was compared, and what was not."""
    compared = f"{counted(found.events, 'event')} in {counted(found.seals, 'sealed range')}"
    if found.next_number is not None:
        yield f"Compared {compared}. To continue: --from {found.next_number}"
        return
    yield f"Compared {compared}."
    if found.pruned:
        since = f", {found.pruned_since:,} of them since the export" if exported else ""
        pruned = f"{counted(found.pruned, 'event')} {noun(found.pruned, 'was', 'were')} pruned"
        yield f"{pruned} after they had been sealed{since}."
    if found.erased:
        since = f", {found.erased_since:,} of them since the export" if exported else ""
        yield f"Erasing has changed {counted(found.erased, 'sealed event')}{since}."
    if exported and found.seals_since:
        later = counted(found.seals_since, "range")
        yield f"{later} {noun(found.seals_since, 'was', 'were')} sealed since the export."
    if exported and found.imported_since:
        came = counted(found.imported_since, "event")
        yield f"{came} {noun(found.imported_since, 'was', 'were')} imported since the export."
    for made in found.imports:
        state = "unfinished" if made.finished_at is None else "not sealed yet"
        yield f"The import of events {made.first_id} to {made.last_id} is {state}: not compared."
    if found.last is not None:
        at = timestamp(form.moment(found.last.sealed_at))
        yield f"Sealed up to event {found.last.upto_id}, at {at}; later events are not sealed yet."


def _differences(found: Verified) -> Iterator[str]:
    yield "The audit log is not what was sealed:"
    for what in found.differences:
        yield f"- {what}"
    if found.differing > len(found.differences):
        yield f"- {found.differing - len(found.differences):,} more ranges differ"
