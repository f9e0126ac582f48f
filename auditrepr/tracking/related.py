"""Determines which objects an event is about besides its own, by the foreign keys of its row.

The rows of an automatic many-to-many table are about both of their ends; those of a model that
``RELATED``, or an admin class, names are about the object that they belong to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.apps import apps
from django.core.signals import setting_changed
from django.db.models import ForeignObjectRel, ManyToManyField, Model

from ..conf import Settings, get_settings
from ..exceptions import UnknownModel, UnusableRelated
from ..utils.model_meta import concrete, field_named
from ..utils.table_names import log_name


class Link(NamedTuple):
    """A column whose events are also about the object that it leads to."""

    table: str  # whose events these are, by its current name in the log
    column: str  # by its current name
    model: type[Model]  # of the object
    generic: str = ""  # the column with the content type that must be the model's
    field: Any = None  # the many-to-many field, if its automatic table has the column

    @property
    def target(self) -> str:
        """Return the current table of the object, as the log names it."""
        return log_name(self.model._meta.db_table)


#: What admin classes name: labels of models, and names of their relations.
_declared: set[tuple[str, str]] = set()


def declare(model: type[Model], names: Iterable[str]) -> None:
    """Let events of these relations of the model be about its objects, too; as ``RELATED`` does.

    :raises TypeError: if the list of names is a bare string.
    """
    if isinstance(names, str):
        raise TypeError(f'related must be a list of names of relations, such as ["{names}"]')
    _declared.update((concrete(model)._meta.label, name) for name in names)


def links() -> Mapping[str, tuple[Link, ...]]:
    """Return the links of all tables that have any; what cannot be used is left to the checks."""
    return _links(named(get_settings()))


def named(settings: Settings) -> frozenset[tuple[str, str]]:
    """Return the relations that the settings and admin classes name, with their models."""
    given = {(label, name) for label, names in settings.RELATED.items() for name in names}
    return frozenset(given | _declared)


@lru_cache(maxsize=8)
def _links(relations: frozenset[tuple[str, str]]) -> dict[str, tuple[Link, ...]]:
    found: dict[str, dict[Link, None]] = defaultdict(dict)
    every = [*_of_pairs()]
    for label, name in sorted(relations):
        try:
            every += relation_links(label, name)
        except (UnknownModel, UnusableRelated):
            continue
    for link in every:
        found[link.table][link] = None
    return {table: tuple(of_table) for table, of_table in found.items()}


def _forget(**_: Any) -> None:
    """Receive ``setting_changed``: the installed apps may be others."""
    _links.cache_clear()


setting_changed.connect(_forget)


def pair_field(through: type[Model]) -> Any:
    """Return the many-to-many field whose automatic table this model stands for, if it does."""
    owner: Any = through._meta.auto_created
    fields = owner._meta.local_many_to_many if owner else ()
    return next((field for field in fields if field.remote_field.through is through), None)


def _of_pairs() -> Iterator[Link]:
    for through in apps.get_models(include_auto_created=True):
        field = pair_field(through)
        if field is not None:
            for name in (field.m2m_field_name(), field.m2m_reverse_field_name()):
                yield _link(field_named(through, name), field)


def relation_links(label: str, name: str) -> list[Link]:
    """Return the links that the relation with this name gives to the events of its rows.

    :raises UnknownModel: if there is no such model.
    :raises UnusableRelated: if the model has no such relation, or one that no column shows.
    """
    try:
        model = concrete(apps.get_model(label))
    except (LookupError, ValueError):
        raise UnknownModel(setting="RELATED", name=label) from None
    relations: dict[str | None, Any] = {}
    for one in model._meta.get_fields():
        if isinstance(one, ForeignObjectRel):
            relations[one.get_accessor_name()] = one
        elif isinstance(one, ManyToManyField) or _is_generic(one):
            relations[one.name] = one
    relation: Any = relations.get(name)
    if relation is None:
        known = ", ".join(sorted(filter(None, relations))) or "none"
        raise UnusableRelated(model=model._meta.label, name=name, reason=f"has {known}")
    if _is_generic(relation):
        return [_generic(model, relation)]
    field = _foreign_key(relation)
    if not field.foreign_related_fields[0].primary_key or len(field.foreign_related_fields) > 1:
        reason = "refers to the model by a field other than its primary key"
        raise UnusableRelated(model=model._meta.label, name=name, reason=reason)
    return [_link(field)]


def _foreign_key(relation: Any) -> Any:
    """Return the foreign key to the model; a many-to-many relation has it in its table."""
    if relation.many_to_many and relation.auto_created:
        return field_named(relation.through, relation.field.m2m_reverse_field_name())
    if relation.many_to_many:
        return field_named(relation.remote_field.through, relation.m2m_field_name())
    return relation.field


def _link(key: Any, field: Any = None) -> Link:
    model = concrete(key.remote_field.model)
    return Link(log_name(key.model._meta.db_table), key.column, model, field=field)


def _generic(model: type[Model], relation: Any) -> Link:
    rows = relation.remote_field.model
    key = field_named(rows, relation.object_id_field_name)
    kind = field_named(rows, relation.content_type_field_name)
    return Link(log_name(key.model._meta.db_table), key.column, model, generic=kind.column)


def _is_generic(field: Any) -> bool:
    return bool(field.one_to_many and field.is_relation and not field.auto_created)
