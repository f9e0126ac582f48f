"""Stores the representations of new audit rows: what cron runs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from ...job import backfill
from ...job.result import Result
from ...models import ReprFailure
from ..base import CHECKED, QUARANTINED, JobCommand, counted, described, table
from ..options import whole_number


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
        return backfill.run(using, **chosen, **how)

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
