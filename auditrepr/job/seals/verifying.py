"""Verifies the log: the chain, then range by range what it has sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ...exceptions import ExportBeginsLater, NothingSealed, SealUnknown
from ...models import Import, SealEntry
from ...utils.time_limit import TimeLimit
from ...vendors import get_vendor
from ...vendors.types import LAST_IMPORTED
from .. import preflight
from ..runs.result import Progress
from . import chain
from .export import Comparison, Kept
from .holding import held
from .regions import Regions

#: Events whose rows are in memory at once, and entries.
EVENTS = 20_000
ENTRIES = 200
#: Differences that are named; of the others, only the number is shown.
NAMED = 10


@dataclass
class Verified:
    """What was found."""

    differences: list[str] = field(default_factory=list)  # the first ones
    differing: int = 0
    seals: int = 0  # ranges that were compared
    events: int = 0
    last: SealEntry | None = None  # the last one of a range at the log's end
    pruned: int = 0  # events that were pruned after they had been sealed
    pruned_since: int = 0  # of these, after the export
    erased: int = 0  # events in which something was erased, one each time
    erased_since: int = 0
    imported_since: int = 0  # events that came before others, sealed after the export
    seals_since: int = 0
    imports: list[Import] = field(default_factory=list)  # whose events are not sealed yet
    next_number: int | None = None  # with which to continue; None: all is verified

    def count(self, entry: SealEntry) -> None:
        """Count an entry of the chain."""
        if entry.kind == SealEntry.Kind.PRUNED:
            self.pruned += entry.events
            self.pruned_since += entry.events
        elif entry.kind == SealEntry.Kind.ERASED:
            self.erased += entry.events
            self.erased_since += entry.events
        else:
            self.seals_since += 1
            if entry.kind == SealEntry.Kind.IMPORTED:
                self.imported_since += entry.events

    def since_now(self) -> None:
        """Count from here on what came after the export."""
        self.seals_since = self.pruned_since = self.erased_since = self.imported_since = 0

    def differ(self, what: str) -> None:
        """Note a difference."""
        self.differing += 1
        if len(self.differences) < NAMED:
            self.differences.append(what)


def verify(
    using: str,
    *,
    first: int = 1,
    against: Iterable[Kept] | None = None,
    older_copy: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Verified:
    """Compare the log with its seals; nothing is written, and no writer waits.

    :param first: the number of the seal to begin with; the chain is checked as a whole.
    :param against: an export of the seals.
    :param older_copy: the database may lack the last seals of the export.
    :param stop: called after each range; true ends the work.
    :raises NothingSealed: if there are no seals.
    :raises SealUnknown: if there is none with this number.
    :raises ExportBeginsLater: if the copy has none of the export's seals.
    """
    preflight.check_own_tables(using)
    last = chain.last(using)
    if last is None:
        raise NothingSealed(alias=using)
    if first > last.number:
        raise SealUnknown(number=first, last=last.number)
    found = Verified(last=chain.last_seal(using))
    comparison = None if against is None else _comparison(against, last, older_copy)
    _check_chain(using, found, comparison, older_copy)
    _check_ranges(using, found, first, last.number, on_progress, stop)
    _check_imports(using, found)
    return found


def _comparison(against: Iterable[Kept], last: SealEntry, older_copy: bool) -> Comparison:
    """Return the comparison with an export, of which an older copy must have a seal at least."""
    found = Comparison(against)
    if older_copy and found.first > last.number:
        raise ExportBeginsLater(first=found.first, last=last.number)
    return found


def _check_chain(
    using: str, found: Verified, comparison: Comparison | None, older_copy: bool
) -> None:
    """Check that the entries follow one from another; only the first problem says something."""
    links, whole, same = chain.Links(), True, True
    for entry in chain.walk(using):
        if (problem := links.problem(entry)) and whole:
            whole = False
            found.differ(problem)
        if comparison and (problem := comparison.problem(entry)) and same:
            same = False
            found.differ(problem)
        found.count(entry)
        if comparison and comparison.last == entry.number:
            found.since_now()
    if comparison and (missing := comparison.missing()) and not older_copy:
        found.differ(f"the export has {missing:,} more seals than the database")


def _check_imports(using: str, found: Verified) -> None:
    """Note the imports that are not sealed yet: their events are compared with nothing."""
    found.imports = [made for made, _ in Regions(using).pending]
    for made in found.imports:
        if made.last_id > LAST_IMPORTED:
            what = f"an import says that it has brought event {made.last_id}"
            found.differ(f"{what}, but no import has events after {LAST_IMPORTED}")


def _check_ranges(
    using: str,
    found: Verified,
    first: int,
    last: int,
    on_progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> None:
    for entries in _portions(using, first, last):
        with get_vendor(using).reading(TimeLimit(0)):
            for one in held(using, entries):
                if problem := one.difference():
                    found.differ(str(problem))
                found.seals += 1
                found.events += len(one.rows)
        done = entries[-1].number
        on_progress(Progress(done - first + 1, last - first + 1, found.events, 0))
        if stop() and done < last:
            found.next_number = done + 1
            return


def _portions(using: str, first: int, last: int) -> Iterator[list[SealEntry]]:
    """Yield the entries of ranges, as many at once as have few enough events."""
    entries = _ranges(using, first, last)
    portion: list[SealEntry] = []
    events = 0
    for entry in entries:
        if portion and (events + entry.events > EVENTS or len(portion) == ENTRIES):
            yield portion
            portion, events = [], 0
        portion.append(entry)
        events += entry.events
    if portion:
        yield portion


def _ranges(using: str, first: int, last: int) -> Iterator[SealEntry]:
    """Yield the entries of ranges with their marks, by short queries."""
    ranges = SealEntry.objects.using(using).exclude(kind__in=SealEntry.AMENDING).defer("touched")
    after = first - 1
    while page := list(ranges.filter(number__gt=after, number__lte=last).order_by("number")[:20]):
        yield from page
        after = page[-1].number
