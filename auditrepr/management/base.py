"""What the commands that run the job share: options, signals, output, exit codes."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error
from tqdm import tqdm

from ..exceptions import AuditReprError
from ..job.locks.file import FileLock
from ..job.locks.lease import DatabaseLock
from ..job.result import Progress, Result
from ..lineage import recent_renames
from ..models import AuditLog, StopReason
from ..reprs import Outcome
from ..utils.phrases import timestamp
from ..utils.text import one_line, visible
from ..vendors.types import Event
from .options import USAGE, batch_size, check_options, count, database_alias, seconds
from .terminal import TerminalCommand

LOCKS = {"database": DatabaseLock, "file": FileLock}
STOPPING = (signal.SIGTERM, signal.SIGINT)
# Exit codes; 75 is EX_TEMPFAIL.
FAILED, LOCKED = 3, 75

#: How many rows a dry run shows.
SHOWN_ROWS = 20

#: The options to check here, too: call_command() passes them unchecked.
CHECKED: dict[str, Callable[[Any], Any]] = {
    "database": database_alias,
    "batch_size": batch_size,
    "max_seconds": seconds,
    "wait": seconds,
    "limit": count,
}


class JobCommand(TerminalCommand):
    """A command that runs the job, or shows with --dry-run what a run would do."""

    # An error elsewhere in the project is no reason to leave the audit log unreadable.
    requires_system_checks = []
    #: What checks the value of each option.
    checked: ClassVar[dict[str, Callable[[Any], Any]]] = CHECKED
    #: The verbosity from which a run says that another one holds the lock.
    locked_level = 1

    @abstractmethod
    def run(self, using: str, options: dict[str, Any], **how: Any) -> Result:
        """Run the job.

        :param how: what every run takes: lock, max_seconds, batch_size, on_progress, stop.
        """

    @abstractmethod
    def preview(self, using: str, options: dict[str, Any]) -> None:
        """Show what a run would do."""

    @abstractmethod
    def report_work(self, result: Result) -> None:
        """Print what a run did, if it did anything."""

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--database",
            default=DEFAULT_DB_ALIAS,
            type=database_alias,
            metavar="ALIAS",
            help="Database to work on. Default: %(default)s.",
        )
        add(
            "--batch-size",
            type=batch_size,
            metavar="ROWS",
            help="Events per transaction, or 'auto' for as many as take about half a second."
            ' Default: AUDITREPR["BATCH_SIZE"].',
        )
        add(
            "--max-seconds",
            type=seconds,
            metavar="SECONDS",
            help="Start no new batch after this many seconds.",
        )
        add(
            "--lock",
            choices=LOCKS,
            default="database",
            help="Lock that prevents concurrent runs: 'database' works across hosts, 'file' only"
            " on this host. Default: %(default)s.",
        )
        add(
            "--wait",
            type=seconds,
            default=0.0,
            metavar="SECONDS",
            help="Wait up to this many seconds for the lock. Default: do not wait.",
        )
        add(
            "--limit",
            type=count,
            metavar="ROWS",
            help=f"Events that --dry-run shows. Default: {SHOWN_ROWS}.",
        )
        add(
            "--format",
            choices=("text", "json"),
            default="text",
            help="Output format. Default: %(default)s.",
        )
        add("--no-progress", action="store_true", help="Do not show a progress bar.")
        add(
            "--fail-if-locked",
            action="store_true",
            help="Exit with code 75 if another run holds the lock.",
        )

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        self.verbosity = options["verbosity"]
        self.json = options["format"] == "json"
        self.check_options(options, dry_run=dry_run)
        database = options["database"]
        try:
            if dry_run:
                self.preview(database, options)
            else:
                self._run(database, options)
        except (AuditReprError, Error) as error:
            message = one_line(error)
            if not dry_run:
                self._report(database, Result(StopReason.ERROR, error=message))
            raise CommandError(visible(message)) from error

    def check_options(self, options: dict[str, Any], *, dry_run: bool) -> None:
        """Check values that did not come through the parser, and options that exclude each other.

        :raises CommandError: with exit code 2.
        """
        check_options(options, self.checked)
        if options["limit"] is None:
            options["limit"] = SHOWN_ROWS
        elif not dry_run:
            raise CommandError(
                "argument --limit: requires --dry-run. To limit a run, use --max-seconds.",
                returncode=USAGE,
            )

    def finish(self, using: str, options: dict[str, Any]) -> None:
        """Do what follows a successful run."""

    def say(self, level: int, text: str) -> None:
        """Print a line from this verbosity on."""
        if self.verbosity >= level:
            encoding = getattr(self.stdout, "encoding", None) or "utf-8"
            shown = visible(text).encode(encoding, "backslashreplace")
            self.stdout.write(shown.decode(encoding))

    def say_json(self, document: dict[str, Any]) -> None:
        """Print one document."""
        if self.verbosity >= 1:
            self.stdout.write(json.dumps(document, indent=2))

    def _run(self, using: str, options: dict[str, Any]) -> None:
        quiet = options["no_progress"] or self.json or self.verbosity < 1
        with stopping_on_signals() as received, progress_bar(show=not quiet) as on_progress:

            def stop() -> bool:
                return bool(received)

            result = self.run(
                using,
                options,
                lock=LOCKS[options["lock"]](using, wait=options["wait"], stop=stop),
                batch_size=options["batch_size"],
                max_seconds=options["max_seconds"],
                on_progress=on_progress,
                stop=stop,
            )
        self._report(using, result)
        if result.error:
            raise CommandError(visible(result.error))
        if received:
            sys.exit(128 + received[0])
        if options["fail_if_locked"] and result.stop_reason is StopReason.LOCKED:
            sys.exit(LOCKED)
        self.finish(using, options)

    def _report(self, using: str, result: Result) -> None:
        if self.json:
            document = asdict(result)
            self.say_json({"database": using, "stored": document.pop("rows"), **document})
            return
        if result.stop_reason is StopReason.LOCKED:
            who = result.holder or "holder unknown"
            self.say(self.locked_level, f"Another run holds the lock: {who}")
            self.say(self.locked_level, f"Stopped: {result.stop_reason}")
            return
        self.report_work(result)


def described(event: Event, outcome: Outcome, using: str) -> dict[str, Any]:
    """Return one event of a dry run, as in the JSON output."""
    model = recent_renames(using).model(event)
    return {
        "id": event.id,
        "time": timestamp(event.occurred_at),
        "action": str(AuditLog.Action(event.action).label),
        "model": model._meta.label if model else event.table_name,
        "object": event.object_id,
        "representation": None if outcome.failure else outcome.text,
        "fidelity": None if outcome.failure else str(outcome.fidelity.name).lower(),
        "reason": outcome.reason,
        "error": outcome.failure
        and f"{outcome.failure.error_class}: {outcome.failure.message}".strip(": "),
    }


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the events of a dry run as lines with aligned columns."""
    columns = ("id", "time", "action", "model", "object")
    head = {name: name for name in columns} | {"representation": "representation"}
    cells = [
        {name: visible(str(row[name])) for name in columns} for row in (rows and [head, *rows])
    ]
    widths = {name: max((len(line[name]) for line in cells), default=0) for name in columns}
    for line, row in zip(cells, [head, *rows], strict=False):
        start = "  ".join(line[name].ljust(widths[name]) for name in columns)
        yield f"{start}  {_outcome(row)}"


