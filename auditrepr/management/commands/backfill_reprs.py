"""Stores the representations of new audit rows: what cron runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from django.db import Error

from ...exceptions import LogElsewhere, MigrationsPending
from ...job import backfill, findings
from ...job.findings import Finding
from ...job.result import Result
from ...models import ReprFailure, StopReason
from ...utils.text import visible
from ..base import CHECKED, QUARANTINED, JobCommand, counted, described, table
from ..options import whole_number

#: How many tables are named, where recording has stopped for many.
MOST_TOLD = 20


class Command(JobCommand):
    help = (
        "Store what str(instance) said at the event beside every audit row that lacks it. Made to"
        " be run often: a run that finds nothing costs next to nothing, and one that finds another"
        " at work steps aside. Exit codes: 0 done, or nothing to do, or another run is at work;"
        " 1 error; 2 usage; 3 with --strict; 75 with --fail-if-locked; 128+n after signal n."
    )
    checked = CHECKED | {"max_batches": whole_number}
    locked_level = 2

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--max-batches", type=whole_number, metavar="N", help="End after so many batches.")
        add("--strict", action="store_true", help="Exit 3 if rows are in quarantine.")
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

    def run(self, using: str, options: dict[str, Any], **how: Any) -> Result:
        chosen = {name: options[name] for name in ("max_batches", "rescan", "retry_failed")}
        try:
            result = backfill.run(using, **chosen, **how)
        except LogElsewhere:
            raise
        except MigrationsPending as error:
            self._tell(self._waiting(using, error))
            return Result(StopReason.MIGRATIONS)
        with suppress(Error):  # the database has just ended it, or takes too long
            found = {findings.RECORDING: findings.of(using), findings.MIGRATIONS: []}
            self._tell(findings.due(using, found))
        return result

    def _waiting(self, using: str, error: MigrationsPending) -> list[Finding]:
        """What is to be told of migrations that are pending.

        :raises MigrationsPending: if auditrepr's own tables are not there.
        """
        finding = findings.of_migrations(error)
        try:
            told = findings.due(using, {findings.MIGRATIONS: [finding]})
        except Error:
            raise error from None
        # Who is there to read it need not wait.
        return [finding] if sys.stderr.isatty() else told

    def _tell(self, found: Sequence[Finding]) -> None:
        """What keeps the log from being complete, at any verbosity: cron mails it."""
        for finding in found[:MOST_TOLD]:
            self.stderr.write(visible(str(finding)))
        if len(found) > MOST_TOLD:
            rest = len(found) - MOST_TOLD
            self.stderr.write(f"{rest} more like these: manage.py audit_triggers check")

    def finish(self, using: str, options: dict[str, Any]) -> None:
        if options["strict"] and ReprFailure.objects.using(using).exists():
            sys.exit(QUARANTINED)

    def report_work(self, result: Result) -> None:
        told = 1 if result.rows or result.failures or result.error else 2
        if result.idle:
            self.say(told, "Nothing was stored.")
        else:
            self.say(
                told,
                f"{counted(result.rows, 'representation')} stored,"
                f" {counted(result.failures, 'row')} put in quarantine,"
                f" in {counted(result.batches, 'batch', 'batches')}"
                f" and {result.seconds:.1f} seconds.",
            )
        if result.again:
            self.say(told, f"Tried again from the quarantine: {counted(result.again, 'row')}.")
        if result.first_failure:
            self.say(told, f"The first row put in quarantine: {result.first_failure}")
        self.say(told, f"Stopped: {result.stop_reason}")

    def preview(self, using: str, options: dict[str, Any]) -> None:
        preview = backfill.preview(using, limit=options["limit"])
        pairs = zip(preview.events, preview.outcomes, strict=True)
        rows = [described(*pair, using) for pair in pairs]
        if self.json:
            self.say_json({"database": using, "pending": asdict(preview.pending), "rows": rows})
            return
        for line in table(rows):
            self.say(1, line)
        self.say(1, f"{preview.pending} pending; nothing was written.")
