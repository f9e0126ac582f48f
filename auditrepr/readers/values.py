"""Shows the column values of events; related objects appear by the names that they had then."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from typing import Any, NamedTuple

from django.db.models import Field, Model
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _

from ..asof.lookups import Reference
from ..asof.rows import read_images
from ..lineage import Renames, recent_renames
from ..models import AuditLog
from ..reprs import build_related
from ..utils.table_names import log_name
from ..utils.text import visible
from ..utils.time_limit import TimeLimit
from ..vendors import get_vendor
from ..vendors.types import Event, Image, Row
from .changes import Words


class Held(NamedTuple):
    """A value that a field held at an event, as Python has it."""

    event: AuditLog
    column: str  # its name at the event
    field: Any
    before: bool
    value: Any


def words(
    events: Sequence[AuditLog],
    using: str,
    limit: TimeLimit | None = None,
    *,
    changed_only: bool = False,
) -> Sequence[Words]:
    """Return what stands for the columns of these events, in order; what is missing is raw.

    The number of queries depends on the number of models, not on the number of events.

    :param limit: the time that this may take; what it does not reach is raw, too.
    :param changed_only: only for the columns that an update changed.
    """
    limit = limit or TimeLimit.from_settings()
    found: dict[int, dict[tuple[str, bool], str]] = {event.pk: {} for event in events}
    if changed_only:
        events = [event for event in events if event.changed_from]
    held = [one for one in _held(events, using, limit) if not changed_only or _changed(one)]
    for one in held:
        found[one.event.pk][one.column, one.before] = said(one.field, one.value)
    for one, text in _related([one for one in held if _leads_somewhere(one)], using, limit):
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


def _held(events: Iterable[AuditLog], using: str, limit: TimeLimit) -> Iterator[Held]:
    renames = recent_renames(using)
    by_model = defaultdict(list)
    for event in events:
        by_model[renames.model(event)].append(event)
    for model, group in by_model.items():
        if model is not None:
            yield from _held_by(model, group, using, renames, limit)


def _held_by(
    model: type[Model], events: Sequence[AuditLog], using: str, renames: Renames, limit: TimeLimit
) -> Iterator[Held]:
    table = log_name(model._meta.db_table)
    images = [
        (event, renames.image(table, event.pk, event.occurred_at, before=before))
        for event in events
        if event.row_data is not None
        for before in ([False, True] if event.changed_from else [False])
    ]
    vendor = get_vendor(using)
    rows: dict[Image, Row | Exception] = {}
    with limit.ending_quietly(), vendor.reading(limit):
        rows = read_images(vendor, model, [image for _, image in images], limit) if images else {}
    for event, image in images:
        row = rows.get(image)
        values = row.values if isinstance(row, Row) else {}
        for column, field in renames.fields(event).items():
            if field.attname in values:
                yield Held(event, column, field, image.before, values[field.attname])


def _changed(held: Held) -> bool:
    return held.column in (held.event.changed_from or ())


def _leads_somewhere(held: Held) -> bool:
    return bool(held.field.many_to_one or held.field.one_to_one) and held.value is not None


def _related(held: Sequence[Held], using: str, limit: TimeLimit) -> Iterator[tuple[Held, str]]:
    wanted = [Reference(Event.of(one.event), one.field, one.value) for one in held]
    outcomes = build_related(wanted, using, limit=limit) if wanted else []
    for one, outcome in zip(held, outcomes, strict=False):  # as far as there was time
        if outcome.failure is None:
            yield one, visible(outcome.text)