def _outcome(row: dict[str, Any]) -> str:
    if row.get("error"):
        return f"(cannot be built: {row['error']})"
    why = f" (mixed: {row['reason']})" if row.get("fidelity") == "mixed" else ""
    return f"{row['representation']}{why}"


@contextmanager
def stopping_on_signals() -> Iterator[list[int]]:
    """Yield the list that the first SIGTERM or SIGINT is added to; a second ends the process."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:  # pragma: no cover - the process ends here, and what it measured with it
            # Open transactions roll back, and the lock of a dead process counts as free.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may ask for signals
        return
    previous = {number: signal.signal(number, note) for number in STOPPING}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def progress_bar(*, show: bool) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that draws a bar on standard error, if that is a terminal."""
    if not (show and sys.stderr.isatty()):
        yield lambda progress: None
        return
    shape = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    began = time.monotonic()
    with ExitStack() as stack:
        bars: list[Any] = []

        def draw(progress: Progress) -> None:
            if not bars:
                bar = tqdm(total=progress.total, file=sys.stderr, bar_format=shape, mininterval=0)
                bars.append(stack.enter_context(bar))
            (bar,) = bars
            rate = progress.rows / max(time.monotonic() - began, 0.001)
            bar.total = progress.total  # it grows while others write
            bar.set_description_str(f"{progress.rows} stored, {rate:.0f}/s", refresh=False)
            bar.update(progress.done - bar.n)

        yield draw
