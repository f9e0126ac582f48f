"""Isolates what hands out instances again: identity maps and singletons.

A metaclass answers a call from its map, and else adds to it; a class keeps the instance that its
``__new__`` returns. Code that runs as of an event gets instances of its own, and live code finds
none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from inspect import getmro
from types import FunctionType
from typing import Any

from django.apps import apps

from ..utils.model_meta import key_parts
from .state import current


def guards() -> Iterator[tuple[Any, str, Any]]:
    """Yield each class that takes part in making instances, the method, and what replaces it."""
    models = apps.get_models()
    for kind in {kind for model in models for kind in getmro(type(model))}:
        theirs = vars(kind).get("__call__")
        if isinstance(theirs, FunctionType):
            yield kind, "__call__", _making_its_own(theirs)
    for kind in {kind for model in models for kind in getmro(model)}:
        theirs = vars(kind).get("__new__")
        if isinstance(theirs, staticmethod):
            yield kind, "__new__", staticmethod(_beginning_its_own(theirs.__func__))


def _making_its_own(theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Return the metaclass's method, which leaves it to Python to make instances of the past."""

    @wraps(theirs)
    def call(model: Any, *args: Any, **kwargs: Any) -> Any:
        if current() is None:
            return theirs(model, *args, **kwargs)
        made = type.__call__(model, *args, **kwargs)
        values, named = _without_key(model, args, kwargs)
        with suppress(Exception):  # the model's code may not expect an instance without a key
            added = theirs(model, *values, **named).__dict__
            made.__dict__.update({name: added[name] for name in added.keys() - made.__dict__})
        return made

    return call


def _beginning_its_own(theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Return the class's ``__new__``, whose instance of the past is like theirs, and another."""

    @wraps(theirs)
    def new(model: Any, *args: Any, **kwargs: Any) -> Any:
        if current() is None:
            return theirs(model, *args, **kwargs)
        values, named = _without_key(model, args, kwargs)
        like = theirs(model, *values, **named)
        instance = object.__new__(type(like))
        instance.__dict__.update(like.__dict__)
        return instance

    return new


def _without_key(
    model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments for an instance that no map can know."""
    pk = model._meta.pk
    names = {"pk", pk.name, *(name for part in key_parts(pk) for name in (part.name, part.attname))}
    fields = [field.attname for field in model._meta.concrete_fields]
    values = [None if name in names else value for name, value in zip(fields, args, strict=False)]
    return values, {name: value for name, value in kwargs.items() if name not in names}
