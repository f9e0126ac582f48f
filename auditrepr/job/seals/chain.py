"""The chain of entries: what comes next, and whether all of it follows from what was before."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from ...exceptions import LeaseLost
from ...models import SealEntry
from ...vendors.types import BEGINNING, LAST_IMPORTED
from . import form

#: What holds digests of all rows; reading the chain needs none of it.
LARGE = ("marks", "touched")
#: Entries that one query reads.
PAGE = 1000


def entries(using: str) -> QuerySet[SealEntry]:
    """Return the entries, in their order, without what is large."""
    return SealEntry.objects.using(using).defer(*LARGE).order_by("number")


def ranges(using: str) -> QuerySet[SealEntry]:
    """Return the entries that seal a range."""
    return entries(using).exclude(kind__in=SealEntry.AMENDING)


def last(using: str) -> SealEntry | None:
    """Return the last entry; None if nothing is sealed yet."""
    return entries(using).last()


def last_seal(using: str) -> SealEntry | None:
    """Return the last entry that sealed what had come to the end of the log."""
    return entries(using).filter(kind=SealEntry.Kind.SEALED).last()


def sealed_upto(using: str) -> int:
    """Return the event ID up to which the log is sealed."""
    found = last_seal(using)
    return BEGINNING if found is None else found.upto_id


def append(using: str, entry: SealEntry, before: SealEntry | None) -> SealEntry:
    """Add the entry to the chain, after this one, within the caller's transaction.

    :raises LeaseLost: if another process has added one, which only the lock's holder may do.
    """
    entry.format, entry.number = form.FORMAT, before.number + 1 if before else 1
    entry.sealed_at = form.now()
    entry.digest = form.digest_of(entry, bytes(before.digest) if before else None)
    try:
        with transaction.atomic(using):
            entry.save(using=using, force_insert=True)
    except IntegrityError as error:
        raise LeaseLost from error
    return entry


def walk(using: str, after: int = 0) -> Iterator[SealEntry]:
    """Yield the entries with higher numbers, by short queries."""
    while page := list(entries(using).filter(number__gt=after)[:PAGE]):
        yield from page
        after = page[-1].number


class Links:
    """Checks entry by entry that the chain is whole."""

    def __init__(self) -> None:
        self._before: SealEntry | None = None
        self._upto = BEGINNING
        self._imports: dict[int | None, int] = {}  # up to which event each is sealed

    def problem(self, entry: SealEntry) -> str:
        """Return what is wrong with the next entry, in words; empty if nothing is."""
        before, self._before = self._before, entry
        expected = before.number + 1 if before else 1
        previous = bytes(before.digest) if before else None
        begins = self._begins(entry)
        if entry.number != expected:
            return f"seal {expected} is missing"
        if entry.format != form.FORMAT:
            return f"seal {entry.number} has format {entry.format}, which this version cannot check"
        if form.digest_of(entry, previous) != bytes(entry.digest):
            return f"seal {entry.number} is not what it was, or does not follow from the one before"
        if not begins:
            return f"seal {entry.number} does not begin where the one before it ends"
        return _unlawful(entry)

    def _begins(self, entry: SealEntry) -> bool:
        """Return whether a range begins where the one before it ends, if there is one.

        What lies between two ranges of one import would be compared with neither.
        """
        upto = entry.after_id
        if entry.kind == SealEntry.Kind.SEALED:
            upto, self._upto = self._upto, entry.upto_id
        elif entry.kind == SealEntry.Kind.IMPORTED:
            upto = self._imports.get(entry.import_id, upto)
            self._imports[entry.import_id] = entry.upto_id
        return entry.after_id == upto


def _unlawful(entry: SealEntry) -> str:
    """Return why the entry cannot come from auditrepr, in words; empty if there is nothing.

    It could hide events from the numbers that the command shows.
    """
    if entry.kind not in SealEntry.Kind.values:
        return f"seal {entry.number} is of no kind that this version knows"
    if (entry.amends is not None) != (entry.kind in SealEntry.AMENDING):
        said = f"seal {entry.number} says that events were {entry.kind}"
        amends = (
            f"and cannot amend seal {entry.amends}" if entry.amends else "but not of which seal"
        )
        return f"{said}, {amends}"
    if entry.amends is not None and entry.amends >= entry.number:
        return f"seal {entry.number} amends seal {entry.amends}, which did not exist yet"
    if entry.events < 0 or entry.after_id > entry.upto_id:
        return f"seal {entry.number} has an impossible range or number of events"
    if entry.kind == SealEntry.Kind.IMPORTED and entry.upto_id > LAST_IMPORTED:
        return (
            f"seal {entry.number} says that event {entry.upto_id} was imported,"
            f" but no import has events after {LAST_IMPORTED}"
        )
    return ""
