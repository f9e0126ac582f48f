from __future__ import annotations

from argparse import ArgumentParser
from time import monotonic
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command
from django.db import DatabaseError, connection

from ... import ownership


class Command(BaseCommand):
    help = (
        "Shows auditrepr on real data: loads the world's countries, subdivisions and languages, "
        "replays what happened to them, and reads the audit log. Works only in a database that "
        "is empty or holds nothing but this demo."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-progress", action="store_true", help="Show no progress bar, even on a terminal."
        )

    def handle(self, *, no_progress: bool, verbosity: int, **options: Any) -> None:
        started = monotonic()
        self.refuse_what_is_not_ours()
        call_command("migrate", verbosity=0, interactive=False)
        self.run_steps()
        self.say("Building the representations …")
        call_command(
            "backfill_reprs", no_progress=no_progress, stdout=self.stdout, verbosity=verbosity
        )
        self.show_log(started)
        self.say_what_next()

    def refuse_what_is_not_ours(self) -> None:
        try:
            found = ownership.not_ours()
        except DatabaseError as error:
            reason = " ".join(str(error).split())
            raise CommandError(f"The database cannot be used: {reason}") from error
        if found:
            name = connection.settings_dict["NAME"]
            raise CommandError(
                f"The demo only writes to a database of its own, but {name} holds {found}. "
                "Set DATABASE_URL to an empty database."
            )

    def run_steps(self) -> None:
        from ... import steps

        remaining = list(steps.remaining())
        if not remaining:
            self.say("The gazetteer is loaded already, and its history replayed.")
        for name, apply in remaining:
            self.stdout.write(f"  {name}")
            self.stdout.flush()
            steps.take(name, apply)

    def show_log(self, started: float) -> None:
        from ... import excerpt

        self.say("The audit log, in part (event, what was done, to which object, what changed):")
        for line in excerpt.lines():
            self.stdout.write(line)
        counts = ", ".join(f"{count} {what}" for what, count in excerpt.numbers().items())
        self.say(f"{counts}, {monotonic() - started:.1f} seconds")

    def say_what_next(self) -> None:
        from ... import steps

        password = steps.create_user()
        self.say("What next")
        self.stdout.write("  Read it in the browser:  ./manage.py runserver")
        if password:
            login = f"user {steps.USERNAME}, password {password} (shown only now)"
        else:
            login = f"user {steps.USERNAME}; new password: manage.py changepassword"
        self.stdout.write(f"    http://127.0.0.1:8000/admin/auditrepr/auditlog/  {login}")
        self.stdout.write(
            "  The same on PostgreSQL:  DATABASE_URL=postgres://user:password@host/empty_database"
            " ./manage.py demo"
        )

    def say(self, text: str) -> None:
        self.stdout.write("\n" + self.style.MIGRATE_HEADING(text))
