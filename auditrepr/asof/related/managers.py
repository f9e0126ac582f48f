"""Determines from its class what a manager does, without calling the project's code."""

from __future__ import annotations

from functools import cache
from typing import Any, Generic, TypeVar

from django.db.models import Manager, QuerySet
from django.db.models.manager import BaseManager
from django.db.models.sql import Query

T = TypeVar("T")


class _Nothing(Generic[T]):
    """A class that does nothing."""


#: Attributes that every class has, or that have nothing to do with queries.
_HARMLESS = frozenset({*vars(_Nothing), "use_in_migrations", "_queryset_class", "__orig_class__"})
#: Attributes that decide which objects are made of a query's result.
_READING = frozenset({"__iter__", "_fetch_all", "_iterator", "_iterable_class", "values_list"})


def is_plain(manager: BaseManager[Any]) -> bool:
    """Return whether the manager selects all rows of its model's table, exactly as Django does.

    A manager that only adds methods does. Any other must be called: its rows may depend on
    anything.
    """
    kind: Any = type(manager)
    own = "get_queryset" in vars(manager) or manager._db is not None
    return not own and _is_plain(kind)


def is_djangos(kind: type, *names: str) -> bool:
    """Return whether Django has defined these methods of the class, not the project."""
    methods = [getattr(kind, name, None) for name in names]
    return all(
        method is None or str(getattr(method, "__module__", "")).startswith("django.")
        for method in methods
    )


@cache
def _is_plain(manager_class: type) -> bool:
    queryset_class = getattr(manager_class, "_queryset_class", QuerySet)
    return (
        issubclass(manager_class, BaseManager)
        and not _changed(manager_class, Manager)
        and not _changed(queryset_class, QuerySet)
        and Query.get_compiler.__module__ == Query.__module__
    )


def _changed(of: type, base: type) -> set[str]:
    """Return the attributes of `base` that the class overrides."""
    others = [vars(one) for one in of.__mro__ if one not in base.__mro__]
    # from_queryset() derives a new class from a manager, which overrides nothing.
    return {name for defined in others for name in defined if hasattr(base, name)} - _HARMLESS


@cache
def iterates_as_django(queryset_class: Any) -> bool:
    """Return whether iterator() of such a queryset gives the same as iteration over it."""
    return (_READING | {"iterator"}).isdisjoint(_changed(queryset_class, QuerySet))


@cache
def reads_as_django(queryset_class: Any) -> bool:
    """Return whether the keys that a queryset reads determine the objects that it returns."""
    return _READING.isdisjoint(_changed(queryset_class, QuerySet))
