"""Why an import cannot be done, and what to do; a dry run says all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from ...capture import attachment
from ...exceptions import (
    AlreadyImported,
    AuditReprError,
    EventsMissed,
    EventsUnfit,
    RoundUnfinished,
    UntilTooLate,
)
from ...models import Import
from ...utils.phrases import counted, timestamp
from ...vendors import get_vendor
from ...vendors.import_types import FoundTable, Unfit
from ..rounds import shares
from .chosen import Chosen, Request, known

PROBLEMS = {
    "position": "have no position, or none that is a whole number",
    "shared": "have the position of another one",
    "table": "have no table_name, or none that is text",
    "action": "have another action than I, U, D and T",
    "key": "are of a TRUNCATE, and have an object_id or row_data",
    "object": "are of an audited table, and have no object_id",
    "row": "have no JSON object as row_data",
    "time": "have no occurred_at, or none that is a timestamptz that Python can read: of the years"
    " 1 to 9999 (on SQLite, text as Django stores times: 2026-01-31 12:00:00)",
    "changed": "have a changed_from that is not a JSON object",
    "context": "have no JSON object as context",
}


def of_others(using: str) -> Iterator[AuditReprError]:
    """Yield what others do that would have to end first.

    :raises LogAttached: if the log is another tool's.
    """
    attachment.refuse(using, "no events can be imported")
    if shares.exist(using):
        yield RoundUnfinished()


def of_times(request: Request, begins: datetime) -> Iterator[AuditReprError]:
    """Yield what the times and earlier imports forbid."""
    if request.until is not None:
        if request.until > begins:
            yield UntilTooLate(beginning=option(begins))
        return
    for done in Import.objects.using(request.using).exclude(finished_at=None).order_by("-pk"):
        for source in set(done.sources).intersection(request.sources):
            yield AlreadyImported(
                source=source, until=timestamp(done.until), beginning=option(begins)
            )


def of_events(using: str, chosen: Sequence[Chosen]) -> Iterator[AuditReprError]:
    """Yield what of the events is not as the contract wants it."""
    for source, of_source in groupby(chosen, lambda one: one.source.name):
        wrongs = [
            get_vendor(using).unfit_events(
                one.selection, known(using) if one.source.says_keys else ()
            )
            for one in of_source
        ]
        sums = Unfit(*map(sum, zip(*wrongs, strict=True)))
        problems = [
            f"{number:,} {PROBLEMS[kind]}" for kind, number in sums._asdict().items() if number
        ]
        if problems:
            yield EventsUnfit(source=source, problems=", ".join(problems))


def of_missed(
    request: Request, begins: datetime, found: Mapping[str, Sequence[FoundTable]]
) -> Iterator[AuditReprError]:
    """Yield what would be lost between the events that are imported and those of the log."""
    for source, tables in found.items():
        missed = [f"{counted(one.missed, 'event')} of {one.name}" for one in tables if one.missed]
        if missed and request.until is None:
            yield EventsMissed(source=source, tables=", ".join(missed), beginning=option(begins))


def option(moment: datetime) -> str:
    """Return the time as ``--until`` takes it."""
    return timestamp(moment, precise=True).replace(" ", "T")
