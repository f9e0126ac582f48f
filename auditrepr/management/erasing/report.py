"""Says what an erasure would touch, and what it has erased."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...job.erasing.preview import Preview
from ...job.erasing.run import Erased
from ...models import Erasure
from ...utils.phrases import counted

#: What holds texts, and is about no event: one, and several.
_OTHERS = ("run, finding, import or erasure", "runs, findings, imports or erasures")
#: Texts that are listed.
LISTED = 50


def forecast(found: Preview) -> Iterator[str]:
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
            "Others have these, too, so not replaced elsewhere, unless with --text:"
            f" {_quoted(found.known.shared)}."
        )
    yield f"Would erase in events of other objects: {_numbers(found.elsewhere)}."
    yield f"Would replace texts in {counted(found.contexts, 'context')}."
    yield (
        f"Would build again {counted(found.representations, 'other representation')} with such"
        f" a text, and of its own {found.own_representations:,} those that rest on what is erased."
    )
    yield f"Would erase the texts of {counted(found.failures, 'failure')}."
    yield f"Would erase in runs, findings, imports and erasures: {_numbers(found.others)}."
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


def outcome(done: Erased) -> Iterator[str]:
    """Yield what was erased, as lines; and what is left to do."""
    if done.stopped:
        yield f"Stopped, after {counts(done.record)}. Run the command again to continue."
        return
    yield f"Erased in {counts(done.record)}."
    if left := len(done.known.short | done.known.shared):
        yield (
            f"{counted(left, 'value')} may stand for something else: erased only in its own events."
            " Add those that must go everywhere with --text."
        )
    if done.open_transactions:
        yield (
            "Transactions that were open before this began may still add events with what was"
            " erased. Run the command again once they have ended."
        )


def counts(record: Erasure) -> str:
    """Return how many rows were changed so far, of each kind."""
    return (
        f"{counted(record.events, 'event')}, {counted(record.contexts, 'context')},"
        f" {counted(record.representations, 'representation')},"
        f" {counted(record.failures, 'failure')} and"
        f" {counted(record.others, *_OTHERS)}"
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
