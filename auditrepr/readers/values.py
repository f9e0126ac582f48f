"""Shows the column values of events; related objects appear by the names that they had then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from django.db.models import Field, JSONField
from django.utils.translation import gettext as _

from ..asof.held import RecordedValue, held
from ..asof.lookups import Reference
from ..models import AuditLog
from ..reprs import build_related
from ..utils.phrases import timestamp
from ..utils.text import visible
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event
from .changes import Words, apart, in_lines, no_value
from .labels import json_of, label_of, text_of

_Texts = dict[tuple[str, bool], str]  # Words, in the making


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
    found: dict[int, _Texts] = {event.pk: {} for event in events}
    known = list(held(events, using, limit))
    for one in known:
        found[one.event.pk][one.column, one.before] = said(one.field, one.value)
    in_one_style(known, found)
    for one, text in _related([one for one in known if leads_somewhere(one)], using, limit):
        found[one.event.pk][one.column, one.before] = text
    return list(found.values())


def in_one_style(known: Iterable[RecordedValue], found: Mapping[int, _Texts]) -> None:
    """Let both values of a change be told apart, and read the same way: one of them may be raw.

    Related objects go by their names, and are left as they are.
    """
    changed = [
        one
        for one in known
        if one.column in (one.event.changed_from or ()) and not one.field.is_relation
    ]
    values = {(one.event.pk, one.column, one.before): one.value for one in changed}
    for one in changed:
        texts, column = found[one.event.pk], one.column
        if (one.event.pk, column, not one.before) in values:
            old, new = (values[one.event.pk, column, before] for before in (True, False))
            texts[column, True], texts[column, False] = said_apart(one.field, old, new)
        elif column in (one.event.row_data or ()):
            del texts[column, one.before]


def said(field: Field[Any, Any], value: Any, *, precise: bool = False) -> str:
    """Return a value of this field for people; a text has its lines.

    :param precise: a time has its microseconds, to be told from another one.
    """
    if value is None:
        return no_value(value)
    if (label := label_of(field, value)) is not value:
        return visible(text_of(label))
    if isinstance(field, JSONField) and not isinstance(value, str):
        return visible(json_of(value))
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
        return visible(json_of(value))
    return in_lines(text_of(value))


def said_apart(field: Field[Any, Any], one: Any, other: Any) -> tuple[str, str]:
    """Return two values for people, in one style, so that they can be told apart if they differ."""
    plain = said(field, one), said(field, other)
    precise = said(field, one, precise=True), said(field, other, precise=True)
    both = plain if plain[0] != plain[1] or precise[0] == precise[1] else precise
    return apart(both, (one, other))


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
