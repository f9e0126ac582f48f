"""Builds stored representations anew, as after a better ``__str__``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from ... import capture
from ...job import rebuild
from ...job.rebuild import Change, Selection
from ...job.result import Result
from ...models import Fidelity, StopReason
from ..base import CHECKED, USAGE, JobCommand, counted, described, table
from ..options import moment

ARROW = "  →  "


class Command(JobCommand):
    help = (
        "Build stored representations anew, as after a better __str__, and update those that"
        " differ. One that cannot be built any more stays as it is. backfill_reprs steps aside"
        " meanwhile: on a large log give --max-seconds, and continue with --resume. Exit codes: 0"
        " done, or another run is at work; 1 error; 2 usage; 75 with --fail-if-locked; 128+n after"
        " signal n."
    )
    checked = CHECKED | {"since": moment}
    given_up: object = None

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--model", default="", metavar="APP.MODEL", help="Only events of this model's rows.")
        add("--since", type=moment, metavar="DATE", help="Only events from then on: an ISO date.")
        add("--mixed", action="store_true", help="Only what is not exact.")
        once = parser.add_mutually_exclusive_group()
        once.add_argument(
            "--dry-run",
            action="store_true",
            help="Show what would change in the first batch, old and new; write nothing.",
        )
        once.add_argument(
            "--resume",
            action="store_true",
            help="Continue the run that was cut short, with the selection that it was begun with.",
        )

    def check_options(self, options: dict[str, Any], *, dry_run: bool) -> None:
        super().check_options(options, dry_run=dry_run)
        if options["resume"] and (options["model"] or options["since"] or options["mixed"]):
            raise CommandError(
                "--resume goes on with what was selected before: leave out --model, --since and"
                " --mixed.",
                returncode=USAGE,
            )

    def run(self, using: str, options: dict[str, Any], **how: Any) -> Result:
        capture.databases(using)  # what follows reads its tables
        selection = None if options["resume"] else _selection(using, options)
        self.given_up = rebuild.unfinished(using) if selection else None
        return rebuild.run(using, selection, **how)

    def report_work(self, result: Result) -> None:
        if self.given_up:
            self.say(1, "An earlier run was given up, which --resume would have continued.")
        self.say(
            1,
            f"{counted(result.again, 'representation')} built anew, {result.rows} of them changed,"
            f" in {counted(result.batches, 'batch', 'batches')} and {result.seconds:.1f} seconds.",
        )
        if result.failures:
            self.say(1, f"{result.failures} could not be built, and stay as they are.")
            self.say(1, f"The first one: {result.first_failure}")
        self.say(1, f"Stopped: {result.stop_reason}")
        failed_at_once = result.stop_reason is StopReason.ERROR and not result.batches
        if result.stop_reason is not StopReason.CAUGHT_UP and not failed_at_once:
            self.say(1, "To continue: manage.py rebuild_reprs --resume")

    def preview(self, using: str, options: dict[str, Any]) -> None:
        selection = _selection(using, options)
        preview = rebuild.preview(using, selection, batch_size=options["batch_size"])
        shown = preview.changes[: options["limit"]]
        rows = [_side_by_side(change, using) for change in shown]
        if self.json:
            count = {"looked_at": preview.looked_at, "would_change": len(preview.changes)}
            self.say_json({"database": using, **count, "rows": rows})
            return
        for row in rows:
            row["representation"] = f"{row['stored']}{ARROW}{row['representation']}"
        for line in table(rows):
            self.say(1, line)
        self.say(
            1,
            f"{len(preview.changes)} of the first {preview.looked_at} would change;"
            " nothing was written.",
        )


def _selection(using: str, options: dict[str, Any]) -> Selection:
    return Selection.of(
        using, model=options["model"], since=options["since"], mixed=options["mixed"]
    )


def _side_by_side(change: Change, using: str) -> dict[str, Any]:
    event, (text, fidelity, reason), outcome = change
    return {
        **described(event, outcome, using),
        "stored": text,
        "stored_fidelity": Fidelity(fidelity).name.lower(),
        "stored_reason": reason,
    }
