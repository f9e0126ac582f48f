"""Says what an event did to a many-to-many field: ``Chloé Martin: tags + vip``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ObjectDoesNotExist

from ..asof.lookups import Subject
from ..asof.pairs import PairChanges
from ..utils.model_meta import field_named

GONE = "{} no longer exists, and its events are not in the log"


def text(what: PairChanges, subject: Subject, said: Callable[[Any], str]) -> str:
    """Return the change in words, with both objects as of the event.

    Each object that has the field is named once: ``tags - vip + gold``; what came after another one
    follows it, if an update gave the row to another object.

    :param said: returns the representation of an object.
    """
    field = what.field
    parts: list[str] = []
    last = None
    for sign, row in what.changes:
        owner = getattr(row, field_named(type(row), field.m2m_field_name()).attname)
        if not parts or owner != last:
            name = _end(row, field.m2m_field_name(), subject, said)
            parts.append(f"{'; ' if parts else ''}{name}: {field.verbose_name}")
        last = owner
        parts.append(f" {sign} {_end(row, field.m2m_reverse_field_name(), subject, said)}")
    return "".join(parts)


def _end(row: Any, name: str, subject: Subject, said: Callable[[Any], str]) -> str:
    """Return the representation of the object that the row's foreign key leads to."""
    try:
        found = getattr(row, name)
    except ObjectDoesNotExist:
        key = field_named(type(row), name)
        known = f"{key.remote_field.model._meta.verbose_name} {getattr(row, key.attname)}"
        subject.note(GONE.format(known))
        return known
    return said(found)
