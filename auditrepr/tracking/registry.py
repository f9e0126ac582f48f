"""Determines which models are audited, and which of their columns are excluded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import Field, GeneratedField, ManyToManyField, Model

from ..conf import NEVER_BY_WILDCARD, get_settings
from ..exceptions import KeyExcluded, OwnTable, UnknownColumn, UnknownModel
from ..utils.model_meta import reads
from ..utils.table_names import log_name
from .decorator import MARKED


@dataclass(frozen=True)
class TrackedTable:
    """A table to audit, and the model whose rows it holds."""

    model: type[Model]
    excluded: frozenset[str] = frozenset()  # names of columns

    @property
    def db_table(self) -> str:
        """Return the table as Django writes it, with schema and quotes."""
        return self.model._meta.db_table

    @property
    def name(self) -> str:
        """Return the table's name in the log."""
        return log_name(self.db_table)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Return the columns of the model's primary key, in its order."""
        return tuple(f.column for f in self.model._meta.pk_fields if f.column)


def tracked_tables(using: str) -> list[TrackedTable]:
    """Return the tables to audit in this database, sorted by name.

    :raises UnknownModel: if a setting names a model that is not installed.
    :raises OwnTable: if one of auditrepr's own models is to be audited.
    :raises UnknownColumn: if a field to exclude does not exist.
    :raises KeyExcluded: if a field to exclude is part of the primary key.
    """
    excluded = _excluded_fields()
    by_table: dict[str, set[type[Model]]] = {}
    for model in _tracked_models(excluded):
        if router.allow_migrate_model(using, model):
            by_table.setdefault(log_name(model._meta.db_table), set()).add(model)
    return [_tracked_table(models, excluded) for _, models in sorted(by_table.items())]


def _tracked_models(excluded: Mapping[type[Model], set[str]]) -> set[type[Model]]:
    out = {m for pattern in filter(is_exception, get_settings().MODELS) for m in matching(pattern)}
    named = {model._meta.concrete_model or model for model in _named_models()}
    return {part for m in named - out for part in _with_its_tables(m, excluded)} - out


def _tracked_table(
    models: Collection[type[Model]], excluded: Mapping[type[Model], set[str]]
) -> TrackedTable:
    """Return the table that these models share; it excludes what any of the models excludes."""
    best = min(models, key=lambda model: (not model._meta.managed, model._meta.label))
    name = log_name(best._meta.db_table)
    sharing = {m for m in excluded if log_name(m._meta.db_table) == name}.union(models)
    return TrackedTable(best, _excluded_columns(sharing, excluded))


def _named_models() -> Iterator[type[Model]]:
    for decorated in MARKED:
        yield from auditable(concrete_models(decorated), "@auditrepr.track")
    for pattern in get_settings().MODELS:
        if not is_exception(pattern):
            yield from auditable(matching(pattern), 'AUDITREPR["MODELS"]')


def is_exception(pattern: str) -> bool:
    """Return whether this entry of ``MODELS`` names a model that is not audited."""
    return pattern.startswith("-")


def matching(pattern: str) -> list[type[Model]]:
    """Return the models that an entry of ``MODELS`` names; an exception may name any table.

    :raises UnknownModel: if there are none.
    """
    if not is_exception(pattern):
        return _matching("MODELS", pattern)
    app_label, _, name = pattern[1:].partition(".")
    tables = apps.get_models(include_auto_created=True)
    found = [model for model in tables if model._meta.label_lower == _normal(app_label, name)]
    return found or _matching("MODELS", pattern[1:], pattern)


def _own_tables() -> set[str]:
    # Not from the app's config: a test may remove auditrepr from INSTALLED_APPS temporarily.
    return {model._meta.db_table for model in apps.all_models["auditrepr"].values()}


def auditable(models: Iterable[type[Model]], setting: str) -> Iterator[type[Model]]:
    """Yield the models; auditrepr's own cannot be among them: their capture would never end.

    :raises OwnTable: if one of them is.
    """
    own = _own_tables()
    for model in models:
        if model._meta.db_table in own:
            raise OwnTable(setting=setting, name=model._meta.label)
        yield model


