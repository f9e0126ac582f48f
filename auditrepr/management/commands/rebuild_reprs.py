"""Rebuilds stored representations, for example after improving ``__str__``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...exceptions import AuditReprError, NotAudited
from ...job import logs, preflight
from ...job.rebuilding import rebuild
from ...job.rebuilding.preview import Change, preview
from ...job.rebuilding.selection import Selection
from ...job.rounds import shares
from ...job.runs.result import Result
from ...models import Fidelity, StopReason
from ...utils.phrases import counted
from ...utils.text import visible
from ..base import ENDED
from ..dry_run import described, table
from ..options import moment, some
from ..shared import SharedCommand
from ..usage import USAGE, check_exclusive

ARROW = "  →  "
NO_TEXT = "(str() raised)"


class Command(SharedCommand):
    help = (
        "Rebuild stored representations, for example after improving a __str__(), and update"
        " those that differ. A representation that can no longer be built keeps its text; final"
        " events, as of which __str__() raised, are built once more."
        " backfill_reprs cannot run meanwhile, except with --workers: on a large log, use it, or"
        " limit the run with --max-seconds and continue with --resume. Exit codes: 0 success, or"
        " lock held; 1 error; 2 wrong usage; 75 lock held (--fail-if-locked); 128+n stopped by"
        " signal n."
    )
    checked = SharedCommand.checked | {"since": moment, "model": some}
    shared = "a large log"
    command = shares.REBUILD
    given_up: object = None

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add(
            "--model",
            type=some,
            metavar="APP.MODEL",
            help="Only events of this model, such as shop.Order.",
        )
        add(
            "--since",
            type=moment,
            metavar="DATE",
            help="Only events from this date or time on (ISO 8601).",
        )
        add("--mixed", action="store_true", help="Only mixed representations.")
        once = parser.add_mutually_exclusive_group()
        once.add_argument(
            "--dry-run",
            action="store_true",
            help="Show the old and new text of the first batch; write nothing.",
        )
        once.add_argument(
            "--resume",
            action="store_true",
            help="Continue the interrupted rebuild with its original selection.",
        )

    def check_options(self, options: dict[str, Any], *, dry_run: bool) -> None:
        super().check_options(options, dry_run=dry_run)
        check_exclusive({**options, "dry_run": dry_run}, "dry_run", "resume")
        if options["resume"] and (options["model"] or options["since"] or options["mixed"]):
            raise CommandError(
                "--resume keeps the original selection: it cannot be combined with --model,"
                " --since or --mixed.",
                returncode=USAGE,
            )
        try:
            _selection(options["database"], options)
        except NotAudited as error:
            raise CommandError(visible(f"argument --model: {error}"), returncode=USAGE) from error
        except AuditReprError as error:
            raise CommandError(visible(str(error))) from error

    def run(self, using: str, options: dict[str, Any], before: Result | None, **how: Any) -> Result:
        preflight.check(using)
        selection = None if options["resume"] else _selection(using, options)
        self.given_up = rebuild.unfinished(using) if selection else None
        crew = self.crew(using, options)
        return rebuild.run(using, selection, workers=options["workers"], crew=crew, **how)

    def report_work(self, using: str, result: Result) -> None:
        if self.given_up:
            self.say(1, "Discarded an interrupted rebuild. To continue one instead, use --resume.")
        self.say(
            1,
            f"{logs.named(using)}: Rebuilt {counted(result.again, 'representation')},"
            f" {result.rows:,} changed ({counted(result.batches, 'batch', 'batches')},"
            f" {result.seconds:,.1f} s). {ENDED[result.stop_reason]}",
        )
        if result.failures:
            self.say(1, f"{result.failures:,} could not be rebuilt and keep their text.")
            self.say(1, f"First failure: {result.first_failure}")
        failed_at_once = result.stop_reason is StopReason.ERROR and not result.batches
        if result.stop_reason is not StopReason.CAUGHT_UP and not failed_at_once:
            self.say(1, "To continue: manage.py rebuild_reprs --resume")

    def preview(self, using: str, options: dict[str, Any]) -> None:
        selection = _selection(using, options)
        found = preview(using, selection, batch_size=options["batch_size"])
        shown = found.changes[: options["limit"]]
        rows = [_side_by_side(change, using) for change in shown]
        failing = sum(change.outcome.failure is not None for change in found.changes)
        changing = len(found.changes) - failing
        if self.json:
            count = {"looked_at": found.looked_at, "would_change": changing}
            document = {"database": using, **count, "would_fail": failing, "events": rows}
            self.documents.append(document)
            return
        for row in rows:
            stored = NO_TEXT if row["stored"] is None else row["stored"]
            row["representation"] = f"{stored}{ARROW}{row['representation']}"
            if row["error"]:
                row["error"] = f"{row['error']}; keeps its text: {row['stored']}"
        for line in table(rows):
            self.say(1, line)
        first = counted(found.looked_at, "representation")
        summary = f"{logs.named(using)}: {changing:,} of {first} in the first batch would change"
        kept = f", {failing:,} cannot be rebuilt and would keep their text" if failing else ""
        self.say(1, f"{summary}{kept}. Nothing was written.")


def _selection(using: str, options: dict[str, Any]) -> Selection:
    return Selection.of(
        using, model=options["model"] or "", since=options["since"], mixed=options["mixed"]
    )


def _side_by_side(change: Change, using: str) -> dict[str, Any]:
    text, fidelity, reason = change.stored or (None, None, "")
    return {
        **described(change.event, change.outcome, using),
        "stored": text,
        "stored_fidelity": fidelity and Fidelity(fidelity).name.lower(),
        "stored_reason": reason,
    }
