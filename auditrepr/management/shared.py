"""What the commands that several workers can share have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from ..job import logs
from ..job.runs.result import Result
from ..utils.text import visible
from ..vendors import get_vendor
from .base import JobCommand
from .job_options import CHECKED
from .options import worker_count
from .usage import check_workers
from .workers import Workers


class SharedCommand(JobCommand):
    """A job command with the option --workers."""

    checked: ClassVar[dict[str, Callable[[Any], Any]]] = CHECKED | {"workers": worker_count}
    #: What the workers share.
    shared: ClassVar[str]
    #: The command that runs.
    command: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--workers",
            type=worker_count,
            default=1,
            metavar="N",
            help=f"Let this many processes of this host share {self.shared}. On SQLite, they"
            " build at the same time, but store one after the other. Default: %(default)s.",
        )

    def check_options(self, options: dict[str, Any], *, dry_run: bool) -> None:
        super().check_options(options, dry_run=dry_run)
        check_workers(options)

    def crew(self, using: str, options: dict[str, Any]) -> Workers | None:
        """Return the other workers, if there are to be any."""
        if options["workers"] == 1:
            return None
        if get_vendor(using).one_writer:
            self.say(
                1 if self.on_terminal() else 2,
                f"{logs.named(using)}: This database has one writer at a time: workers build at the"
                " same time, but store one after the other.",
            )
        return Workers(using, self.command, batch_size=options["batch_size"])

    def finish(self, using: str, options: dict[str, Any], result: Result) -> int:
        others = "" if result.limited else " Other workers did its share."
        for worker in result.lost_workers:
            self.stderr.write(visible(f"{using}: A worker ended early ({worker}).{others}"))
        return super().finish(using, options, result)
