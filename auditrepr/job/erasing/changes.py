"""What is erased in one event, and the transaction that does it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from ...models import AuditLog, ChangedValues, Checkpoint
from ...vendors import get_vendor
from ...vendors.types import digest_of_erased, erased_on, id_before
from ..seals.erasing import Sealed, recorded
from .needles import MARK, Needles
from .target import Chosen, Target, as_json

#: Events that are in memory at once.
EVENTS = 200
#: The columns of an event that may hold texts, besides its keys.
SEARCHED = ("row_data", "changed_from", "context", "writer")
#: Parts of the context that the engine reads, or that identify no person.
_TECHNICAL = frozenset({"imported_from"})


class Change(NamedTuple):
    """What is erased in one event."""

    event: AuditLog
    chosen: Chosen
    said: dict[str, Any]  # the context, or what stands in its place, if anything is erased in it
    keys: dict[str, str]  # fields of keys, and what replaces them

    def __bool__(self) -> bool:
        return bool(self.chosen or self.keys or self.said)


def change_of(
    event: AuditLog,
    target: Target,
    needles: Needles,
    replacement: Callable[[str], str] | None = None,
) -> Change:
    """Return what is erased in this event.

    :param replacement: if it is one of the target's own events, returns what replaces a key.
    """
    own = replacement is not None
    chosen = target.chosen(event) if own else Chosen()

    def named(row: Any, already: Sequence[str]) -> tuple[str, ...]:
        more = (c for c, value in (row or {}).items() if c not in already and holds(value))
        return (*already, *more)

    def holds(value: Any) -> bool:
        kept = erased_on(value) is not None or as_json(value) in target.kept
        return not kept and needles.within(value)

    keys = {
        name: replacement(key)
        for name in ("object_id", "previous_object_id")
        if replacement and (key := getattr(event, name)) in target.keys
    }
    both = Chosen(named(event.row_data, chosen.row), named(event.changed_from, chosen.old))
    said = _said(event, needles, target.context(event) if own else {})
    return Change(event, both, said, keys)


def _said(event: AuditLog, needles: Needles, whole: Any) -> dict[str, Any]:
    """Return the columns that say who did it, as far as anything is erased in them.

    :param whole: the values of the context that are erased as a whole.
    """
    context = needles.replaced_in(_erased_whole(event.context, whole))
    if isinstance(context, dict):
        context |= {name: event.context[name] for name in context.keys() & _TECHNICAL}
    now = {"context": context, "writer": needles.replaced(event.writer)}
    return {name: value for name, value in now.items() if value != getattr(event, name)}


def of_others(
    target: Target, needles: Needles, own: Collection[int], after: int, upto: int
) -> Iterator[Change]:
    """Yield what is erased in the events in ``(after, upto]`` that are not the target's own."""
    if not needles:
        return
    vendor = get_vendor(target.using)
    condition = vendor.naming(SEARCHED, needles.sought)
    events = target.log.filter(condition, pk__lte=upto).order_by("pk")
    while page := list(events.filter(pk__gt=after)[:EVENTS]):
        after = page[-1].pk
        for event in page:
            if event.pk not in own and (change := change_of(event, target, needles)):
                yield change


def write(using: str, changes: Sequence[Change], day: str, sealed: Sequence[Sealed]) -> None:
    """Erase in these events, within the caller's transaction.

    :param sealed: what has sealed them.
    :raises SealBroken: if one of them was changed since that was checked.
    """
    vendor, digest = get_vendor(using), digest_of_erased(day)
    log = AuditLog.objects.using(using)
    with recorded(using, sealed), vendor.erasing():
        for change in changes:
            if change.chosen:
                vendor.replace_values(change.event.pk, change.chosen.row, change.chosen.old, digest)
            if values := {**change.keys, **change.said}:
                log.filter(pk=change.event.pk).update(**values)
    _fill_search(using, [change.event.pk for change in changes])


def _fill_search(using: str, ids: Sequence[int]) -> None:
    """Store the values again that the search index has of these events."""
    rows = ChangedValues.objects.using(using).filter(pk__in=ids)
    stored = list(rows.values_list("pk", flat=True))
    if not stored:
        return
    rows._raw_delete(using)
    if Checkpoint.of(using, "values_since"):
        for pk in stored:
            get_vendor(using).fill_values(id_before(pk), pk)


def _erased_whole(context: Any, chosen: Any) -> Any:
    """Return the context with the mark in place of each text and number of these values."""
    if not chosen:
        return context
    return {**context, **{name: _marked_whole(value) for name, value in chosen.items()}}


def _marked_whole(value: Any) -> Any:
    """Return the value, marked; if it is nested too deeply, no more than the mark."""
    try:
        return _marked(value)
    except RecursionError:
        return MARK


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _marked(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_marked(part) for part in value]
    names_nobody = value is None or value == "" or isinstance(value, bool)
    return value if names_nobody else MARK
