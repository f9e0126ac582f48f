"""What callers ask for: the key of an object, its database, and a moment."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import connections, router
from django.db.models import Model
from django.utils.timezone import is_aware

from ..models import AuditLog
from ..models.log_queryset import first_id
from ..utils.arguments import in_projects_way, model_of, named, too_long
from ..utils.model_meta import key_parts
from ..utils.text import can_be_stored, one_line
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
    several = len(parts) > 1
    values = key if several else [key]
    if not isinstance(values, list | tuple) or len(values) != len(parts) or None in values:
        names = ", ".join(part.name for part in parts)
        pk = f"a pk of {len(parts)} values ({names})" if several else "a pk"
        raise TypeError(f"{asking} requires a saved instance, or a model class and {pk}")
    found = tuple(map(partial(_part_of_key, model), parts, values))
    return found if several else found[0]


def _part_of_key(model: type[Model], field: Any, value: Any) -> Any:
    """Return the value as the field has it; a value that only resembles a key matches no object."""
    if too_long(value):
        raise _no_key(model, value, "it is too large.")
    try:
        found = field.to_python(value)
    except ValidationError as error:
        raise _no_key(model, value, " ".join(error.messages)) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise _no_key(model, value, one_line(error)) from error
    lossy = isinstance(found, int) and isinstance(value, float | Decimal) and found != value
    converted = isinstance(value, bool | list | tuple | dict | set) and type(found) is not type(
        value
    )
    if lossy or converted or isinstance(value, Model):
        raise _no_key(model, value, "it is of another type.")
    return found


def _no_key(model: type[Model], value: Any, why: str) -> ValidationError:
    return ValidationError(f"{named(value)} is not a primary key of {model._meta.label}: {why}")


def checked_key(model: type[Model], key: Any, using: str, asking: str = "as_of()") -> Any:
    """Return the primary key, as its field has it, if the database can hold it.

    :raises TypeError: as :func:`key_of` does.
    :raises ValidationError: if it cannot be a key of this model.
    """
    found = key_of(model, key, asking)
    for part in found if isinstance(found, tuple) else (found,):
        text = part if isinstance(part, str) else ""
        if not can_be_stored(text):
            raise _no_key(model, part, "no text in a database has such characters.")
    if not _all_fit(model, found, using):
        raise _no_key(model, key, "the number is too large for its column.")
    return found


def key_from_text(model: type[Model], text: str, using: str) -> Any:
    """Return the primary key that the log writes as this text; None if there is no such key."""
    pk = model._meta.pk
    try:
        key = key_of(model, json.loads(text) if len(key_parts(pk)) > 1 else text)
        [again] = get_vendor(using).key_texts(pk, [key])
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
    return key if again == text and _all_fit(model, key, using) else None


def _all_fit(model: type[Model], key: Any, using: str) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return all(map(partial(_fits, using), key_parts(model._meta.pk), parts))


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


class Wanted(NamedTuple):
    """The object whose past state is requested, and in which database."""

    model: type[Model]
    key: Any  # as it was given
    using: str


def wanted(what: Any, when: Any, pk: Any, using: str | None, asking: str = "as_of()") -> Wanted:
    """Return whose past is asked for: that of an instance, or of the row with this key.

    If no database is named, it is the event's own, or the object's.

    :raises TypeError: if it is neither an instance nor a model, or an instance and a key.
    """
    model = model_of(what, asking)
    if what is model:
        return Wanted(model, pk, _database(using, None, when, model))
    if pk is not None:
        raise TypeError(f"{asking} requires a pk only for a model class: an instance has its own")
    return Wanted(model, what.pk, _database(using, what, when, model))


def _database(using: Any, instance: Model | None, when: Any, model: type[Model]) -> str:
    if using is not None:
        if using not in connections.settings:
            raise ValueError(f"There is no database {named(using)} in DATABASES")
        return str(using)
    own = when._state.db if isinstance(when, AuditLog) else None
    return own or (instance and instance._state.db) or router.db_for_read(model)


def event_or_time(when: When, using: str, asking: str = "as_of()") -> AuditLog | datetime:
    """Return the event that is meant, or the time; of a date, the end of that day.

    :raises TypeError: if it is neither.
    :raises AuditLog.DoesNotExist: if there is no such event.
    """
    match when:
        case AuditLog() if when.pk is not None:
            return when
        case datetime():
            return in_projects_way(when)
        case date():
            # Where clocks go back at midnight, the last hour comes twice.
            return in_projects_way(datetime.combine(when, time.max.replace(fold=1)))
        case int() if not isinstance(when, bool):
            if event := AuditLog.objects.using(using).filter(pk=when).first():
                return event
            raise AuditLog.DoesNotExist(
                f'The log in database "{using}" has no event {named(when)}.'
            )
    unsaved = "an event that is not in the log" if isinstance(when, AuditLog) else named(when)
    raise TypeError(f"{asking} {TAKES}, not {unsaved}")


def moment_of(when: AuditLog | datetime, using: str, *, before: bool = False) -> Moment:
    """Return the moment right after the event, or before it; or after the last up to the time.

    :param before: right before the event, whatever it is; for a deletion this is always so.
    """
    if isinstance(when, datetime):
        return _last_until(when, using)
    moment = Event.of(when).moment
    return moment._replace(before=moment.before or before)


def _last_until(when: datetime, using: str) -> Moment:
    """Return the moment right after the last event up to this time: all of the log was seen."""
    log = AuditLog.objects.using(using).order_by("-pk").values_list("pk", flat=True)
    try:
        # A sum of local times would take the first one of an hour that comes twice.
        when = when.astimezone(UTC) if is_aware(when) else when
        until = when + timedelta.resolution
        near = log.filter(pk__lt=first_id(AuditLog.objects.using(using), when) + SLACK)
        last = near.filter(occurred_at__lt=until).first()
    except OverflowError:  # no such time in this time zone: before or after all events
        last = log.first() if when.year > date.min.year else None
    return NOTHING_SEEN if last is None else Moment(last)
