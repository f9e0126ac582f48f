"""Stores representations of new events: the command for cron."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.core.management.base import CommandParser
from django.db import Error

from ...exceptions import LogElsewhere, MigrationsPending
from ...job import backfill, findings
from ...job.findings import Finding
from ...job.result import Result
from ...models import ReprFailure, StopReason
from ...utils.phrases import counted
from ...utils.text import visible
from ..base import CHECKED, FAILED, JobCommand, described, table
from ..options import whole_number

#: Maximum number of findings to report.
MOST_TOLD = 20


class Command(JobCommand):
    help = (
        "Store a representation, str(instance) as of the event, for every event that has none."
        " Run it from cron every few minutes: a run with nothing to do costs next to nothing,"
        " and a run that finds the lock held exits. Exit codes: 0 success, nothing to do, or"
        " lock held; 1 error; 2 wrong usage; 3 failed representations exist (--strict); 75 lock"
        " held (--fail-if-locked); 128+n stopped by signal n."
    )
    checked = CHECKED | {"max_batches": whole_number}
    locked_level = 2

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--max-batches", type=whole_number, metavar="N", help="Stop after this many batches.")
        add(
            "--strict",
            action="store_true",
            help="Exit with code 3 if there are failed representations.",
        )
        once = parser.add_mutually_exclusive_group()
        once.add_argument(
            "--dry-run", action="store_true", help="Show what would be stored; write nothing."
        )
        once.add_argument(
            "--rescan",
            action="store_true",
            help="Search the whole log for pending events, for example after an import. If"
            " interrupted, the next run continues.",
        )
        once.add_argument(
            "--retry-failed",
            action="store_true",
            help="Retry all failed representations now, for example after fixing a __str__().",
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
        """Return what to report of pending migrations.

        :raises MigrationsPending: if auditrepr's own tables do not exist.
        """
        finding = findings.of_migrations(error)
        try:
            told = findings.due(using, {findings.MIGRATIONS: [finding]})
        except Error:
            raise error from None
        # Somebody at a terminal need not wait.
        return [finding] if sys.stderr.isatty() else told

    def _tell(self, found: Sequence[Finding]) -> None:
        """Report the findings, at any verbosity: cron mails them."""
        for finding in found[:MOST_TOLD]:
            self.stderr.write(visible(str(finding)))
        if len(found) > MOST_TOLD:
            rest = len(found) - MOST_TOLD
            self.stderr.write(f"{rest} more like these: manage.py audit_triggers check")

    def finish(self, using: str, options: dict[str, Any]) -> None:
        if options["strict"] and ReprFailure.objects.using(using).exists():
            sys.exit(FAILED)

    def report_work(self, result: Result) -> None:
        told = 1 if result.rows or result.failures or result.error else 2
        if result.idle:
            self.say(told, "Nothing was stored.")
        else:
            self.say(
                told,
                f"{counted(result.rows, 'representation')} stored,"
                f" {result.failures} failed, in"
                f" {counted(result.batches, 'batch', 'batches')} and {result.seconds:.1f}"
                " seconds.",
            )
        if result.again:
            self.say(told, f"Retried: {counted(result.again, 'event')}.")
        if result.first_failure:
            self.say(told, f"First failure: {result.first_failure}")
        self.say(told, f"Stopped: {result.stop_reason}")

    def preview(self, using: str, options: dict[str, Any]) -> None:
        preview = backfill.preview(using, limit=options["limit"])
        pairs = zip(preview.events, preview.outcomes, strict=True)
        rows = [described(*pair, using) for pair in pairs]
        if self.json:
            pending = {"count": preview.pending.rows, "complete": preview.pending.complete}
            self.say_json({"database": using, "pending": pending, "events": rows})
            return
        for line in table(rows):
            self.say(1, line)
        self.say(1, f"{preview.pending} pending; nothing was written.")
