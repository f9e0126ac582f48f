"""Exports the log: for a spreadsheet, for an archive, or for a SIEM that follows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error

from ... import capture
from ...exceptions import AuditReprError, NotAudited, OutputBusy
from ...job.rights import explained
from ...job.runs.result import Progress
from ...models import AuditLog, AuditLogQuerySet
from ...readers import export_selection as selection
from ...readers.export import Bounds, Export, said_after, settled_now, visible_now
from ...readers.export_formats import FORMATS, Format
from ...readers.object_events import tables_of
from ...utils.phrases import counted
from ...utils.text import visible
from ..export_output import AppendedFile, NewFile, Output, Position, StreamOutput
from ..options import (
    add_database,
    database_alias,
    end,
    moment,
    one_of,
    some,
    start_after,
)
from ..progress import progress_bar
from ..signals import stopping_on_signals
from ..terminal import TerminalCommand, is_terminal
from ..usage import USAGE, check_exclusive, check_options

#: EX_TEMPFAIL.
BUSY = 75
#: Seconds after which what was written is made last, and its position is stored.
COMMIT = 5.0

#: The options to check here, too: call_command() passes them unchecked.
CHECKED: dict[str, Callable[[Any], Any]] = {
    "database": database_alias,
    "since": moment,
    "until": end,
    "follow_from": start_after,
    "model": some,
    "actor": some,
    "format": one_of(FORMATS),
}


class Command(TerminalCommand):
    help = (
        "Write events as CSV or JSON Lines, in the order of their IDs, with representation, actor,"
        " reason and changes. The last record says whether the export is complete and from where to"
        " continue. With --follow-from or --position-file only settled events are written, which"
        " are never pending and which no later commit precedes; --output is then appended to."
        " Each event is sent once: representations that are rebuilt or retried later, and events"
        " that are imported with lower IDs, are not sent again. Exit codes: 0 success; 1 error; 2"
        " wrong usage; 75 another export writes to the same file; 128+n stopped by signal n."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--format", choices=tuple(FORMATS), required=True, help="Format of the export.")
        _add_selection(parser)
        add("--output", type=Path, metavar="FILE", help="File to write. Default: standard output.")
        _add_position(parser)
        add_database(parser, "Database to export from.")
        add("--no-progress", action="store_true", help="Do not show a progress bar.")

    def handle(self, **options: Any) -> None:
        check_options(options, CHECKED, required=("database", "format"))
        check_exclusive(options, "follow_from", "position_file")
        if options["object"] is not None and options["model"] is None:
            message = "argument --object: requires --model, because objects of several models can"
            raise CommandError(f"{message} have the same ID.", returncode=USAGE)
        if options["since"] and options["until"] and options["since"] >= options["until"]:
            raise CommandError("argument --until: must be after --since", returncode=USAGE)
        self.verbosity = options["verbosity"]
        using, form = options["database"], FORMATS[options["format"]]()
        file = options["position_file"]
        self.position = Position(Path(file)) if file else None
        with stopping_on_signals() as received:
            try:
                capture.databases(using)
                export = self._export(using, options, lambda: bool(received))
                output = self._output(options, form)
                self._write(export, output, form, show=not options["no_progress"])
            except NotAudited as error:
                said = visible(f"argument --model: {error}")
                raise CommandError(said, returncode=USAGE) from error
            except OutputBusy as error:
                raise CommandError(visible(str(error)), returncode=BUSY) from error
            except (AuditReprError, Error) as error:
                raise CommandError(visible(explained(error, using))) from error
            self._report(export, options["output"])
        if received:
            sys.exit(128 + received[0])

    def _export(self, using: str, options: dict[str, Any], stop: Callable[[], bool]) -> Export:
        after = self.position.read() if self.position else options["follow_from"]
        self.following = after is not None
        bounds = visible_now(using) if after is None else settled_now(using, after)
        events, bounds = _selected(using, bounds, options)
        return Export(events, bounds, stop=stop)

    def _output(self, options: dict[str, Any], form: Format) -> Output:
        path = options["output"] and Path(options["output"])
        if not path:
            return StreamOutput(self.stdout)
        return AppendedFile(path, form) if self.following else NewFile(path)

    def _write(self, export: Export, output: Output, form: Format, *, show: bool) -> None:
        """Write the export, and in any case how it ended."""
        whole = False
        try:
            if output.fresh:
                output.write(form.head())
            with progress_bar(show=show and not is_terminal(self.stdout), done="exported") as draw:
                try:
                    self._write_pages(export, output, form, draw)
                except Error:
                    output.write(_last(export, form, "error"))
                    raise
            output.write(_last(export, form, "complete" if export.complete else "stopped"))
            output.commit()
            whole = export.complete
        finally:
            output.close(whole=whole)
        if self.position:
            self.position.store(export.continue_from)

    def _write_pages(
        self, export: Export, output: Output, form: Format, draw: Callable[[Progress], None]
    ) -> None:
        after, upto = export.bounds.after, export.bounds.upto
        committed = time.monotonic()
        for page in export.pages():
            if page.records:
                output.write(b"".join(map(form.line, page.records)))
            draw(Progress(page.reached - after, upto - after, export.count, 0))
            # A reader of standard output may end before it has read all: only its end is certain.
            if not isinstance(output, StreamOutput) and time.monotonic() - committed > COMMIT:
                output.commit()
                if self.position:
                    self.position.store(export.continue_from)
                committed = time.monotonic()

    def _report(self, export: Export, path: Any) -> None:
        told = sys.stderr if path is None else self.stdout
        if self.verbosity < 2 and not is_terminal(told):
            return
        where = f" to {path}" if path is not None else ""
        text = f"Exported {counted(export.count, 'event')}{where}."
        if not export.complete:
            kept = path is None or self.following
            text += " Stopped by a signal" + ("." if kept else ": the file was not written.")
        text += f" To continue: --follow-from {said_after(export.continue_from)}"
        (self.stderr if path is None else self.stdout).write(visible(text))


def _add_selection(parser: CommandParser) -> None:
    add = parser.add_argument
    add(
        "--model",
        type=some,
        metavar="APP.MODEL",
        help="Only events of this model, such as shop.Order, or of a table that has none.",
    )
    add("--object", metavar="ID", help="Only events of the object with this ID; needs --model.")
    add(
        "--actor",
        type=some,
        metavar="USER",
        help="Only events of this actor: the user's primary key.",
    )
    add(
        "--since",
        type=moment,
        metavar="DATE",
        help="Only events from this date or time on (ISO 8601).",
    )
    add(
        "--until",
        type=end,
        metavar="DATE",
        help="Only events up to the end of this date, or before this time (ISO 8601).",
    )


def _add_position(parser: CommandParser) -> None:
    follow = parser.add_mutually_exclusive_group()
    follow.add_argument(
        "--follow-from",
        type=start_after,
        metavar="ID",
        help="Only settled events after this ID: start for all of them, or what the last record"
        " of the previous export says.",
    )
    follow.add_argument(
        "--position-file",
        type=Path,
        metavar="FILE",
        help="Likewise, after the ID in this file, in which the new one is stored. If the file"
        " does not exist, the export starts with the first event.",
    )


def _selected(
    using: str, bounds: Bounds, options: dict[str, Any]
) -> tuple[AuditLogQuerySet, Bounds]:
    events = AuditLog.objects.using(using).all()
    if options["model"] is not None:
        table = selection.table_called(using, options["model"])
        if options["object"] is None:
            events = selection.of_tables(events, [table])
        else:
            tables = tables_of(table)
            events = selection.of_object(events, tables, str(options["object"]))
    if options["actor"] is not None:
        events = events.by(options["actor"])
    return selection.between(events, bounds, options["since"], options["until"])


def _last(export: Export, form: Format, how: str) -> bytes:
    return form.end(end=how, events=export.count, continue_from=said_after(export.continue_from))
