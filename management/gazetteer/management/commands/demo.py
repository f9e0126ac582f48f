from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from time import monotonic
from types import ModuleType
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command
from django.db import DatabaseError, connection

from ... import excerpt, ownership, people

#: Each question that the admin answers, with the steps to the answer; a test takes them.
TO_TRY = """\
  What to try there:
    Who renamed Turkey?     type turkey under Text; click Türkiye
    What did Sofia do?      type sof under Part of a name; click sofia
      In one request?       there click the time of Western European Union; click its request ID
    What was deleted?       click Subdivision; click deleted; click Picardie, France
      Before that?          there click the time of deleted;
                            click The whole object as of this event
      Back again?           there click Put the object back to this state; press Put back
    Who promoted Sofia?     click Users; click sofia; click History
    And you?                click Countries; click Albania; type Shqipëria under Common name;
                            press Save and continue editing; click History
"""


class Command(BaseCommand):
    help = (
        "Show auditrepr on real data: load the world's countries, subdivisions and languages, "
        "replay their history, and print part of the audit log. Requires a database that is "
        "empty or holds only this demo."
    )

    # Checks may connect to the server; if it does not answer, the error must be one line.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-progress", action="store_true", help="Do not show a progress bar."
        )

    def handle(self, *, no_progress: bool, verbosity: int, **options: Any) -> None:
        started = monotonic()
        steps = _steps()
        self.refuse_what_is_not_ours()
        call_command("migrate", verbosity=0, interactive=False)
        self.run(steps)
        password = people.create_visitor()
        self.say("Building the representations:")
        call_command("backfill_reprs", no_progress=no_progress, verbosity=verbosity)
        self.show_log(started)
        self.say_what_next(password)

    def refuse_what_is_not_ours(self) -> None:
        try:
            found = ownership.not_ours()
        except DatabaseError as error:
            reason = " ".join(str(error).split())
            raise CommandError(f"Could not use the database: {reason}") from error
        if found:
            name = connection.settings_dict["NAME"]
            raise CommandError(
                f"The demo only writes to a database of its own, but {name} holds {found}. "
                "Set DATABASE_URL to an empty database."
            )

    def run(self, steps: ModuleType) -> None:
        remaining = list(steps.remaining())
        if remaining:
            self.say("Loading, then replaying what happened since:")
        else:
            self.say("The gazetteer is already loaded and its history replayed.")
        for part in remaining:
            self.stdout.write(f"  {part.name}")
            self.stdout.flush()
            steps.take(part)

    def show_log(self, started: float) -> None:
        self.say(
            "The audit log, in part (event, what was done, to which object, by whom, changes):"
        )
        for line in excerpt.lines():
            self.stdout.write(line)
        self.say("Germany and Türkiye as of earlier events, and where they belonged then:")
        for line in excerpt.answers():
            self.stdout.write(line)
        counts = ", ".join(f"{count} {what}" for what, count in excerpt.numbers().items())
        self.say(f"The audit log in numbers: {counts}; {monotonic() - started:.1f} seconds")

    def say_what_next(self, password: str | None) -> None:
        manage = _manage()
        if password:
            login = f"password {password}, shown only now"
        else:
            login = f"for a new password: {manage} changepassword {people.VISITOR}"
        self.say("What next:")
        self.stdout.write(
            f"  Read it in the browser:   {manage} runserver\n"
            "                            http://127.0.0.1:8000/admin/auditrepr/auditlog/\n"
            f"                            as {people.VISITOR} ({login})\n"
            f"{TO_TRY}"
            f"  The same on PostgreSQL:   DATABASE_URL=postgres://user:password@host/empty_database"
            f" {manage} demo"
        )

    def say(self, text: str) -> None:
        self.stdout.write("\n" + self.style.MIGRATE_HEADING(text))


def _steps() -> ModuleType:
    try:
        from ... import steps
    except ModuleNotFoundError as error:
        raise CommandError(
            f"The demo needs {error.name}, which is not installed. Run: pip install -e '.[demo]'"
        ) from error
    return steps


def _manage() -> str:
    """Return the command line that runs manage.py as it runs now."""
    python, here = sys.executable, os.getcwd() + os.sep
    return f"{python.removeprefix(here)} {os.path.relpath(sys.argv[0])}"
