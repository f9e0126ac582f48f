"""``@auditrepr.track``: what a model says of itself where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from django.db.models import Model
from django.utils.module_loading import import_string

from ..conf import get_settings

ModelT = TypeVar("ModelT", bound=type[Model])

#: What to use in place of ``str()``: the name of a method, or a function of the instance.
Repr = str | Callable[[Any], object]


@dataclass(frozen=True)
class Mark:
    """What the decorator was told: see :func:`track`."""

    exclude: tuple[str, ...] = ()
    repr: Repr | None = None
    renamed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    former_tables: tuple[str, ...] = ()


#: The decorated models, abstract ones too.
MARKED: dict[type[Model], Mark] = {}


@overload
def track(model: ModelT, /) -> ModelT: ...
@overload
def track(
    *,
    exclude: Iterable[str] = (),
    repr: Repr | None = None,
    renamed: Mapping[str, str | Iterable[str]] | None = None,
    former_tables: Iterable[str] = (),
) -> Callable[[ModelT], ModelT]: ...
def track(
    model: ModelT | None = None,
    /,
    *,
    exclude: Iterable[str] = (),
    repr: Repr | None = None,  # noqa: A002 - the word that the reader of a model expects
    renamed: Mapping[str, str | Iterable[str]] | None = None,
    former_tables: Iterable[str] = (),
) -> ModelT | Callable[[ModelT], ModelT]:
    """Audit this model: ``@track`` or ``@track(exclude=["pin"])``.

    :param exclude: names of fields that never reach the log.
    :param repr: what to use in place of ``str()``: a method's name, or a function of the instance.
    :param renamed: for fields that were renamed in a way that no migration tells (SQL, squashed
        migrations): ``{"today": "before"}``, or ``{"today": ["before", "earlier"]}``. A row of the
        log that holds the old name is read by it, unless it holds both and the old name is in use
        again.
    :param former_tables: likewise, names that the model's table had before.
    :raises TypeError: if a list of names is a bare string, or what is decorated is no model.
    """
    if isinstance(exclude, str):
        raise TypeError(f'exclude takes a list of field names: exclude=["{exclude}"]')
    if isinstance(former_tables, str):
        raise TypeError(f'former_tables takes a list of names: former_tables=["{former_tables}"]')
    columns = {
        new: (old,) if isinstance(old, str) else tuple(old) for new, old in (renamed or {}).items()
    }
    mark = Mark(tuple(exclude), repr, columns, tuple(former_tables))

    def decorate(model: ModelT) -> ModelT:
        if not (isinstance(model, type) and issubclass(model, Model)):
            raise TypeError(f"@auditrepr.track is for model classes, not for {model!r}")
        MARKED[model] = mark
        return model

    return decorate if model is None else decorate(model)


def renamed_fields(model: type[Model]) -> dict[str, tuple[str, ...]]:
    """The names that fields had before, as ``@track`` gives them, for the model or its bases."""
    found: dict[str, tuple[str, ...]] = {}
    for base in reversed(model.__mro__):
        if base in MARKED:
            found |= MARKED[base].renamed
    return found


def former_tables(model: type[Model]) -> tuple[str, ...]:
    """The names that the model's table had before, as ``@track`` gives them."""
    return MARKED[model].former_tables if model in MARKED else ()


def chosen_repr(model: type[Model]) -> Repr | None:
    """What the project wants in place of ``str()`` for this model, if anything."""
    chosen = get_settings().REPR.get(model._meta.label.lower())
    if isinstance(chosen, str) and "." in chosen:
        found: Callable[[Any], object] = import_string(chosen)
        return found
    if chosen is not None:
        return chosen
    marks = (MARKED[base].repr for base in model.__mro__ if base in MARKED)
    return next((mark for mark in marks if mark is not None), None)
