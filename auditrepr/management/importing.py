"""Puts the forecast of an import into words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ..job.importing import Abandoned, Erasures, Forecast, Imported
from ..sources import Facts, Source
from ..utils.phrases import counted, timestamp
from ..vendors.import_types import FoundTable

#: What becomes of events between those that are imported and the log's own.
MISSED = (
    "What auditrepr did not record cannot be imported after this import: imported events come"
    " before all others."
)


def about(database: str, found: Forecast) -> Iterator[str]:
    """Yield lines that say how many events of which tables would be imported, and how certain."""
    if found.left:
        left = counted(found.left, "event")
        yield f"{database}: Would continue the import that is unfinished: {left} are left."
        return
    total = sum(one.events for tables in found.tables.values() for one in tables)
    yield (
        f"{database}: Would import {counted(total, 'event')} from before {timestamp(found.until)}."
    )
    for source in found.sources:
        yield f"\n{source.name}: {_facts(source.facts)}"
        tables = [one for one in found.tables.get(source.name, ()) if one.events or one.missed]
        width = max((len(one.name) for one in tables), default=0)
        for one in tables:
            yield f"  {one.name.ljust(width)}  {_table(one)}{_fidelity(found, source, one)}"
        yield from _later(found.until, found.tables.get(source.name, ()))
        for what, number in found.left_out.get(source.name, {}).items():
            yield f"  Left out: {counted(number, 'event')} of {what}"
    missed = any(one.missed for tables in found.tables.values() for one in tables)
    if total and missed and not found.refusals:
        yield f"\n{MISSED}"
    if total:
        yield (
            "\nValues of an object's own row are exact where its event has them. What its"
            " representation reads of other objects is mixed: the source does not say what a"
            " transaction saw."
        )


def _later(until: datetime, tables: Sequence[FoundTable]) -> Iterator[str]:
    """Yield how many events come too late for the import, and are expected in auditrepr's log."""
    later = sum(one.later - one.missed for one in tables)
    future = sum(one.future for one in tables)
    if later:
        dated = f"; {future:,} {_are(future)} dated in the future" if future else ""
        yield f"  Left out: {counted(later, 'event')} from {timestamp(until)} on{dated}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _facts(facts: Facts) -> str:
    parts = [f"it orders {facts.order.value}"]
    if not facts.deletes:
        parts.append("it records no deletions unless it is told to")
    if not facts.before_images:
        parts.append("what an update changed is the difference to the object's event before")
    if not facts.whole_rows:
        parts.append("its events do not have all columns")
    if facts.texts:
        parts.append("what they call the object stands for a row that is not known")
    return "; ".join(parts)


def _fidelity(found: Forecast, source: Source, one: FoundTable) -> str:
    sampled = found.fidelity(source.name, one.name)
    if not sampled:
        return ""
    parts = ", ".join(f"{number} {what}" for what, number in sampled.most_common())
    return f"; of the latest {sampled.total()}: {parts}"


def _table(one: FoundTable) -> str:
    first, last = (timestamp(when) if when else "" for when in (one.first, one.last))
    if not one.events:
        return f"0 events ({counted(one.missed, 'later event')} that auditrepr did not record)"
    missed = f", {one.missed:,} later ones that auditrepr did not record" if one.missed else ""
    keyless = (
        f", {one.keyless:,} without an object ID, which no object's history shows"
        if one.keyless
        else ""
    )
    return (
        f"{counted(one.events, 'event')} from {first} to {last}, {one.whole:,} of them with all"
        f" columns of today's table{keyless}{missed}"
    )


def about_left_out(done: Imported) -> Iterator[str]:
    """Yield which events an import has left out."""
    if done.later:
        were = "was" if done.later == 1 else "were"
        yield f"{counted(done.later, 'later event')} {were} left out."
    if done.events and done.missed:
        yield (
            f"auditrepr did not record {done.missed:,} of them, and they can no longer be"
            " imported: imported events come before all others."
        )


def about_abandoned(database: str, ended: Abandoned) -> Iterator[str]:
    """Yield what an import that was ended has, and what becomes of the rest."""
    yield f"{database}: Ended the import; it has {counted(ended.events, 'event')}."
    if ended.left and ended.earliest:
        until = timestamp(ended.earliest, precise=True).replace(" ", "T")
        yield (
            f"{counted(ended.left, 'event')} {_are(ended.left)} left."
            f" To import those from before, use --until {until}"
        )
    if ended.lost:
        yield f"{ended.lost:,} of them {_are(ended.lost)} too late for that."
    if ended.lost is None:
        yield "The source cannot be read: some of them may be too late for that."
    if ended.events:
        yield "backfill_reprs stores their representations."


def about_erasures(found: Sequence[Erasures]) -> Iterator[str]:
    """Yield lines that say what was erased, and how to erase it from what is imported."""
    if not found:
        return
    yield (
        f"There {_were(found)} in this log, and imported events may name again what was erased."
        " After the import, erase it once more. No record says whom it was about, so put that in"
        " for PK or USER:"
    )
    for one in found:
        times = "once" if one.number == 1 else f"{one.number:,} times, the last"
        yield f"  {times} on {timestamp(one.last)}: {one.command}"


def about_erasures_elsewhere(found: Sequence[Erasures]) -> str:
    """Return a line that says what was erased, and that it must be erased from another log."""
    last = timestamp(max(one.last for one in found))
    return (
        f"There {_were(found)} in auditrepr's own log, the last on {last}. The other log may still"
        " name what was erased: have its owner erase it there. The admin lists the erasures."
    )


def _were(found: Sequence[Erasures]) -> str:
    number = sum(one.number for one in found)
    return "was an erasure" if number == 1 else f"were {number:,} erasures"
