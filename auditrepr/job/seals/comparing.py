"""Compares what an entry has sealed with what its range holds now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ...models import SealEntry
from ...utils.phrases import counted, noun
from ...vendors.types import BEGINNING
from . import form
from .form import MARK, Row


@dataclass(frozen=True)
class Difference:
    """How a range differs from its seal; the first event that does, if it can be named."""

    entry: SealEntry
    what: str
    event: int | None = None

    def __str__(self) -> str:
        return f"{_range(self.entry)}: {self.what}"


def difference(
    entry: SealEntry, rows: Sequence[Row], later: Iterable[SealEntry]
) -> Difference | None:
    """Return how a range differs from its seal; None if it is what was sealed.

    :param rows: what it holds now.
    :param later: the entries that amend it, in their order, with what they touched.
    """
    former = rows
    if amendments := list(later):
        before = dict(rows)
        for amendment in reversed(amendments):
            if amendment.content is None and amendment.kind == SealEntry.Kind.PRUNED:
                return _all_gone(entry, amendment, rows, amendments)
            if found := _undo(entry, amendment, before):
                return found
        former = sorted(before.items())
    if len(former) == entry.events and form.content_of(former) == bytes(entry.content or b""):
        return None
    return _named(entry, dict(former))


def _undo(entry: SealEntry, amendment: SealEntry, rows: dict[int, bytes]) -> Difference | None:
    """Put back the digests of what was pruned or erased."""
    touched = bytes(amendment.touched or b"")
    if sha256(touched).digest() != bytes(amendment.content or b""):
        return Difference(
            entry, f"what seal {amendment.number} says was {amendment.kind} has been changed"
        )
    records = list(form.read_touched(touched, amendment.kind))
    if len(records) != amendment.events:
        return _miscounted(entry, amendment, len(records))
    for event, former, since in records:
        if since is None and event in rows:
            return Difference(entry, f"event {event} was pruned, and is there again", event)
        if since is not None and rows.get(event) != since:
            how = "changed" if event in rows else "deleted"
            return Difference(entry, f"event {event} was erased in, and then {how}", event)
        rows[event] = former
    return None


def _all_gone(
    entry: SealEntry, amendment: SealEntry, rows: Sequence[Row], amendments: Sequence[SealEntry]
) -> Difference | None:
    """Compare a range with an entry that says that all that was left of it was pruned.

    It has no record of each event: their number is all that shows how many are gone.
    """
    pruned = sum(one.events for one in amendments if one.kind == SealEntry.Kind.PRUNED)
    left = entry.events - (pruned - amendment.events)
    if amendment.events != left:
        return _miscounted(entry, amendment, left)
    if not rows:
        return None
    event = rows[0][0]
    what = f"event {event} is there, although seal {amendment.number} says that all were pruned"
    return Difference(entry, what, event)


def _miscounted(entry: SealEntry, amendment: SealEntry, really: int) -> Difference:
    said = f"{counted(amendment.events, 'event')} {noun(amendment.events, 'was', 'were')}"
    what = f"seal {amendment.number} says that {said} {amendment.kind}, but it is about {really:,}"
    return Difference(entry, what)


def _named(entry: SealEntry, rows: Mapping[int, bytes]) -> Difference:
    marks = form.read_marks(bytes(entry.marks or b""))
    wrong = (event for event in sorted({*marks, *rows}) if marks.get(event) != _mark(rows, event))
    event = next(wrong, None)
    if event is None or len(marks) != entry.events:
        return Difference(entry, "its digest is another one; no single event can be named")
    how = "changed"
    if event not in marks:
        how = "inserted"
    elif event not in rows:
        how = "deleted"
    return Difference(entry, f"event {event} was {how}", event)


def _mark(rows: Mapping[int, bytes], event: int) -> bytes | None:
    return rows[event][:MARK] if event in rows else None


def _range(entry: SealEntry) -> str:
    begins = "the beginning" if entry.after_id == BEGINNING else f"event {entry.after_id + 1}"
    return f"seal {entry.number} (from {begins} to {entry.upto_id})"
