"""How the job stands, on one screen and for monitoring; and the lock, in an emergency."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS

from ...job import preflight, status
from ...job.locks import lease
from ...job.status import Status
from ...utils.text import visible
from .. import status_formats
from ..options import check_database, check_options
from ..terminal import TerminalCommand, answer, errors_as_messages

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: Any) -> float:
    """Seconds, from ``10m``, ``90s``, ``2h``, ``1d``, or a bare number of them.

    :raises ArgumentTypeError: if it is none of these.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([smhd]?)", str(text))
    if not found:
        raise ArgumentTypeError(f"{str(text)!r} is no span of time: write 10m, 90s, 2h or 1d")
    return float(found[1]) * UNITS[found[2]]


class Command(TerminalCommand):
    help = (
        "Show how the job stands: what is pending and since when, who is at work, the last runs,"
        " the quarantine, the triggers. Exit codes: 0; 1 if the oldest pending row has waited for"
        " longer than --max-lag, or on an error; 2 usage."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="Default: %(default)s.")
        add("--format", choices=("text", "json", "prometheus"), default="text")
        add(
            "--max-lag",
            type=duration,
            metavar="10m",
            help="Exit 1 if the oldest pending row has waited for longer: 90s, 10m, 2h, 1d.",
        )
        add(
            "--release-lock",
            action="store_true",
            help="Take the database lock from a run that hangs: it can store nothing more.",
        )
        add("--no-input", "--noinput", action="store_false", dest="interactive", help="Do not ask.")

    def handle(self, *, database: str, release_lock: bool, **options: Any) -> None:
        if "NO_COLOR" in os.environ:
            self.style = no_style()
        check_options(options, {"max_lag": duration})
        check_database(database)
        with errors_as_messages():
            if release_lock:
                self._release(database, options["interactive"])
                return
            found = status.of(database)
        limit = options["max_lag"]
        getattr(self, f"_{options['format']}")(found)
        if limit is not None and found.lag > limit:
            waited, allowed = status_formats.span(found.lag), status_formats.span(limit)
            raise CommandError(
                f"The oldest pending row has waited for {waited}; --max-lag allows {allowed}."
            )

    def _text(self, found: Status) -> None:
        for line in status_formats.lines(found):
            self.stdout.write(self.style.ERROR(line.text) if line.alarming else line.text)

    def _json(self, found: Status) -> None:
        document = status_formats.document(found)
        self.stdout.write(json.dumps(document, indent=2, cls=DjangoJSONEncoder))

    def _prometheus(self, found: Status) -> None:
        self.stdout.write("\n".join(status_formats.metrics(found)))

    def _release(self, using: str, interactive: bool) -> None:
        preflight.commits(using)
        held = status.lease(using)
        if held is None:
            self.stdout.write("Nobody holds the database lock.")
            return
        who = visible(str(held.holder or "somebody"))
        if interactive:
            self._confirm(who)
        if not lease.release(using, held.token):
            raise CommandError(
                f"The lock was not released: {who} is storing a batch now, or has let it go."
                " Look again: manage.py backfill_status"
            )
        self.stdout.write(f"The lock is free. {who} can store nothing more.")

    def _confirm(self, who: str) -> None:
        if not sys.stdin.isatty():
            raise CommandError("Nobody is there to be asked: give --no-input to release the lock.")
        self.stdout.write(f"The lock is held by {who}. What it has not stored yet will be undone.")
        if answer("Release the lock? [y/N] ").lower() not in ("y", "yes"):
            raise CommandError("The lock was not released.")
