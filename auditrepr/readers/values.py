"""Shows the column values of events; related objects appear by the names that they had then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any

from django.db.models import Field
from django.utils.translation import gettext as _

from ..asof.held import RecordedValue, held
from ..asof.lookups import Reference
from ..models import AuditLog
from ..reprs import build_related
from ..utils.phrases import timestamp
from ..utils.text import visible
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event
from .changes import Words, in_lines, no_value


def words(
    events: Sequence[AuditLog],
    using: str,
    limit: TimeLimit | None = None,
) -> Sequence[Words]:
    """Return what stands for the columns of these events, in order; missing ones are raw.

    The number of queries depends on the number of models, not on the number of events.

    :param limit: the time that this may take; what it does not reach is raw, too.
    """
    limit = limit or TimeLimit.from_settings()
    found: dict[int, dict[tuple[str, bool], str]] = {event.pk: {} for event in events}
    known = list(held(events, using, limit))
    for one in known:
        found[one.event.pk][one.column, one.before] = said(one.field, one.value)
    _tell_times_apart(known, found)
    for one, text in _related([one for one in known if leads_somewhere(one)], using, limit):
        found[one.event.pk][one.column, one.before] = text
    return list(found.values())


def _tell_times_apart(
    known: Sequence[RecordedValue], found: dict[int, dict[tuple[str, bool], str]]
) -> None:
    """Give the two times of a change their microseconds, if nothing else tells them apart."""
    for one in known:
        texts = found[one.event.pk]
        changed = one.column in (one.event.changed_from or ())
        if changed and texts.get((one.column, not one.before)) == said(one.field, one.value):
            for other in known:
                if other.event is one.event and other.column == one.column:
                    texts[one.column, other.before] = said(one.field, other.value, precise=True)


def said(field: Field[Any, Any], value: Any, *, precise: bool = False) -> str:
    """Return a value of this field for people; a text has its lines.

    :param precise: a time has its microseconds, to be told from another one.
    """
    if value is None or value == "":
        return no_value(value)
    if field.choices and isinstance(value, str | int):
        return visible(str(dict(field.flatchoices).get(value, value)))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return timestamp(value, precise=precise)
    if isinstance(value, time):
        return value.isoformat("microseconds" if precise else "seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex(" ")
    if isinstance(value, dict | list):
        return visible(json.dumps(value, ensure_ascii=False, default=str))
    return in_lines(str(value))


def said_apart(field: Field[Any, Any], one: Any, other: Any) -> tuple[str, str]:
    """Return two values that differ, for people: two times of one second have microseconds."""
    texts = said(field, one), said(field, other)
    if texts[0] != texts[1]:
        return texts
    return said(field, one, precise=True), said(field, other, precise=True)


def leads_somewhere(one: RecordedValue) -> bool:
    """Return whether the value refers to another object."""
    return bool(one.field.many_to_one or one.field.one_to_one) and one.value is not None


def _related(
    known: Sequence[RecordedValue], using: str, limit: TimeLimit
) -> Iterator[tuple[RecordedValue, str]]:
    wanted = [Reference(Event.of(one.event), one.field, one.value) for one in known]
    outcomes = build_related(wanted, using, limit=limit) if wanted else []
    for one, outcome in zip(known, outcomes, strict=False):  # as far as there was time
        if outcome.failure is None:
            yield one, visible(outcome.text)
