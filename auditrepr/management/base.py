"""What the commands that run the job share: turns, output, exit codes."""

from __future__ import annotations

import json
import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.db import Error

from ..exceptions import AuditReprError
from ..job import logs
from ..job.rights import explained
from ..job.runs.result import Result
from ..job.runs.turns import take_turns
from ..models import StopReason
from ..utils.text import visible
from .errors import together
from .job_options import CHECKED, REQUIRED, add_batch_options, add_output_options, check_dry_run
from .locking import chosen_lock
from .options import add_database
from .progress import progress_bar
from .signals import stopping_on_signals
from .terminal import TerminalCommand, retries_shown
from .usage import check_options

# Exit codes; 75 is EX_TEMPFAIL.
FAILED, LOCKED = 3, 75
#: The last words of a report: why the run ended.
ENDED = {
    StopReason.CAUGHT_UP: "Nothing left to do.",
    StopReason.BATCH_LIMIT: "Stopped: batch limit reached.",
    StopReason.TIME_BUDGET: "Stopped: time limit reached.",
    StopReason.LOCKED: "Stopped: another run holds the lock.",
    StopReason.SIGNAL: "Stopped by a signal.",
    StopReason.LEASE_LOST: "Stopped: lost the lock, or the round was canceled.",
    StopReason.ERROR: "Stopped by an error.",
    StopReason.MIGRATIONS: "Stopped: migrations are pending.",
}


class JobCommand(TerminalCommand):
    """A command that runs the job, or shows with --dry-run what a run would do."""

    # An error elsewhere in the project is no reason to leave the audit log unreadable.
    requires_system_checks = []
    #: What checks the value of each option.
    checked: ClassVar[dict[str, Callable[[Any], Any]]] = CHECKED
    #: The verbosity from which a run says that another one holds the lock; on a terminal it does.
    locked_level = 1
    #: Does it take several databases?
    several = False
    documents: list[dict[str, Any]]

    @abstractmethod
    def run(self, using: str, options: dict[str, Any], before: Result | None, **how: Any) -> Result:
        """Run the job, or one turn of it.

        :param before: what earlier turns did.
        :param how: what every run takes: lock, max_seconds, batch_size, on_progress, stop.
        """

    @abstractmethod
    def preview(self, using: str, options: dict[str, Any]) -> None:
        """Show what a run would do."""

    @abstractmethod
    def report_work(self, using: str, result: Result) -> None:
        """Print what a run did, if it did anything."""

    def add_database(self, parser: CommandParser) -> None:
        """Add the option that says where to work."""
        add_database(parser, "Database to work on.")

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_database(parser)
        add_batch_options(parser)
        add_output_options(parser)

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        self.verbosity = options["verbosity"]
        self.json = options["format"] == "json"
        self.documents = []
        self.check_options(options, dry_run=dry_run)
        asked = options["database"]
        aliases = [asked] if isinstance(asked, str) else asked or logs.aliases()
        if dry_run:
            self._preview(aliases, options)
        else:
            self._run(aliases, options)

    def check_options(self, options: dict[str, Any], *, dry_run: bool) -> None:
        """Check values that did not come through the parser, and options that exclude each other.

        :raises CommandError: with exit code 2.
        """
        optional = {"database"} if self.several else set()
        check_options(options, self.checked, REQUIRED & self.checked.keys() - optional)
        check_dry_run(options, dry_run=dry_run)

    def finish(self, using: str, options: dict[str, Any], result: Result) -> int:
        """Do what follows a run.

        :returns: the exit code.
        """
        locked = result.stop_reason is StopReason.LOCKED
        return LOCKED if locked and options["fail_if_locked"] else 0

    def say(self, level: int, text: str) -> None:
        """Print a line from this verbosity on."""
        if self.verbosity >= level:
            encoding = getattr(self.stdout, "encoding", None) or "utf-8"
            shown = visible(text).encode(encoding, "backslashreplace")
            self.stdout.write(shown.decode(encoding))

    def on_terminal(self) -> bool:
        """Return whether the output is read as it appears."""
        return self.stdout.isatty()

    def _preview(self, aliases: Sequence[str], options: dict[str, Any]) -> None:
        errors: dict[str, str] = {}
        for using in aliases:
            try:
                self.preview(using, options)
            except (AuditReprError, Error) as error:
                errors[using] = explained(error, using)
        self._say_documents()
        if errors:
            raise CommandError(together(aliases, errors))

    def _run(self, aliases: Sequence[str], options: dict[str, Any]) -> None:
        results = {using: Result() for using in aliases}
        with stopping_on_signals() as received, retries_shown():

            def turn(using: str, max_seconds: float | None) -> bool:
                before = results[using]
                if before.error or received:
                    return False
                later = self._turn(using, options, before, max_seconds, lambda: bool(received))
                before.add(later)
                return later.stop_reason is StopReason.TIME_BUDGET

            # A run waits for a database that is away for a moment, but keeps no other waiting.
            order = sorted(aliases, key=lambda using: len(aliases) > 1 and not logs.answers(using))
            take_turns(order, turn, options["max_seconds"])
        for using, result in results.items():
            self._report(using, result)
        self._say_documents()
        codes = {self.finish(using, options, result) for using, result in results.items()}
        if errors := {using: result.error for using, result in results.items() if result.error}:
            raise CommandError(together(aliases, errors))
        if received:
            sys.exit(128 + received[0])
        for code in (FAILED, LOCKED):
            if code in codes:
                sys.exit(code)

    def _turn(
        self,
        using: str,
        options: dict[str, Any],
        before: Result,
        max_seconds: float | None,
        stop: Callable[[], bool],
    ) -> Result:
        """Return the result of one turn; an error of one database does not concern the others."""
        quiet = options["no_progress"] or self.json or self.verbosity < 1
        try:
            with progress_bar(show=not quiet) as on_progress:
                return self.run(
                    using,
                    options,
                    before,
                    lock=chosen_lock(using, options, stop),
                    batch_size=options["batch_size"],
                    max_seconds=max_seconds,
                    on_progress=on_progress,
                    stop=stop,
                )
        except (AuditReprError, Error) as error:
            return Result(StopReason.ERROR, error=explained(error, using))

    def _report(self, using: str, result: Result) -> None:
        if self.json:
            self.documents.append({"database": using, **result.document()})
        elif result.stop_reason is StopReason.LOCKED and result.idle:
            level = 1 if self.on_terminal() else self.locked_level
            who = result.holder or "holder unknown"
            self.say(level, f"{logs.named(using)}: Another run holds the lock ({who}).")
        elif not result.error or not result.idle:
            self.report_work(using, result)

    def _say_documents(self) -> None:
        """Print the JSON document: a list if the command takes several databases."""
        if self.json and self.documents and self.verbosity >= 1:
            document = self.documents if self.several else self.documents[0]
            self.stdout.write(json.dumps(document, indent=2))
