"""Lets the objects of a query lack the columns that are never recorded, until code reads them.

Django selects all columns of a model, although the code may need none of these. What it does not
read, nothing depends on.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from django.db import models
from django.db.models import Model
from django.db.models.query import ModelIterable
from django.db.models.sql.compiler import SQLCompiler

from ...vendors.types import NOT_RECORDED
from ..plain_models import is_plain

#: The excluded columns that a statement names, by the models of its tables.
Excluded = Mapping[type[Model], Collection[str]]
#: Makes an instance one that lacks these columns, from why it does, by column.
Incomplete = Callable[[Model, Mapping[str, str]], None]

#: How Django loads a field that was deferred, unless the code has chosen another way.
_ONE_BY_ONE = (None, getattr(models, "FETCH_ONE", None))


def left_out(sql: str, excluded: Excluded, incomplete: Incomplete) -> set[tuple[type[Model], str]]:
    """Return the columns that the running query's objects lack from now on, with their models.

    They are those that the statement only selects, for objects that only Django's code makes.
    """
    compiler = _running()
    if compiler is None or not excluded:
        return set()
    made = [one for one in _made(compiler.klass_info) if is_plain(one["model"])]
    selected = Counter(name for one in made for name in _columns(compiler, one))
    found = set()
    for one in made:
        columns = set(excluded.get(one["model"], ())) & set(_columns(compiler, one))
        lacking = {name for name in columns if selected[name] == _count(sql, name)}
        if lacking:
            found |= {(one["model"], name) for name in lacking}
            one["model"] = _Lacking(one["model"], lacking, incomplete)
    return found


def _running() -> Any:
    """Return the compiler of the running query, if it makes objects of whole rows of tables."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not SQLCompiler.execute_sql.__code__:
        frame = frame.f_back
    caller = frame.f_back if frame is not None else None
    if frame is None or caller is None or caller.f_code is not ModelIterable.__iter__.__code__:
        return None
    compiler, queryset = frame.f_locals["self"], caller.f_locals["queryset"]
    query = compiler.query
    # Rows that are compared as a whole depend on all of their columns.
    chosen = query.deferred_loading[0] or query.distinct or query.combinator
    usual = getattr(queryset, "_fetch_mode", None) in _ONE_BY_ONE
    return compiler if usual and not chosen else None


def _made(info: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what Django knows of each model that it makes objects of."""
    yield info
    for one in info.get("related_klass_infos", ()):
        yield from _made(one)


def _columns(compiler: Any, info: Mapping[str, Any]) -> Sequence[str]:
    return [compiler.select[place][0].target.column for place in info["select_fields"]]


def _count(sql: str, name: str) -> int:
    return len(re.findall(rf"\b{re.escape(name)}\b", sql))


class _Lacking:
    """Stands for a model whose objects Django makes."""

    def __init__(self, model: type[Model], columns: set[str], incomplete: Incomplete) -> None:
        self._model = model
        self._missing = dict.fromkeys(columns, NOT_RECORDED)
        self._names = {f.attname for f in model._meta.concrete_fields if f.column in columns}
        self._incomplete = incomplete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def from_db(self, using: str, names: Sequence[str], values: Any, **options: Any) -> Model:
        pairs = zip(names, values, strict=True)
        there = {name: value for name, value in pairs if name not in self._names}
        instance = self._model.from_db(using, list(there), list(there.values()), **options)
        self._incomplete(instance, self._missing)
        return instance
