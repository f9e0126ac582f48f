"""Stores representations of new events: the command for cron."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from ...exceptions import LogElsewhere, MigrationsPending
from ...job import backfill, logs
from ...job.monitoring import findings
from ...job.reports import Finding
from ...job.rounds import shares
from ...job.runs import failing
from ...job.runs.result import Result
from ...models import ReprFailure, StopReason
from ...utils.phrases import counted
from ...utils.text import visible
from ..base import ENDED, FAILED
from ..dry_run import described, table
from ..options import add_databases, database_aliases, whole_number
from ..shared import SharedCommand
from ..terminal import is_terminal
from ..usage import check_exclusive

#: Maximum number of findings, or of failing models, to report about one database.
MOST_TOLD = 20


class Command(SharedCommand):
    help = (
        "Store a representation, str(instance) as of the event, for every event that has none."
        " Run it from cron every few minutes: a run with nothing to do costs next to nothing,"
        " and a run that finds the lock held exits. Exit codes: 0 success, nothing to do, or"
        " lock held; 1 error; 2 wrong usage; 3 failed representations exist (--strict); 75 lock"
        " held (--fail-if-locked); 128+n stopped by signal n. With several databases, the worst."
    )
    checked = SharedCommand.checked | {"database": database_aliases, "max_batches": whole_number}
    shared = "a large backlog"
    command = shares.BACKFILL
    locked_level = 2
    several = True

    def add_database(self, parser: CommandParser) -> None:
        add_databases(parser)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add(
            "--max-batches",
            type=whole_number,
            metavar="N",
            help="Stop after this many batches of new events in each database.",
        )
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

    def check_options(self, options: dict[str, Any], *, dry_run: bool) -> None:
        super().check_options(options, dry_run=dry_run)
        check_exclusive({**options, "dry_run": dry_run}, "dry_run", "rescan", "retry_failed")

    def run(self, using: str, options: dict[str, Any], before: Result | None, **how: Any) -> Result:
        try:
            result = backfill.run(
                using,
                max_batches=options["max_batches"],
                rescan=options["rescan"] and not (before and before.seconds),
                retry_failed=options["retry_failed"],
                before=before,
                workers=options["workers"],
                crew=self.crew(using, options),
                **how,
            )
        except LogElsewhere:
            raise
        except MigrationsPending as error:
            self._tell(self._waiting(using, error))
            return Result(StopReason.MIGRATIONS)
        self._tell(findings.to_tell(using))
        return result

    def _waiting(self, using: str, error: MigrationsPending) -> list[Finding]:
        """Return what to report of pending migrations.

        :raises MigrationsPending: if auditrepr's own tables do not exist.
        """
        told = findings.of_migrations_to_tell(using, error)
        # On a terminal, report at once.
        return [findings.of_migrations(error)] if is_terminal(sys.stderr) else told

    def _tell(self, found: Sequence[Finding]) -> None:
        """Report the findings, at any verbosity: cron mails them."""
        for finding in found[:MOST_TOLD]:
            self.stderr.write(visible(str(finding)))
        if len(found) > MOST_TOLD:
            rest = len(found) - MOST_TOLD
            self.stderr.write(f"{rest} more like these: manage.py audit_triggers check")

    def finish(self, using: str, options: dict[str, Any], result: Result) -> int:
        texts = failing.to_tell(using, result.failing)
        for text in texts[:MOST_TOLD]:
            self.stderr.write(visible(f"{using}: {text}"))
        if len(texts) > MOST_TOLD:
            self.stderr.write(f"{using}: and {counted(len(texts) - MOST_TOLD, 'model')} more")
        failed = 0
        if options["strict"] and not result.error:
            failed = ReprFailure.objects.using(using).failing().count()
        if failed:
            self.stderr.write(f"{using}: {counted(failed, 'failed representation')} (--strict)")
        return FAILED if failed else super().finish(using, options, result)

    def report_work(self, using: str, result: Result) -> None:
        if result.gone:
            self.say(
                1,
                f"{logs.named(using)}: Deleted what was stored for"
                f" {counted(result.gone, 'event')} that the other log no longer has.",
            )
        if result.idle:
            ended = "Nothing to do." if not result.limited else ENDED[result.stop_reason]
            self.say(1 if self.on_terminal() else 2, f"{logs.named(using)}: {ended}")
            return
        done = result.rows or result.failures or result.final or result.error
        retried = result.retried_to is not None  # on request, not because it was due
        told = 1 if done or retried else 2
        final = f", {result.final:,} final" if result.final else ""
        self.say(
            told,
            f"{logs.named(using)}: Stored {counted(result.rows, 'representation')},"
            f" {result.failures:,} failed{final} ({counted(result.batches, 'batch', 'batches')},"
            f" {result.seconds:,.1f} s).{_retried(result)} {ENDED[result.stop_reason]}",
        )
        if result.first_failure:
            self.say(told, f"First failure: {result.first_failure}")

    def preview(self, using: str, options: dict[str, Any]) -> None:
        preview = backfill.preview(using, limit=options["limit"])
        pairs = zip(preview.events, preview.outcomes, strict=True)
        rows = [described(*pair, using) for pair in pairs]
        if self.json:
            pending = {"count": preview.pending.rows, "complete": preview.pending.complete}
            self.documents.append({"database": using, "pending": pending, "events": rows})
            return
        for line in table(rows):
            self.say(1, line)
        self.say(1, f"{logs.named(using)}: {preview.pending} pending. Nothing was written.")


def _retried(result: Result) -> str:
    """Return the sentence about events that had failed before, with a space in front."""
    if not result.again:
        return ""
    failed = result.failed_again
    if result.again == 1:
        return f" Retried 1 event{', which failed again' if failed else ''}."
    which = f", {failed:,} of which failed again" if failed else ""
    return f" Retried {result.again:,} events{which}."
