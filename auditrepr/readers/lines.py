"""What the lines of a list say of their events: bounded queries, however many models they are of.

Where representations are stored, none is built. What is pending, and related objects of which
nothing is stored, take queries for each model: those that come up most are built.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from ..asof.held import RecordedValue, at_hand
from ..asof.lookups import Reference
from ..models import AuditLog, Fidelity
from ..reprs import build_together
from ..utils.text import visible
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event
from .changes import Words
from .names import Place, newest_events, stored_names
from .shown import Shown, built, is_pending, stored
from .values import in_one_style, leads_somewhere, said

T = TypeVar("T")

#: Queries that a page may send to build objects, besides those that it sends for any.
QUERIES = 9
#: Queries for the events of one table, and for the related objects of one model.
TABLE, MODEL = 3, 6
#: Number of tables that come before the related objects.
FIRST_TABLES = 3


def lines(
    events: Sequence[AuditLog],
    columns: Mapping[int, Collection[str]],
    using: str,
    limit: TimeLimit,
) -> list[tuple[Shown, Words]]:
    """Return what stands for each event's object, and for these columns; what is missing is raw.

    A related object has the name that was stored when it was last changed before the event.

    :param events: selected together with their representations and failures.
    :param columns: by the event's ID.
    :param limit: the time that this may take.
    """
    known = list(at_hand(events, columns, using, limit))
    leading = [one for one in known if leads_somewhere(one)]
    newest = newest_events(leading, using)
    names = stored_names(newest, using)
    pending = [Event.of(event) for event in events if is_pending(event)]
    unnamed = [one for one in leading if Place.of(one) not in names]
    now, related = _affordable(pending, unnamed, newest)
    references = [Reference(Event.of(one.event), one.field, one.value) for one in related]
    outcomes, others = build_together(now, references, using, limit=limit)
    texts = {one.id: one.text for one in outcomes if one.fidelity == Fidelity.EXACT}
    names |= {place: texts[pk] for place, pk in newest.items() if pk in texts}
    for one, outcome in zip(related, others, strict=False):  # as far as there was time
        if outcome.failure is None:
            names[Place.of(one)] = outcome.text
    stands = {event.id: Shown(stored=False, built=False) for event in pending}
    of = {event.id: event for event in pending}
    stands |= {outcome.id: built(of[outcome.id], outcome, using) for outcome in outcomes}
    words: dict[int, dict[tuple[str, bool], str]] = {event.pk: {} for event in events}
    for one in known:
        name = names.get(Place.of(one))
        text = said(one.field, one.value) if name is None else visible(name)
        words[one.event.pk][one.column, one.before] = text
    in_one_style(known, words)
    return [(stands.get(event.pk) or stored(event, using), words[event.pk]) for event in events]


def _affordable(
    pending: Sequence[Event], unnamed: Sequence[RecordedValue], newest: Mapping[Place, int]
) -> tuple[list[Event], list[RecordedValue]]:
    """Return the events, and the values that refer to objects, for which there are queries."""
    tables = _most_frequent(pending, lambda event: event.table_name)
    left = QUERIES - TABLE * len(tables[:FIRST_TABLES])
    ours = {event.id for event in pending if event.table_name in tables[:FIRST_TABLES]}
    others = [one for one in unnamed if newest.get(Place.of(one)) not in ours]
    models = _most_frequent(others, lambda one: one.field.related_model)[: left // MODEL]
    left -= MODEL * len(models)
    chosen = tables[: FIRST_TABLES + left // TABLE]
    now = [event for event in pending if event.table_name in chosen]
    return now, [one for one in others if one.field.related_model in models]


def _most_frequent(found: Sequence[T], kind: Callable[[T], Any]) -> list[Any]:
    return [one for one, _ in Counter(map(kind, found)).most_common()]
