"""Instances of rows, as ``Model.from_db`` makes them, at a fraction of its cost.

Django sets each of a model's fields by itself, and asks whoever may listen. Where none of that can
make a difference, the values go into the instance at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import getattr_static
from typing import Any

from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.signals import post_init, pre_init

#: What a class may define to have a say in how its instances are made.
_SAYING = ("__new__", "__init__", "__setattr__", "from_db", "_state")

Maker = Callable[[Mapping[str, Any]], Model]


def maker(model: type[Model], using: str) -> Maker:
    """Makes an instance of the values of a row, by their fields' attnames.

    A field without value is deferred, as Django calls it.
    """
    return _at_once(model, using) if is_plain(model) else _by_django(model, using)


def _by_django(model: type[Model], using: str) -> Maker:
    every = [field.attname for field in model._meta.concrete_fields]

    def make(values: Mapping[str, Any]) -> Model:
        names: Sequence[str] = every
        if len(values) < len(names):
            names = [name for name in names if name in values]
        return model.from_db(using, names, [values[name] for name in names])

    return make


def _at_once(model: type[Model], using: str) -> Maker:
    def make(values: Mapping[str, Any]) -> Model:
        instance = object.__new__(model)
        state = ModelState()
        state.adding = False
        state.db = using
        there = instance.__dict__
        there["_state"] = state
        there.update(values)
        return instance

    return make


def is_plain(model: type[Model]) -> bool:
    """Does Django alone make its instances, in a way that no field or receiver changes?"""
    others = (vars(base) for base in model.__mro__ if base not in (Model, object))
    return (
        not any(name in defined for defined in others for name in _SAYING)
        and not any(signal.has_listeners(model) for signal in (pre_init, post_init))
        and not model._meta.parents  # else the values come from several tables, in another order
        and all(_is_stored_as_it_is(model, f.attname) for f in model._meta.concrete_fields)
    )


def _is_stored_as_it_is(model: type[Model], name: str) -> bool:
    kind = type(getattr_static(model, name, None))
    # A foreign key's forgets a related object that is cached; a new instance has none.
    return kind is ForeignKeyDeferredAttribute or not hasattr(kind, "__set__")
