"""Lists what an erasure would touch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ..job.erasing.preview import Preview
from ..utils.phrases import counted

#: Texts that are listed.
LISTED = 50


def told(found: Preview) -> Iterator[str]:
    """Yield what would be touched, as lines; first what would bring it back."""
    yield from _to_come(found)
    yield f"Would erase in {counted(found.own, 'own event')}{_listed(found.columns)}."
    if found.keys:
        yield f"Would replace {counted(found.keys, 'key')} of these events."
    yield f"Would replace these texts wherever they are found: {_quoted(found.known.replaced)}."
    if found.known.short:
        yield f"Too short to replace elsewhere, unless with --text: {_quoted(found.known.short)}."
    if found.known.shared:
        yield (
            "Other objects have these, too, so not replaced elsewhere, unless with --text:"
            f" {_quoted(found.known.shared)}."
        )
    yield f"Would erase in events of other objects: {_numbers(found.elsewhere)}."
    yield f"Would replace texts in {counted(found.contexts, 'context')}."
    yield (
        f"Would build again {counted(found.representations, 'other representation')} with such"
        f" a text, and of its own {found.own_representations:,} those that rest on what is erased."
    )
    yield f"Would erase the texts of {counted(found.failures, 'failure')}."
    yield f"Would erase in runs, findings and imports: {_numbers(found.others)}."
    if found.as_actor:
        yield (
            f"It is a user, who made {counted(found.as_actor, 'event')}: to erase in their contexts"
            " as well, run the command with --actor, too."
        )
    if found.as_object:
        yield (
            "The log has events of this user's row: to erase in them as well, run the command with"
            f" --object {found.as_object}, too."
        )


def _to_come(found: Preview) -> Iterator[str]:
    if found.current and found.keeps_current:
        yield f"The current row fills {', '.join(found.current)}: these values would stay."
    elif found.current:
        yield (
            f"The current row still holds text in {', '.join(found.current)}, and its next event"
            " would bring it back: change or delete the row first, or add --keep-current."
        )
    if found.open_transactions:
        yield (
            f"{counted(found.open_transactions, 'open transaction')} may still add events with it."
        )
    if found.unsettled:
        yield f"{counted(found.unsettled, 'event')} may still lack representations."


def _quoted(texts: Iterable[str]) -> str:
    ordered = sorted(texts)
    said = ", ".join(repr(text) for text in ordered[:LISTED]) or "none"
    more = len(ordered) - LISTED
    return f"{said}, and {more:,} more" if more > 0 else said


def _numbers(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items())) or "none"


def _listed(counts: Counter[str]) -> str:
    return f" ({_numbers(counts)})" if counts else ""
