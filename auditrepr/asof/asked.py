"""What callers ask for: the key of an object, its database, and a moment."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, router
from django.db.models import Model
from django.utils import timezone

from ..models import AuditLog
from ..models.log import first_id
from ..utils.model_meta import key_parts
from ..vendors import get_vendor
from ..vendors.types import NOTHING_SEEN, Event, Moment

When = AuditLog | int | date  # a datetime is a date

#: How many IDs beyond the first later event there may still be earlier events: as many as
#: concurrent statements may have written next to each other.
SLACK = 10_000

TAKES = "requires an event, its ID, a date or a datetime"


def key_of(model: type[Model], key: Any, asking: str = "as_of()") -> Any:
    """Return the primary key, as its field has it.

    :raises TypeError: if it is missing, or lacks a column of the key.
    :raises ValidationError: if it cannot be a key of this model.
    """
    parts = key_parts(model._meta.pk)
    if len(parts) == 1 and key is not None:
        return model._meta.pk.to_python(key)
    if key is None or not isinstance(key, list | tuple) or len(key) != len(parts) or None in key:
        names = ", ".join(part.name for part in parts)
        pk = f"a pk of {len(parts)} values ({names})" if len(parts) > 1 else "a pk"
        raise TypeError(f"{asking} requires a saved instance, or a model class and {pk}")
    return tuple(part.to_python(value) for part, value in zip(parts, key, strict=True))


def key_from_text(model: type[Model], text: str, using: str) -> Any:
    """Return the primary key that the log writes as this text; None if there is no such key."""
    pk = model._meta.pk
    try:
        key = key_of(model, json.loads(text) if len(key_parts(pk)) > 1 else text)
        [again] = get_vendor(using).key_texts(pk, [key])
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
    parts = key if isinstance(key, tuple) else (key,)
    fits = all(map(partial(_fits, using), key_parts(pk), parts))
    return key if again == text and fits else None


def _fits(using: str, field: Any, value: Any) -> bool:
    """Return whether the database can hold this number in the field, and so be asked for it."""
    if not isinstance(value, int):
        return True
    while field.remote_field:
        field = field.target_field
    try:
        low, high = connections[using].ops.integer_field_range(field.get_internal_type())
    except KeyError:  # the field's type is not numeric
        return True
    return (low is None or low <= value) and (high is None or value <= high)


def database_of(what: Any, when: Any) -> str:
    """Return the database that is meant if none is named: the object's own, or the event's."""
    named = when._state.db if isinstance(when, AuditLog) else None
    if not named and isinstance(what, Model):
        named = what._state.db
    return named or router.db_for_read(what if isinstance(what, type) else type(what))


def event_or_time(when: When, using: str, asking: str = "as_of()") -> AuditLog | datetime:
    """Return the event that is meant, or the time; of a date, the end of that day.

    :raises TypeError: if it is neither.
    :raises AuditLog.DoesNotExist: if there is no such event.
    """
    match when:
        case AuditLog():
            return when
        case datetime():
            return _in_projects_way(when)
        case date():
            midnight = _in_projects_way(datetime.combine(when, time()) + timedelta(days=1))
            return midnight - timedelta.resolution
        case int() if not isinstance(when, bool):
            return AuditLog.objects.using(using).get(pk=when)
    raise TypeError(f"{asking} {TAKES}, not {when!r}")


def moment_of(when: AuditLog | datetime, using: str, *, before: bool = False) -> Moment:
    """Return the moment right after the event, or before it; or after the last up to the time.

    :param before: right before the event, whatever it is; for a deletion this is always so.
    """
    if isinstance(when, datetime):
        return _last_until(when, using)
    moment = Event.of(when).moment
    return moment._replace(before=moment.before or before)


def _in_projects_way(when: datetime) -> datetime:
    """Return the time as the project has its times: aware if ``USE_TZ`` is on, else naive.

    A naive one is of the current time zone.
    """
    if timezone.is_aware(when) == settings.USE_TZ:
        return when
    return timezone.make_aware(when) if settings.USE_TZ else timezone.make_naive(when)


def _last_until(when: datetime, using: str) -> Moment:
    """Return the moment right after the last event up to this time: all of the log was seen."""
    log = AuditLog.objects.using(using).all()
    near = log.filter(
        pk__lt=first_id(log, when) + SLACK, occurred_at__lt=when + timedelta.resolution
    )
    last = near.order_by("-pk").values_list("pk", flat=True).first()
    return NOTHING_SEEN if last is None else Moment(last)
