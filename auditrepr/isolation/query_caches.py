"""Packages that answer queries from a cache, by the SQL that Django compiles.

They replace methods of Django's in which it reads. The events are written by triggers, of which
such a package knows nothing, and the same SQL has another answer at another event. So the log, and
code that runs for the past, is read by Django's own methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from inspect import unwrap
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import django
from django.db.models import Manager, Model, QuerySet
from django.db.models.sql import compiler

from .state import current

ModelT = TypeVar("ModelT", bound=Model)

_READING = {
    QuerySet: (
        *("_fetch_all", "iterator", "get", "first", "last", "earliest", "latest", "in_bulk"),
        *("count", "exists", "contains", "aggregate"),
    ),
    compiler.SQLCompiler: ("execute_sql", "results_iter", "has_results"),
    compiler.SQLAggregateCompiler: ("execute_sql", "results_iter", "has_results"),
}
_DJANGO = str(Path(django.__file__).parent)


def _django_own() -> Iterator[tuple[type, str, FunctionType]]:
    for owner, names in _READING.items():
        for name in names:
            method = unwrap(getattr(owner, name))
            if isinstance(method, FunctionType) and method.__code__.co_filename.startswith(_DJANGO):
                yield owner, name, method


# Such packages replace them once the apps are ready. This module is imported before.
_OWN = list(_django_own())
_choosing: set[Callable[..., Any]] = set()


def pass_by() -> None:
    """Let what has been replaced be used by live code only, from now on."""
    for owner, name, own in _OWN:
        there = vars(owner).get(name, own)
        if there is not own and there not in _choosing:
            _choosing.add(chosen := _chosen(own, there))
            setattr(owner, name, chosen)


def _chosen(own: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(own)
    def method(reader: Any, *args: Any, **kwargs: Any) -> Any:
        if current() is not None or _reads_the_log(reader):
            return own(reader, *args, **kwargs)
        return theirs(reader, *args, **kwargs)

    return method


def _reads_the_log(reader: Any) -> bool:
    model = reader.model if isinstance(reader, QuerySet) else reader.query.model
    return bool(model.__module__.startswith(_PACKAGE))


_PACKAGE = __name__.partition(".")[0] + "."


class Afresh(Manager[ModelT]):
    """Finds what is in the database now, whatever answers other queries."""

    def get_queryset(self) -> QuerySet[ModelT]:
        pass_by()
        return super().get_queryset()
