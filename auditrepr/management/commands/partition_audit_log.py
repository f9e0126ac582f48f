"""Partitions the log by ranges of event IDs, and makes further partitions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error

from ... import capture
from ...exceptions import AuditReprError, LogBusy, WaitStopped
from ...job import logs
from ...job.partitions import making
from ...job.partitions.making import Partitioned
from ...job.rights import explained
from ...utils.phrases import counted
from ...utils.text import visible
from ...vendors.base.partitions import LogPartition
from ..locking import LOCKS, add_lock, chosen_lock
from ..options import add_database, database_alias, one_of, seconds, whole_number
from ..signals import stopping_on_signals
from ..terminal import TerminalCommand
from ..usage import check_options

#: With smaller ones, a log would have too many: every query of it becomes slower.
LEAST = 10_000


def partition_size(text: Any) -> int:
    """Return the number of event IDs in a partition."""
    return whole_number(text, least=LEAST, most=10**15)


#: The options to check here, too: call_command() passes them unchecked.
CHECKED: dict[str, Callable[[Any], Any]] = {
    "database": database_alias,
    "size": partition_size,
    "wait": seconds,
    "lock": one_of(LOCKS),
}


class Command(TerminalCommand):
    help = (
        "Partition the audit log by ranges of event IDs (PostgreSQL), while others write to it, so"
        " that prune_audit_log can empty whole partitions at once; of a log that is partitioned,"
        " make further partitions. See docs/partitions.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--size",
            type=partition_size,
            metavar="EVENTS",
            help="Event IDs in each partition that is made from now on. Default:"
            f" {making.SIZE:,}, or as before.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Show what would be done; change nothing."
        )
        add_database(parser, "Database whose log to partition.")
        add_lock(parser, "Lock shared with backfill_reprs, which cannot run meanwhile.")
        parser.set_defaults(wait=making.WAIT)

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        check_options(options, CHECKED, required=CHECKED.keys() - {"size"})
        using, size = options["database"], options["size"]
        named = logs.named(using)
        try:
            capture.databases(using)
            if dry_run:
                found = making.preview(using, size or making.SIZE)
                self._say(options, f"{named}: {_planned(found)}")
                return
            with stopping_on_signals() as received:

                def stop() -> bool:
                    return bool(received)

                lock = chosen_lock(using, options, stop, of_run=False)
                wait = options["wait"]
                done = making.partition(using, size=size, lock=lock, wait=wait, stop=stop)
        except WaitStopped:
            sys.exit(128 + received[0])
        except LogBusy as error:
            raise CommandError(f"{visible(str(error))} Or wait longer with --wait.") from error
        except (AuditReprError, Error) as error:
            raise CommandError(visible(explained(error, using))) from error
        for line in _done(done):
            self._say(options, f"{named}: {line}")
        if received:
            sys.exit(128 + received[0])

    def _say(self, options: dict[str, Any], text: str) -> None:
        if options["verbosity"] >= 1:
            self.stdout.write(visible(text))


def _planned(found: Partitioned) -> str:
    if found.adopted:
        return f"Would make the log the first partition, which ends before event {found.closed_at}."
    if found.closed_at is not None:
        return f"Would close the last partition before event {found.closed_at}."
    return f"The log has {counted(len(found.partitions), 'partition')}; further ones would be made."


def _done(done: Partitioned) -> Iterator[str]:
    if done.adopted:
        yield f"The log is partitioned now; the first one ends before event {done.closed_at}."
    elif done.closed_at is not None:
        yield f"Closed the last partition, which had events, before event {done.closed_at}."
    elif not done.made:
        yield "Nothing to do: enough partitions are ahead."
    if done.made:
        yield f"Made {counted(done.made, 'table')}; the log was locked for {done.locked:.3f} s."
    for partition in done.partitions:
        yield f"  {partition.name}: {_range(partition)}"


def _range(partition: LogPartition) -> str:
    first = "the beginning" if partition.lower is None else f"event {partition.lower}"
    last = "the end" if partition.upper is None else f"event {partition.upper - 1}"
    return f"from {first} to {last}"
