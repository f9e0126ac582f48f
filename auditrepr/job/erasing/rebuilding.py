"""Builds representations again that rested on what is erased, from what is left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ...models import AuditLog, Fidelity, InstanceRepr
from ...reprs import Outcome, build
from ...utils.time_limit import JobTimeLimit
from ...vendors.types import ERASED, Event
from .needles import MARK, Needles
from .target import REPLACED
from .texts import WAITING

Row = tuple[int, str, str, str]


def again(
    using: str, ids: Collection[int], needles: Needles, own: Collection[int], day: str
) -> list[Row]:
    """Return the new representations of those events that need one.

    Of the object's own events, also those that would read an erased value now, or whose key was
    replaced: what their text was made of is not known. All others keep their text.

    :param needles: by which a text is recognized that would bring back what was erased.
    """
    stored = {row.pk: row for row in InstanceRepr.objects.using(using).filter(pk__in=ids)}
    rows = AuditLog.objects.using(using).filter(pk__in=stored).order_by("pk")
    renamed = {row.pk for row in rows if (row.object_id or "").startswith(REPLACED)}
    found = []
    for outcome in _built(using, [Event.of(row) for row in rows]):
        before = stored[outcome.id]
        erased = outcome.failure or ERASED in outcome.reason or outcome.id in renamed
        rested = outcome.id in own and erased
        if rested or before.reason == WAITING:
            new = _usable(outcome, needles, day)
            if new != (before.pk, before.instance_repr, before.fidelity, before.reason):
                found.append(new)
    return found


def _built(using: str, events: Sequence[Event]) -> Iterable[Outcome]:
    while events:
        outcomes = build(events, using, limit=JobTimeLimit.from_settings())
        yield from outcomes
        events = events[len(outcomes) :]


def _usable(outcome: Outcome, needles: Needles, day: str) -> Row:
    """Return the representation, or the mark if it could not be built or holds one of the texts."""
    texts = (outcome.text, outcome.reason)
    if outcome.failure or needles.within(texts):
        return outcome.id, MARK, str(Fidelity.MIXED), ERASED + day
    return outcome.id, outcome.text, str(outcome.fidelity), outcome.reason
