"""Writes what a plan says, through the model's own ``save()``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from ..asof.former import Asked
from ..attribution.context import why
from ..exceptions import NotRestored
from ..utils.text import one_line
from .obstacles import said
from .plan import Restoration, current, rebuilt, restored_fields, same, state_of


def write(asked: Asked, planned: Restoration) -> Restoration:
    """Put the object back, and return what was done.

    :raises NotRestored: if the current object is not the one that the plan was made from, or the
        database or the model refuses it.
    """
    try:
        with (
            transaction.atomic(planned.using),
            why(f"restored {planned.origin}"),
        ):
            return _written(asked, planned)
    except (IntegrityError, DataError) as error:
        raise refused(planned, [one_line(error)]) from error
    except ValidationError as error:
        raise refused(planned, list(said(error))) from error


def refused(planned: Restoration, reasons: list[str]) -> NotRestored:
    """Return the error that says why this is not put back."""
    name = planned.model._meta.label
    return NotRestored(model=name, pk=planned.pk, reasons=" ".join(reasons))


def changed_since() -> str:
    """Return the reason for refusing what was compared with another state of the object."""
    return _("The object has changed since you last saw it: check it again.")


def _written(asked: Asked, planned: Restoration) -> Restoration:
    using = planned.using
    now = current(planned.model, planned.pk, using, lock=True)
    if state_of(asked, planned.recorded, now) != planned.state:
        raise refused(planned, [changed_since()])
    instance = rebuilt(planned.model, planned.values, now, using)
    if now is None:
        instance.save(using=using, force_insert=True)
        _keep_first_times(instance, planned)
    else:
        instance.save(using=using)
    return replace(planned, altered=tuple(_altered(planned)), instance=instance)


def _keep_first_times(instance: Model, planned: Restoration) -> None:
    """Set again what ``auto_now_add`` has replaced: when the object was first added."""
    for field in restored_fields(planned.model):
        value = planned.values.get(field.attname)
        if getattr(field, "auto_now_add", False) and value is not None:
            rows: QuerySet[Model] = QuerySet(planned.model, using=planned.using)
            rows.filter(pk=planned.pk).update(**{field.attname: value})
            setattr(instance, field.attname, value)


def _altered(planned: Restoration) -> Iterator[str]:
    """Yield the fields that ``save()``, or the database, has given other values."""
    there = current(planned.model, planned.pk, planned.using)
    for change in planned.changes:
        field = change.field
        if there is None or not same(field, field.value_from_object(there), change.former):
            yield str(field.verbose_name)
