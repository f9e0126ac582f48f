"""The triggers by hand: ``migrate`` installs them by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error, connections

from ... import capture
from ...capture import append_only
from ...conf import get_settings
from ...exceptions import AuditReprError
from ...job import preflight
from ...job.rights import explained, refused
from ...models import Coverage
from ...utils.text import visible
from ..terminal import TerminalCommand


class Command(TerminalCommand):
    help = (
        "The triggers that write the audit log. check: exit 1 and name every table whose triggers"
        " are missing, outdated or disabled. install: mend those. remove: drop them all; what is"
        " in the log stays. sql: print what installs them."
    )
    # Broken models must not keep anyone from removing the triggers.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("check", "install", "remove", "sql"))
        parser.add_argument(
            "--database",
            choices=tuple(connections),
            help="Only this one; by default every database that holds an audit log.",
        )
        parser.add_argument(
            "--append-only",
            action="store_true",
            help="With install and sql: the log refuses to be changed, too, as it does without"
            ' this option if AUDITREPR["APPEND_ONLY"] is true.',
        )

    def handle(
        self, *, action: str, database: str | None, append_only: bool, verbosity: int, **_: Any
    ) -> None:
        if append_only and action not in ("install", "sql"):
            raise CommandError(f"--append-only does not go with {action}.", returncode=2)
        self.append_only = append_only
        self.verbosity = verbosity
        act = getattr(self, f"_{action}")
        using = database or DEFAULT_DB_ALIAS
        complaints: list[str] = []
        try:
            # Nothing needs the log less than taking the triggers away.
            for using in capture.databases(database, with_log=action != "remove"):
                complaints += act(using)
        except (AuditReprError, Error) as error:
            said = explained(error, using, writes=[Coverage._meta.db_table])
            if action != "check" and refused(error, using):
                said += " Run this as the role that owns the audited tables."
            raise CommandError(visible(said)) from error
        if complaints:
            raise CommandError("\n".join(complaints))

    def _check(self, using: str) -> Iterable[str]:
        states = capture.inspect(using)
        capture.note_gaps(using)
        for state in states:
            self._say(2, f"{using}: {state.name}: {state.status.value}")
        broken = [state for state in states if state.status in capture.BROKEN]
        if broken:
            yield from (f"{using}: {s.name}: triggers {s.status.value}" for s in broken)
        if unguarded := append_only.missing(using):
            yield f"{using}: {append_only.LOG}: it is not append-only"
        if broken or unguarded:
            yield f"Run: manage.py audit_triggers install --database {using}"
        else:
            self._say(1, f"{using}: all triggers are in order.")

    def _install(self, using: str) -> Iterable[str]:
        preflight.commits(using)
        changed = capture.install(using)
        for state in changed:
            self._say(1, f"{using}: {state.name}: triggers were {state.status.value}, mended")
        guarded = self._guards() and append_only.install(using)
        if guarded:
            self._say(1, f"{using}: {append_only.LOG}: append-only from now on")
        if self.append_only and not get_settings().APPEND_ONLY:
            self._say(1, 'Set AUDITREPR["APPEND_ONLY"] to True, so that migrate keeps it so.')
        if not changed and not guarded:
            self._say(1, f"{using}: all triggers are in order.")
        return ()

    def _remove(self, using: str) -> Iterable[str]:
        preflight.commits(using)
        names = capture.remove(using)
        listed = f": {', '.join(names)}" if names else ""
        self._say(1, f"{using}: triggers removed from {len(names)} tables{listed}")
        return ()

    def _sql(self, using: str) -> Iterable[str]:
        guards = append_only.script(using) if self._guards() else []
        for statement in capture.script(using) + guards:
            self.stdout.write(statement.strip().removesuffix(";") + ";")
        return ()

    def _guards(self) -> bool:
        return self.append_only or get_settings().APPEND_ONLY

    def _say(self, level: int, text: str) -> None:
        if self.verbosity >= level:
            self.stdout.write(text)