def concrete_models(model: type[Model]) -> list[type[Model]]:
    """Return the model itself, or every installed model that inherits from an abstract one."""
    installed = apps.get_models()
    if not model._meta.abstract:
        return [model] if model in installed else []
    return [found for found in installed if issubclass(found, model)]


def _matching(setting: str, pattern: str, given: str = "") -> list[type[Model]]:
    app_label, dot, name = pattern.partition(".")
    if pattern == "*" or (dot and name == "*" and app_label != "*"):
        own = _own_tables()
        found = [
            model
            for model in apps.get_models()
            if app_label in ("*", model._meta.app_label)
            and (app_label == "auditrepr" or model._meta.db_table not in own)
            and (model._meta.concrete_model or model)._meta.label_lower not in NEVER_BY_WILDCARD
        ]
        known = pattern == "*" or app_label in {config.label for config in apps.get_app_configs()}
    else:
        found = [m for m in apps.get_models() if m._meta.label_lower == _normal(app_label, name)]
        known = bool(found)
    if not known:
        raise UnknownModel(setting=setting, name=given or pattern)
    return found


def _normal(app_label: str, name: str) -> str:
    return f"{app_label}.{name.lower()}"


def _with_its_tables(
    model: type[Model], excluded: Mapping[type[Model], set[str]]
) -> Iterator[type[Model]]:
    """Yield the model, the parents whose tables hold parts of it, and its automatic m2m tables."""
    for part in (model, *model._meta.all_parents):
        yield part
        for relation in part._meta.local_many_to_many:
            through = relation.remote_field.through
            if (
                through
                and through._meta.auto_created
                and relation.name not in excluded.get(part, ())
            ):
                yield through


def _excluded_fields() -> dict[type[Model], set[str]]:
    """Return the names of excluded fields, by the model whose table has them."""
    excluded: dict[type[Model], set[str]] = {}
    for label, models, names in _exclusions():
        for name in names:
            for owner, field in excluded_fields(label, models, name):
                excluded.setdefault(owner, set()).add(field)
    return excluded


def excluded_fields(
    label: str, models: Collection[type[Model]], name: str
) -> Iterator[tuple[type[Model], str]]:
    """Yield each of the models that has this field to exclude, with the field's name.

    :param label: the name that the settings have for the models.
    :raises UnknownColumn: if none of the models has such a field.
    :raises KeyExcluded: if it is part of a primary key.
    """
    fields = [field for model in models if (field := _storable(model, name))]
    # A name for several models need not exist in each of them.
    if models and not fields:
        raise UnknownColumn(model=label, name=name)
    for field in fields:
        owner = field.model._meta.concrete_model or field.model
        if field in owner._meta.pk_fields:
            raise KeyExcluded(model=owner._meta.label, name=name)
        yield owner, field.name


def _exclusions() -> Iterator[tuple[str, list[type[Model]], tuple[str, ...]]]:
    for decorated, mark in MARKED.items():
        yield decorated._meta.label, concrete_models(decorated), mark.exclude
    for pattern, names in get_settings().EXCLUDE.items():
        yield pattern, excluding(pattern), names


def excluding(pattern: str) -> list[type[Model]]:
    """Return the models that a key of ``EXCLUDE`` names.

    :raises UnknownModel: if there are none.
    """
    return _matching("EXCLUDE", pattern)


def _storable(model: type[Model], name: str) -> Field[Any, Any] | None:
    """Return the field of this name, if it has a column or a table that can be excluded."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    stored = isinstance(field, ManyToManyField) or getattr(field, "column", None)
    return field if stored and isinstance(field, Field) else None


def _excluded_columns(
    models: Iterable[type[Model]], excluded: Mapping[type[Model], set[str]]
) -> frozenset[str]:
    """Return the excluded columns, with the generated ones that would reveal them."""
    fields = [(model, field) for model in models for field in model._meta.local_concrete_fields]
    columns = {str(f.column) for model, f in fields if f.name in excluded.get(model, ())}
    generated = [field for _, field in fields if isinstance(field, GeneratedField)]
    # A generated column may read another one.
    for _ in generated:
        columns |= {str(field.column) for field in generated if reads(field, columns)}
    return frozenset(columns)
