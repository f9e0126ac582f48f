"""What a manager does, read from its class: nobody's code is called to look at it."""

from __future__ import annotations

from functools import cache
from typing import Any, Generic, TypeVar

from django.db.models import Manager, QuerySet
from django.db.models.manager import BaseManager
from django.db.models.sql import Query

T = TypeVar("T")


class _Nothing(Generic[T]):
    """A class that does nothing."""


#: What every class has, or says for other purposes than queries.
_HARMLESS = frozenset({*vars(_Nothing), "use_in_migrations", "_queryset_class", "__orig_class__"})
#: What decides which rows, and what objects, become of a query's result.
_READING = frozenset({"__iter__", "_fetch_all", "_iterator", "_iterable_class", "values_list"})


def is_plain(manager: BaseManager[Any]) -> bool:
    """Does it ask for all rows of its model's table, and is what it makes of them Django's own?

    One that only adds methods does. Any other has to be asked: what it does may depend on anything.
    """
    kind: Any = type(manager)
    return "get_queryset" not in vars(manager) and _is_plain(kind)


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
    """What a class does in another way than the one that it comes from."""
    others = [vars(one) for one in of.__mro__ if one not in base.__mro__]
    # from_queryset() makes a manager of a manager: a class that is new, and does the same.
    return {name for defined in others for name in defined if hasattr(base, name)} - _HARMLESS


@cache
def reads_as_django(queryset_class: Any) -> bool:
    """Do the keys that it reads tell which objects it would give?"""
    return _READING.isdisjoint(_changed(queryset_class, QuerySet))
