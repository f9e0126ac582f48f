"""Determines which models leave it to Django to make their instances."""

from __future__ import annotations

from inspect import getattr_static

from django.db.models import Model
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.signals import post_init, pre_init

#: Attributes by which a class can change how its instances are made.
_SAYING = ("__new__", "__init__", "__setattr__", "from_db", "_state")


def is_plain(model: type[Model]) -> bool:
    """Return whether only Django makes the model's instances: no field or receiver changes them."""
    if type(model).__call__ is not type.__call__:
        return False
    others = (vars(base) for base in model.__mro__ if base not in (Model, object))
    return (
        not any(name in defined for defined in others for name in _SAYING)
        and not any(signal.has_listeners(model) for signal in (pre_init, post_init))
        and not model._meta.parents  # else the values come from several tables, in another order
        and all(_is_stored_as_it_is(model, f.attname) for f in model._meta.concrete_fields)
    )


def _is_stored_as_it_is(model: type[Model], name: str) -> bool:
    kind = type(getattr_static(model, name, None))
    # A foreign key's descriptor only clears the cached object, which a new instance does not have.
    return kind is ForeignKeyDeferredAttribute or not hasattr(kind, "__set__")
