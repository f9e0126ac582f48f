"""Stores the representations of new audit rows: what cron runs."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error, connections
from tqdm import tqdm

from auditrepr import backfill
from auditrepr.backfill import Progress, Result, StopReason
from auditrepr.events import Event
from auditrepr.exceptions import AuditReprError
from auditrepr.locks import DatabaseLock, FileLock
from auditrepr.models import AuditLog, ReprFailure
from auditrepr.representation import Outcome
from auditrepr.tracking import model_for_table
from auditrepr.wording import visible

LOCKS = {"database": DatabaseLock, "file": FileLock}
STOPPING = (signal.SIGTERM, signal.SIGINT)
# Exit codes; 75 is EX_TEMPFAIL.
USAGE, QUARANTINED, LOCKED = 2, 3, 75


def whole_number(text: Any, least: int = 1) -> int:
    """An option's value.

    :raises ArgumentTypeError: if it is not a whole number, or less than `least`.
    """
    try:
        number = int(str(text))
    except ValueError:
        number = least - 1
    if number < least:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return number


def count(text: Any) -> int:
    """A whole number, 0 included."""
    return whole_number(text, least=0)


def seconds(text: Any) -> float:
    """A span of time.

    :raises ArgumentTypeError: if it is not a number, or below 0, or has no end.
    """
    try:
        span = float(str(text))
    except ValueError:
        span = -1
    if not 0 <= span < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return span


#: What call_command() passes as it is, so that it has to be checked here, too.
CHECKED = {
    "batch_size": whole_number,
    "max_batches": whole_number,
    "max_seconds": seconds,
    "wait": seconds,
    "limit": count,
}


class Command(BaseCommand):
    help = (
        "Store what str(instance) said at the event beside every audit row that lacks it. Made to"
        " be run often: a run that finds nothing costs next to nothing, and one that finds another"
        " at work steps aside. Exit codes: 0 done, or nothing to do, or another run is at work;"
        " 1 error; 2 usage; 3 with --strict; 75 with --fail-if-locked; 128+n after signal n."
    )
    # An error elsewhere in the project is no reason to leave the audit log unreadable.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="Default: %(default)s.")
        add(
            "--batch-size",
            type=whole_number,
            metavar="ROWS",
            help='Rows stored in one transaction. Default: AUDITREPR["BATCH_SIZE"].',
        )
        add("--max-batches", type=whole_number, metavar="N", help="End after so many batches.")
        add(
            "--max-seconds",
            type=seconds,
            metavar="SECONDS",
            help="Begin no batch after so many seconds.",
        )
        add(
            "--lock",
            choices=LOCKS,
            default="database",
            help="What keeps two runs apart: a lease in the database, or a file on this host.",
        )
        add("--wait", type=seconds, default=0.0, metavar="SECONDS", help="Wait for the lock.")
        once = parser.add_mutually_exclusive_group()
        once.add_argument(
            "--dry-run", action="store_true", help="Show what would be stored; write nothing."
        )
        once.add_argument(
            "--rescan",
            action="store_true",
            help="Look at the whole log again, as after importing one. Later runs resume it.",
        )
        once.add_argument(
            "--retry-failed",
            action="store_true",
            help="Try all rows in quarantine again now, as after mending a __str__.",
        )
        add("--limit", type=count, default=20, metavar="ROWS", help="Rows that a dry run shows.")
        add("--format", choices=("text", "json"), default="text", help="Default: %(default)s.")
        add("--no-progress", action="store_true", help="No progress bar on a terminal.")
        add("--strict", action="store_true", help="Exit 3 if rows are in quarantine.")
        add("--fail-if-locked", action="store_true", help="Exit 75 if another run is at work.")

    def handle(self, *, database: str, dry_run: bool, **options: Any) -> None:
        self.verbosity = options["verbosity"]
        self.json = options["format"] == "json"
        self._check_options(options)
        if database not in connections:
            known = ", ".join(connections)
            raise CommandError(f'There is no database "{visible(database)}" in DATABASES: {known}')
        try:
            if dry_run:
                self._preview(database, options["limit"])
            else:
                self._run(database, options)
        except (AuditReprError, Error) as error:
            message = " ".join(str(error).split())
            if not dry_run:
                self._report(database, Result(StopReason.ERROR, error=message))
            raise CommandError(visible(message)) from error

    def _check_options(self, options: dict[str, Any]) -> None:
        for name, check in CHECKED.items():
            try:
                options[name] = None if options[name] is None else check(options[name])
            except ArgumentTypeError as error:
                option = name.replace("_", "-")
                raise CommandError(f"argument --{option}: {error}", returncode=USAGE) from error

    def _run(self, using: str, options: dict[str, Any]) -> None:
        quiet = options["no_progress"] or self.json or self.verbosity < 1
        with stopping_on_signals() as received, progress_bar(show=not quiet) as on_progress:
            result = backfill.run(
                using,
                lock=LOCKS[options["lock"]](
                    using, wait=options["wait"], stop=lambda: bool(received)
                ),
                batch_size=options["batch_size"],
                max_batches=options["max_batches"],
                max_seconds=options["max_seconds"],
                rescan=options["rescan"],
                retry_failed=options["retry_failed"],
                on_progress=on_progress,
                stop=lambda: bool(received),
            )
        self._report(using, result)
        if result.error:
            raise CommandError(visible(result.error))
        if received:
            sys.exit(128 + received[0])
        if options["fail_if_locked"] and result.stop_reason is StopReason.LOCKED:
            sys.exit(LOCKED)
        if options["strict"] and ReprFailure.objects.using(using).exists():
            sys.exit(QUARANTINED)

    def _report(self, using: str, result: Result) -> None:
        if self.json:
            self._say_json({"database": using, **asdict(result)})
            return
        told = 1 if result.rows or result.failures or result.error else 2
        if result.stop_reason is StopReason.LOCKED:
            self._say(told, f"Another run is at work: {result.holder or 'it does not say which'}")
        elif result.idle:
            self._say(told, "Nothing was stored.")
        else:
            self._say(
                told,
                f"{result.rows} representations stored, {result.failures} rows put in quarantine,"
                f" in {result.batches} batches and {result.seconds:.1f} seconds.",
            )
            if result.again:
                self._say(told, f"{result.again} rows of the quarantine were tried again.")
        self._say(told, f"Stopped: {result.stop_reason}")

    def _preview(self, using: str, limit: int) -> None:
        preview = backfill.preview(using, limit=limit)
        rows = [described(*pair) for pair in zip(preview.events, preview.outcomes, strict=True)]
        if self.json:
            self._say_json({"database": using, "pending": asdict(preview.pending), "rows": rows})
            return
        for line in table(rows):
            self._say(1, line)
        self._say(1, f"{preview.pending} pending; nothing was written.")

    def _say(self, level: int, text: str) -> None:
        if self.verbosity >= level:
            encoding = getattr(self.stdout, "encoding", None) or "utf-8"
            shown = visible(text).encode(encoding, "backslashreplace")
            self.stdout.write(shown.decode(encoding))

    def _say_json(self, document: dict[str, Any]) -> None:
        if self.verbosity >= 1:
            self.stdout.write(json.dumps(document, indent=2))


def described(event: Event, outcome: Outcome) -> dict[str, Any]:
    """One row of a dry run, as JSON holds it."""
    model = model_for_table(event.table_name)
    return {
        "id": event.id,
        "time": event.occurred_at.isoformat(sep=" ", timespec="seconds"),
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
    """The rows of a dry run as lines, their columns one below the other."""
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
        return f"(goes into quarantine: {row['error']})"
    why = f" (mixed: {row['reason']})" if row.get("fidelity") == "mixed" else ""
    return f"{row['representation']}{why}"


@contextmanager
def stopping_on_signals() -> Iterator[list[int]]:
    """Gives the list that the first SIGTERM or SIGINT goes into; a second ends the process."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            # What is open rolls back, and the lock of a process that is gone is free.
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
    """Gives what draws a bar on standard error, from the first batch on, if that is a terminal."""
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
            bar.set_description_str(f"{progress.rows} rows, {rate:.0f} rows/s", refresh=False)
            bar.update(progress.done - bar.n)

        yield draw
