"""``@auditrepr.track``: audits the model that it decorates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from django.db.models import Model
from django.utils.module_loading import import_string

from ..conf import get_settings
from ..utils.arguments import named

ModelT = TypeVar("ModelT", bound=type[Model])

#: What to use instead of ``str()``: the name of a method, or a function of the instance.
Repr = str | Callable[[Any], object]


@dataclass(frozen=True)
class Declaration:
    """The arguments of the decorator: see :func:`track`."""

    exclude: tuple[str, ...] = ()
    repr: Repr | None = None
    renamed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    former_tables: tuple[str, ...] = ()


#: The decorated models, abstract ones too.
MARKED: dict[type[Model], Declaration] = {}


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

    :param exclude: names of fields that are never recorded.
    :param repr: what to use instead of ``str()``: a method's name, or a function of the instance.
    :param renamed: former names of fields whose rename is in no migration (SQL, squashed
        migrations): ``{"current": "former"}``, or ``{"current": ["former", "earlier"]}``. An event
        that holds the former name is read by it, unless it holds both and the former name is in use
        again.
    :param former_tables: former names of the model's table, likewise.
    :raises TypeError: if a list of names is none, such as a bare string, or `renamed` no
        dictionary; if what is decorated is not a model.
    """
    if isinstance(exclude, str):
        raise TypeError(f'exclude must be a list of field names, such as exclude=["{exclude}"]')
    if isinstance(former_tables, str):
        raise TypeError(
            "former_tables must be a list of table names, such as"
            f' former_tables=["{former_tables}"]'
        )
    if renamed is not None and not isinstance(renamed, Mapping):
        raise TypeError('renamed must be a dictionary, such as renamed={"current": "former"}')
    for name, names in (("exclude", exclude), ("former_tables", former_tables)):
        if not isinstance(names, Iterable):
            raise TypeError(f"{name} must be a list of names, not {named(names)}")
    columns = {
        new: (old,) if isinstance(old, str) else tuple(old) for new, old in (renamed or {}).items()
    }
    mark = Declaration(tuple(exclude), repr, columns, tuple(former_tables))

    def decorate(model: ModelT) -> ModelT:
        if not (isinstance(model, type) and issubclass(model, Model)):
            raise TypeError(f"@auditrepr.track decorates model classes, not {named(model)}")
        MARKED[model] = mark
        return model

    return decorate if model is None else decorate(model)


def renamed_fields(model: type[Model]) -> dict[str, tuple[str, ...]]:
    """Return the former names of fields that ``@track`` gives for the model or its bases."""
    found: dict[str, tuple[str, ...]] = {}
    for base in reversed(model.__mro__):
        if base in MARKED:
            found |= MARKED[base].renamed
    return found


def former_tables(model: type[Model]) -> tuple[str, ...]:
    """Return the former names of the model's table that ``@track`` gives."""
    return MARKED[model].former_tables if model in MARKED else ()


def chosen_repr(model: type[Model]) -> Repr | None:
    """Return what the project uses instead of ``str()`` for this model, if anything."""
    chosen = get_settings().REPR.get(model._meta.label.lower())
    if isinstance(chosen, str) and "." in chosen:
        found: Callable[[Any], object] = import_string(chosen)
        return found
    if chosen is not None:
        return chosen
    marks = (MARKED[base].repr for base in model.__mro__ if base in MARKED)
    return next((mark for mark in marks if mark is not None), None)
