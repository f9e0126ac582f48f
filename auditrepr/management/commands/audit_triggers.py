"""Manages the triggers by hand; ``migrate`` installs them automatically."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error, connections

from ... import capture, sources
from ...capture import append_only, attachment, inspection
from ...capture.state import State
from ...conf import get_settings
from ...exceptions import (
    AuditReprError,
    DatabaseUnreachable,
    IndexesMissing,
    TablesLeaving,
    UnknownSource,
)
from ...job import logs, preflight
from ...job.monitoring import findings
from ...job.partitions.making import keep_ahead
from ...job.rights import explained, refused
from ...models import Coverage
from ...utils.phrases import counted
from ...utils.text import visible, visible_lines
from ...vendors import get_vendor
from .. import attaching
from ..options import database_alias
from ..terminal import TerminalCommand
from ..usage import USAGE, check_options


class Command(TerminalCommand):
    help = (
        "Manage the triggers that write the audit log. check: exit with code 1 and list the"
        " tables whose triggers are missing, outdated, disabled or left over. install: fix them."
        " remove: drop all triggers and keep the log. sql: print the SQL that installs the"
        " triggers. attach SOURCE: read another log in place of an empty one, without a copy; see"
        " docs/attach.md. detach: undo that."
    )
    # Broken models must not keep anyone from removing the triggers.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action",
            choices=("check", "install", "remove", "sql", "attach", "detach"),
            help="What to do; see above.",
        )
        parser.add_argument(
            "source", nargs="?", metavar="SOURCE", help="With attach: the log to read."
        )
        parser.add_argument(
            "--database",
            type=database_alias,
            metavar="ALIAS",
            help="Database to work on. Default: every database that has an audit log.",
        )
        parser.add_argument(
            "--append-only",
            action="store_true",
            help="With install and sql: also make the log append-only. Implied by"
            ' AUDITREPR["APPEND_ONLY"] = True.',
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="With attach: show what prevents it, and how the log would read; change nothing.",
        )

    def handle(self, *, action: str, append_only: bool, verbosity: int, **options: Any) -> None:
        check_options(options, {"database": database_alias})
        if append_only and action not in ("install", "sql"):
            raise CommandError(
                f"--append-only cannot be used with {action}, only with install and sql.",
                returncode=USAGE,
            )
        _check_usage(action, options)
        self.append_only = append_only
        self.source, self.dry_run = options["source"], options["dry_run"]
        self.verbosity = verbosity
        act = getattr(self, f"_{action}")
        using = options["database"] or DEFAULT_DB_ALIAS
        complaints: list[str] = []
        try:
            for using in (chosen := _chosen(action, options["database"])):
                # remove works without the log's tables.
                if lost := _unreachable(using, alone=len(chosen) == 1, log=action != "remove"):
                    complaints.append(visible(lost))
                else:
                    complaints += act(using)
        except IndexesMissing as error:  # its statements are lines, to be copied
            raise CommandError(visible_lines(str(error))) from error
        except UnknownSource as error:
            raise CommandError(visible(str(error)), returncode=USAGE) from error
        except (AuditReprError, Error) as error:
            said = explained(error, using, writes=[Coverage._meta.db_table])
            if action != "check" and refused(error, using):
                said += " Run this as the role that owns the audited tables."
            raise CommandError(visible(said)) from error
        if complaints:
            raise CommandError("\n".join(complaints))

    def _attach(self, using: str) -> Iterable[str]:
        for line in attaching.attach(using, self.source, dry_run=self.dry_run):
            self._say(1, line)
        return ()

    def _detach(self, using: str) -> Iterable[str]:
        for line in attaching.detach(using):
            self._say(1, line)
        return ()

    def _check(self, using: str) -> Iterable[str]:
        if found := attachment.attached(using):
            yield from attaching.check(using, found, partial(self._say, 1))
            return
        states = capture.inspect(using)
        capture.note_gaps(using)
        for state in states:
            self._say(2, f"{using}: {state.name}: {state.status.value}")
        broken = [state for state in states if state.status in capture.BROKEN]
        if broken:
            yield from (f"{using}: {s.name}: triggers {s.status.value}" for s in broken)
        if unguarded := append_only.missing(using):
            yield f"{using}: {append_only.LOG}: not append-only"
        if waiting := self._waiting(states):
            listed = ", ".join(waiting)
            self._say(1, f"{using}: {listed}: a pending migration changes it. {_migrate(using)}")
        if broken or unguarded:
            yield findings.to_run(using)
        lost = get_vendor(using).swallowing()
        for one in lost:
            yield f"{using}: {append_only.LOG}: may lose events because of {one.cause}"
            yield f"{using}: As the owner of the log, run: {one.remedy}"
        if not (broken or unguarded or lost):
            self._say(1, f"{using}: all triggers are OK.")

    def _install(self, using: str) -> Iterable[str]:
        attachment.refuse(using, "auditrepr's triggers are not installed")
        preflight.commits(using)
        changed = capture.install(using)
        for state in changed:
            self._say(1, f"{using}: {state.name}: triggers fixed (were {state.status.value})")
        guarded = self._guards() and append_only.install(using)
        if (parts := keep_ahead(using)) and parts.made:
            self._say(1, f"{using}: made {counted(parts.made, 'table')} for partitions ahead")
        if guarded:
            self._say(1, f"{using}: {append_only.LOG}: now append-only")
        if self.append_only and not get_settings().APPEND_ONLY:
            self._say(
                1,
                'To have migrate and check keep it that way, set AUDITREPR["APPEND_ONLY"] = True.',
            )
        if waiting := self._waiting(capture.inspect(using)):
            yield str(TablesLeaving(alias=using, names=", ".join(waiting)))
        elif not changed and not guarded:
            self._say(1, f"{using}: all triggers are OK.")

    def _remove(self, using: str) -> Iterable[str]:
        attachment.refuse(using, "auditrepr has no triggers to remove")
        preflight.commits(using)
        names = capture.remove(using)
        listed = f": {', '.join(names)}" if names else ""
        self._say(1, f"{using}: removed the triggers of {counted(len(names), 'table')}{listed}")
        return ()

    def _sql(self, using: str) -> Iterable[str]:
        attachment.refuse(using, "auditrepr's triggers are not installed")
        guards = append_only.script(using) if self._guards() else []
        for statement in capture.script(using) + guards:
            self.stdout.write(statement.strip().removesuffix(";") + ";")
        return ()

    @staticmethod
    def _waiting(states: Iterable[State]) -> list[str]:
        return [state.name for state in states if state.waits]

    def _guards(self) -> bool:
        return self.append_only or get_settings().APPEND_ONLY

    def _say(self, level: int, text: str) -> None:
        if self.verbosity >= level:
            self.stdout.write(text)


def _chosen(action: str, using: str | None) -> list[str]:
    """Return the databases to work on; without a name, those that have a log, each log once."""
    if using or action in ("attach", "detach"):
        return [using or DEFAULT_DB_ALIAS]
    if action == "remove":
        return list(filter(inspection.may_hold_log, connections)) or [DEFAULT_DB_ALIAS]
    return logs.aliases()


def _unreachable(using: str, *, alone: bool, log: bool) -> str:
    """Return why one of several databases cannot be worked on, which keeps no other from its turn.

    :param log: it must hold a log.
    :raises AuditReprError: if it is the only one, or holds no log.
    """
    try:
        capture.databases(using, with_log=log)
        inspection.connect(using)
    except DatabaseUnreachable as error:
        if alone:
            raise
        return str(error)
    return ""


def _check_usage(action: str, options: dict[str, Any]) -> None:
    """Check that what belongs to attach comes with it.

    :raises CommandError: with exit code 2.
    """
    if action == "attach" and not options["source"]:
        raise CommandError(
            f"attach requires the name of a source: {', '.join(sources.names())}.",
            returncode=USAGE,
        )
    if action != "attach" and (options["source"] or options["dry_run"]):
        given = "--dry-run" if options["dry_run"] else f"SOURCE ({options['source']})"
        raise CommandError(
            f"{given} cannot be used with {action}, only with attach.", returncode=USAGE
        )


def _migrate(using: str) -> str:
    return f"Run: manage.py migrate --database {using}"
