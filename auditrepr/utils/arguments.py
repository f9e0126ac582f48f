"""Checks what callers give to the public functions: each mistake is one clear error."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Model
from django.utils import timezone

#: Bits of a number that is written out; Python refuses those of some 14,000.
LONGEST = 1_000

#: What most functions take.
INSTANCE_OR_MODEL = "a saved instance, or a model class"


def model_of(what: Any, asking: str, requires: str = INSTANCE_OR_MODEL) -> type[Model]:
    """Return the model of this instance, or the model itself.

    :param asking: the function that was called, for the error.
    :param requires: what it takes, likewise.
    :raises TypeError: if it is neither.
    """
    # The class that it says it has: `request.user` is lazy.
    model: type[Any] = what if isinstance(what, type) else what.__class__
    if not issubclass(model, Model) or model is Model:
        raise TypeError(f"{asking} requires {requires}, not {named(what)}")
    if model._meta.abstract:
        raise TypeError(f"{asking} requires a model with a table; {model.__name__} is abstract")
    return model


def saved_instance(what: Any, asking: str, otherwise: str) -> Model:
    """Return this instance, if it is one and has a primary key.

    :param otherwise: what to do if it is a model class.
    :raises TypeError: if it is not one, or has none.
    """
    model = model_of(what, asking, "a saved instance")
    if what is model:
        raise TypeError(f"{asking} requires a saved instance, not {named(what)}: {otherwise}")
    if what.pk is None or (isinstance(what.pk, tuple) and None in what.pk):
        raise TypeError(
            f"{asking} requires a saved instance; this {model.__name__} has no primary key, as"
            " before save() and after delete()"
        )
    instance: Model = what
    return instance


def named(value: Any) -> str:
    """Return what an error calls this value: objects go by their type, since repr() may query."""
    if too_long(value):
        return f"a number of some {value.bit_length() * 3 // 10} digits"
    if value is None or isinstance(value, str | bytes | int | float | date | time | timedelta):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


def too_long(value: Any) -> bool:
    """Return whether this is a whole number that no database has, nor any error writes out."""
    return isinstance(value, int) and value.bit_length() > LONGEST


def in_projects_way(when: datetime) -> datetime:
    """Return the time as the project has its times: aware if ``USE_TZ`` is on, else naive.

    A naive one is of the current time zone.
    """
    if timezone.is_aware(when) == settings.USE_TZ:
        return when
    return timezone.make_aware(when) if settings.USE_TZ else timezone.make_naive(when)


def start_of(when: Any, asking: str) -> Any:
    """Return the time, in the project's way; of a date, the beginning of the day.

    An expression, such as ``Now()``, is for the database.

    :raises TypeError: if it is none of them.
    """
    if hasattr(when, "resolve_expression") and not isinstance(when, type):
        return when
    match when:
        case datetime():
            return in_projects_way(when)
        case date():
            return in_projects_way(datetime.combine(when, time()))
    raise TypeError(f"{asking} requires dates or datetimes, not {named(when)}")
