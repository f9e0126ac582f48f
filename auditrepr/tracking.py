"""Which models are audited, and which of their columns never reach the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar, overload

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import GeneratedField, ManyToManyField, Model
from django.db.models.expressions import Col
from django.db.models.sql import Query

from .conf import NEVER_BY_WILDCARD, get_settings
from .exceptions import KeyExcluded, UnknownColumn, UnknownModel

ModelT = TypeVar("ModelT", bound=type[Model])

_EXCLUDED_BY_DECORATOR: dict[type[Model], tuple[str, ...]] = {}


@overload
def track(model: ModelT, /) -> ModelT: ...
@overload
def track(*, exclude: Iterable[str] = ()) -> Callable[[ModelT], ModelT]: ...
def track(
    model: ModelT | None = None, /, *, exclude: Iterable[str] = ()
) -> ModelT | Callable[[ModelT], ModelT]:
    """Audit this model: ``@track`` or ``@track(exclude=["pin"])``.

    :param exclude: names of fields that never reach the log.
    :raises TypeError: if `exclude` is a bare string.
    """
    if isinstance(exclude, str):
        raise TypeError(f'exclude takes a list of field names: exclude=["{exclude}"]')
    names = tuple(exclude)

    def decorate(model: ModelT) -> ModelT:
        _EXCLUDED_BY_DECORATOR[model] = names
        return model

    return decorate if model is None else decorate(model)


@dataclass(frozen=True)
class TrackedTable:
    """A table to be audited, and the model whose rows it holds."""

    model: type[Model]
    excluded: frozenset[str] = frozenset()  # names of columns

    @property
    def db_table(self) -> str:
        """The table as Django writes it, quoted schema and all."""
        return self.model._meta.db_table

    @property
    def name(self) -> str:
        """The table as the log names it."""
        return log_name(self.db_table)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of the model's primary key, in its order."""
        return tuple(f.column for f in self.model._meta.pk_fields)


def split_name(db_table: str) -> tuple[str | None, str]:
    """The schema, if one is named, and the table: ``'app"."order'`` is ``("app", "order")``.

    That is how a table outside the search path is written in ``db_table``: Django puts quotes
    around it as it is, or leaves it alone if it brings its own.
    """
    schema, separator, table = db_table.removeprefix('"').removesuffix('"').partition('"."')
    return (schema, table) if separator else (None, schema)


def log_name(db_table: str) -> str:
    """What stands in ``AuditLog.table_name``: the table, after its schema if one is named."""
    schema, table = split_name(db_table)
    return f"{schema}.{table}" if schema else table


def tracked_tables(using: str) -> list[TrackedTable]:
    """The tables to be audited in this database, in the order of their names.

    :raises UnknownModel: if a setting names a model that is not installed.
    :raises UnknownColumn: if a field to be left out does not exist.
    :raises KeyExcluded: if a field to be left out is part of the primary key.
    """
    excluded = _excluded_fields()
    tables: dict[str, TrackedTable] = {}
    for model in sorted(_tracked_models(excluded), key=lambda model: not model._meta.managed):
        if router.allow_migrate_model(using, model):
            columns = _excluded_columns(model, excluded)
            tables.setdefault(log_name(model._meta.db_table), TrackedTable(model, columns))
    return [tables[name] for name in sorted(tables)]


def model_for_table(table_name: str) -> type[Model] | None:
    """The installed model whose rows the log keeps under this name, tracked or not."""
    found = [
        model
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy and log_name(model._meta.db_table) == table_name
    ]
    return min(found, key=lambda model: not model._meta.managed, default=None)


def field_names(table_name: str) -> dict[str, str]:
    """The name of the model's field for each column of this table; empty if no model has it."""
    model = model_for_table(table_name)
    return {f.column: f.name for f in model._meta.local_concrete_fields} if model else {}


def _tracked_models(excluded: Mapping[type[Model], set[str]]) -> set[type[Model]]:
    tracked: set[type[Model]] = set()
    for model in _named_models():
        tracked |= set(_with_its_tables(model._meta.concrete_model or model, excluded))
    return tracked


def _named_models() -> Iterator[type[Model]]:
    for decorated in _EXCLUDED_BY_DECORATOR:
        yield from _concrete(decorated)
    for pattern in get_settings().MODELS:
        yield from _matching("MODELS", pattern)


def _concrete(model: type[Model]) -> Iterator[type[Model]]:
    """The model itself, or for an abstract one every installed model that inherits from it."""
    for installed in apps.get_models():
        if installed is model or (model._meta.abstract and issubclass(installed, model)):
            yield installed


def _matching(setting: str, pattern: str) -> list[type[Model]]:
    app_label, dot, name = pattern.partition(".")
    if pattern == "*" or (dot and name == "*" and app_label != "*"):
        found = [
            model
            for model in apps.get_models()
            if app_label in ("*", model._meta.app_label)
            and model._meta.app_label != "auditrepr"
            and model._meta.label_lower not in NEVER_BY_WILDCARD
        ]
        known = pattern == "*" or app_label in {config.label for config in apps.get_app_configs()}
    else:
        found = [m for m in apps.get_models() if m._meta.label_lower == _normal(app_label, name)]
        known = bool(found)
    if not known:
        raise UnknownModel(setting=setting, name=pattern)
    return found


def _normal(app_label: str, name: str) -> str:
    return f"{app_label}.{name.lower()}"


def _with_its_tables(
    model: type[Model], excluded: Mapping[type[Model], set[str]]
) -> Iterator[type[Model]]:
    """The model, the parents whose tables hold a part of it, and its automatic m2m tables."""
    yield model
    for part in (model, *model._meta.all_parents):
        yield part
        for relation in part._meta.local_many_to_many:
            through = relation.remote_field.through
            if through._meta.auto_created and relation.name not in excluded.get(part, ()):
                yield through


def _excluded_fields() -> dict[type[Model], set[str]]:
    """The names of the fields to be left out, by the model whose table has them."""
    excluded: dict[type[Model], set[str]] = {}
    for model, names in _exclusions():
        for name in names:
            try:
                field = model._meta.get_field(name)
            except FieldDoesNotExist:
                raise UnknownColumn(model=model._meta.label, name=name) from None
            if not (getattr(field, "column", None) or isinstance(field, ManyToManyField)):
                raise UnknownColumn(model=model._meta.label, name=name)
            if field in model._meta.pk_fields:
                raise KeyExcluded(model=model._meta.label, name=name)
            owner = field.model._meta.concrete_model or field.model
            excluded.setdefault(owner, set()).add(field.name)
    return excluded


def _exclusions() -> Iterator[tuple[type[Model], tuple[str, ...]]]:
    for decorated, names in _EXCLUDED_BY_DECORATOR.items():
        for model in _concrete(decorated):
            yield model, names
    for pattern, names in get_settings().EXCLUDE.items():
        for model in _matching("EXCLUDE", pattern):
            yield model, names


def _excluded_columns(
    model: type[Model], excluded: Mapping[type[Model], set[str]]
) -> frozenset[str]:
    """The columns to be left out, with the generated ones that would give them away."""
    names = excluded.get(model, set())
    return frozenset(
        field.column
        for field in model._meta.local_concrete_fields
        if field.name in names or (isinstance(field, GeneratedField) and _reads(field, names))
    )


def _reads(generated: GeneratedField, names: set[str]) -> bool:
    query = Query(generated.model, alias_cols=False)
    expression = generated.expression.resolve_expression(query, allow_joins=False)
    return any(isinstance(part, Col) and part.target.name in names for part in expression.flatten())
