"""The options of commands that run the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from .locking import LOCKS, add_lock
from .options import batch_size, count, database_alias, one_of, seconds
from .usage import USAGE, check_exclusive

#: How many rows a dry run shows.
SHOWN_ROWS = 20

#: The options to check here, too: call_command() passes them unchecked.
CHECKED: dict[str, Callable[[Any], Any]] = {
    "database": database_alias,
    "batch_size": batch_size,
    "max_seconds": seconds,
    "wait": seconds,
    "limit": count,
    "lock": one_of(LOCKS),
    "format": one_of(("text", "json")),
}
#: The names of those for which None is not a value.
REQUIRED = frozenset({"database", "wait", "lock", "format", "workers"})
#: Options that have no meaning where nothing is done.
OF_RUNS = ("max_seconds", "max_batches", "wait", "fail_if_locked", "strict", "workers")


def add_batch_options(parser: CommandParser) -> None:
    """Add the options that bound a run and its batches, and that of the lock."""
    add = parser.add_argument
    add(
        "--batch-size",
        type=batch_size,
        metavar="EVENTS",
        help="Events per transaction, or 'auto' for as many as take about half a second of the"
        ' job\'s CPU time. Default: AUDITREPR["BATCH_SIZE"].',
    )
    add(
        "--max-seconds",
        type=seconds,
        metavar="SECONDS",
        help="Start no new batch after this many seconds of the whole run.",
    )
    add_lock(
        parser,
        "Lock that prevents concurrent runs: 'database' works across hosts, 'file' only on"
        " this host.",
    )


def add_output_options(parser: CommandParser) -> None:
    """Add the options that say what is printed, and with which exit code."""
    add = parser.add_argument
    add(
        "--limit",
        type=count,
        metavar="EVENTS",
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


def check_dry_run(options: dict[str, Any], *, dry_run: bool) -> None:
    """Check that the options go together with a dry run, or with none; complete its limit.

    :raises CommandError: with exit code 2.
    """
    # Given or not, these values mean the same.
    given = {**options, "wait": options["wait"] or None, "dry_run": dry_run}
    given["workers"] = options.get("workers", 1) != 1
    for name in OF_RUNS:
        if name in given:
            check_exclusive(given, "dry_run", name)
    if options["limit"] is None:
        options["limit"] = SHOWN_ROWS
    elif not dry_run:
        raise CommandError(
            "argument --limit: requires --dry-run. To limit a run, use --max-seconds.",
            returncode=USAGE,
        )
