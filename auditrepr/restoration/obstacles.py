"""Why an object cannot be put back: each reason is a sentence for people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import Model
from django.utils.translation import gettext as _

from ..asof.asked import moment_of
from ..asof.former import Absence, Asked, FormerRow, children, lost_columns
from ..tracking import tracked_tables
from ..utils.model_meta import exists, parent_links
from ..utils.table_names import log_name
from ..utils.text import one_line
from ..vendors import get_vendor
from ..vendors.types import ERASED, NOT_IMPORTED, TOO_BIG


def reasons(asked: Asked, former: FormerRow, now: Model | None, using: str) -> Iterator[str]:
    """Yield why the former row cannot be put back as it is."""
    if not former.exists:
        why = Absence(asked.model, asked.key, moment_of(asked.when, using), using)
        yield _("There was no such object then. %(why)s") % {"why": why}
        return
    for error in former.errors:
        yield _("The model has changed: it cannot read the former row (%(error)s).") % {
            "error": one_line(error)
        }
    for doubt in former.doubts:
        yield _("The former row is not certain: %(reason)s.") % {"reason": doubt}
    yield from _unknown_values(asked.model, former, using)
    yield from _lost_columns(former, using)
    yield from _other_parts(asked, former, now, using)
    yield from _missing_objects(asked.model, former, now, using)


def only_whole() -> str:
    """Return why single fields of a deleted object cannot be put back."""
    return _("The object does not exist: it is added again as a whole, not field by field.")


def errors(instance: Model, changed: Collection[str] | None) -> Iterator[str]:
    """Yield what ``full_clean()`` finds wrong with the instance.

    Not that a field is blank: forms ask for a value, but the row was without one.

    :param changed: names of the fields that are written; None: all. Others stay as they are.
    """
    every = [field.name for field in instance._meta.fields]
    unchanged = set() if changed is None else {name for name in every if name not in changed}
    checks: list[Callable[[], None]] = [
        partial(instance.clean_fields, exclude=unchanged),
        instance.clean,
        instance.validate_constraints,
    ]
    # Django looks in the database that routers read from; another one refuses duplicates itself.
    if router.db_for_read(type(instance)) == instance._state.db:
        checks.append(instance.validate_unique)
    for check in checks:
        try:
            check()
        except ValidationError as error:
            yield from said(error)
        except Exception as error:  # the model's code may raise anything
            yield _("The model cannot be validated: %(error)s") % {
                "error": f"{type(error).__name__}: {one_line(error)}"
            }


def said(error: ValidationError) -> Iterator[str]:
    """Yield the messages of a validation error, after the names of their fields."""
    if not hasattr(error, "error_dict"):
        yield from error.messages
        return
    for name, found in error.error_dict.items():
        for one in found:
            if one.code != "blank":
                message = " ".join(one.messages)
                yield message if name == "__all__" else f"{name}: {message}"


def _unknown_values(model: type[Model], former: FormerRow, using: str) -> Iterator[str]:
    excluded = {table.name: table.excluded for table in tracked_tables(using)}
    for field in model._meta.concrete_fields:
        if field.generated or field.column not in former.missing:
            continue
        named = {"field": field.name}
        if field.column in excluded.get(log_name(field.model._meta.db_table), ()):
            yield _("The field “%(field)s” is excluded from the log.") % named
        elif former.missing[field.column] == TOO_BIG:
            yield _("The value of “%(field)s” was too large to be recorded.") % named
        elif former.missing[field.column].startswith(ERASED):
            yield _("The value of “%(field)s” was erased from the log.") % named
        elif former.missing[field.column] == NOT_IMPORTED:
            yield _("The event was imported without the field “%(field)s”.") % named
        else:
            yield _("The field “%(field)s” was added later; its former value is unknown.") % named


def _lost_columns(former: FormerRow, using: str) -> Iterator[str]:
    """Columns that exist, but belong to no field, stay as they are; others are lost."""
    for model, column in lost_columns(former, using):
        table = log_name(model._meta.db_table)
        shape = get_vendor(using).shapes([table]).get(table)
        if shape is None or column not in {one.name for one in shape.columns}:
            yield _("The column “%(column)s” of the former row no longer exists.") % {
                "column": column
            }


def _other_parts(asked: Asked, former: FormerRow, now: Model | None, using: str) -> Iterator[str]:
    """Say which parts of the object, in tables of its parents and children, are in the way."""
    model = asked.model
    kinds = [
        kind
        for kind in children(model)
        if kind in former.kinds or exists(kind, using, pk=asked.key)
    ]
    for kind in kinds:
        yield _("It was, or is, a %(model)s: put back the %(model)s, which includes it.") % {
            "model": kind._meta.verbose_name
        }
    if now is not None:
        return
    for parent, link in parent_links(model).items():
        key = former.values.get(link.attname)
        if key is not None and exists(parent, using, pk=key):
            yield _("Its row as a %(model)s still exists.") % {"model": parent._meta.verbose_name}


def _missing_objects(
    model: type[Model], former: FormerRow, now: Model | None, using: str
) -> Iterator[str]:
    """Say which objects that the former row refers to no longer exist."""
    for field in model._meta.get_fields():
        if isinstance(field, GenericForeignKey):
            lost = _lost_generic(field, former, now, using)
        elif field.concrete or not field.auto_created:
            lost = _lost_object(field, former, now, using)
        else:
            lost = ""
        if lost:
            yield _("“%(field)s” refers to %(object)s, which no longer exists.") % {
                "field": field.name,
                "object": lost,
            }


def _lost_object(field: Any, former: FormerRow, now: Model | None, using: str) -> str:
    if not (field.many_to_one or field.one_to_one) or field.related_model is None:
        return ""
    if getattr(field.remote_field, "parent_link", False):
        return ""
    pairs = [(there, former.values.get(here.attname)) for here, there in field.related_fields]
    if any(value is None for _, value in pairs) or _unchanged(
        [here.attname for here, _ in field.related_fields], former, now
    ):
        return ""
    wanted = {there.attname: value for there, value in pairs}
    if exists(field.related_model, using, **wanted):
        return ""
    keys = ", ".join(str(value) for value in wanted.values())
    return f"{field.related_model._meta.verbose_name} {keys}"


def _lost_generic(field: Any, former: FormerRow, now: Model | None, using: str) -> str:
    from django.contrib.contenttypes.models import ContentType

    kind = field.model._meta.get_field(field.ct_field).attname
    type_id, key = former.values.get(kind), former.values.get(field.fk_field)
    if type_id is None or key is None or _unchanged([kind, field.fk_field], former, now):
        return ""
    try:
        content_type = ContentType.objects.db_manager(using).get_for_id(type_id)
    except ContentType.DoesNotExist:
        return ""  # the foreign key to it says so
    model = content_type.model_class()
    if model is None:
        return str(content_type)
    return "" if exists(model, using, pk=key) else f"{model._meta.verbose_name} {key}"


def _unchanged(names: Collection[str], former: FormerRow, now: Model | None) -> bool:
    """Return whether these fields stay as they are: then nothing is written to them."""
    return now is not None and all(
        getattr(now, name, None) == former.values.get(name) for name in names
    )
