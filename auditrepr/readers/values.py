"""Shows the column values of events; related objects appear by the names that they had then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any

from django.db.models import Field
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _

from ..asof.held import RecordedValue, held
from ..asof.lookups import Reference
from ..models import AuditLog
from ..reprs import build_related
from ..utils.text import visible
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event
from .changes import Words


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
    for one, text in _related([one for one in known if leads_somewhere(one)], using, limit):
        found[one.event.pk][one.column, one.before] = text
    return list(found.values())


def said(field: Field[Any, Any], value: Any) -> str:
    """Return a value of this field in one line, for people."""
    if value is None:
        return _("(none)")
    if value == "":
        return _("(empty)")
    if field.choices and isinstance(value, str | int):
        return visible(str(dict(field.flatchoices).get(value, value)))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return f"{localtime(value).replace(tzinfo=None) if is_aware(value) else value}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex(" ")
    if isinstance(value, dict | list):
        return visible(json.dumps(value, ensure_ascii=False, default=str))
    return visible(str(value))


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
