"""Relations to one object, as of an event: resolved for a whole batch at once, on first use.

Django looks a related object up in ``instance._state.fields_cache``, and a related set in
``instance._prefetched_objects_cache``, before it queries. auditrepr puts its own dictionaries
there: the first use by any instance resolves the relation for all of its peers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, partial
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import connections, router
from django.db.models import ForeignObject, ForeignObjectRel, Model, OneToOneRel
from django.db.models.fields.related_descriptors import ReverseOneToOneDescriptor

from ...utils.model_meta import all_relations, can_hold, field_named, key_parts
from ...vendors.types import Found
from ..history import TYPE_GONE
from ..lookups import Ask, Lookup, ObjectRelation
from ..placeholders import Unknown
from .managers import is_djangos, is_plain

if TYPE_CHECKING:
    from .peers import Peers


@cache
def object_relations(model: type[Model]) -> dict[str, ObjectRelation]:
    """Return the relations of the model to one object, by cache name."""
    found: dict[str, ObjectRelation] = {}
    for field in all_relations(model):
        if isinstance(field, ForeignObject):
            if len(field.related_fields) == 1:
                ((source, _),) = field.related_fields
                targets = (field.remote_field.model,)
                found[field.cache_name] = ObjectRelation(partial(forward, field), targets, source)
        elif _is_generic(field):
            found[field.cache_name] = ObjectRelation(partial(generic, field))
        elif isinstance(field, OneToOneRel):
            resolve = partial(reverse_one, field)
            found[field.cache_name] = ObjectRelation(resolve, (field.related_model,))
    return found


@cache
def key_fields(model: type[Model]) -> tuple[str, ...]:
    """Return the attnames of the fields whose values decide where the model's relations lead."""
    used: list[Any] = []
    for field in all_relations(model):
        if isinstance(field, ForeignObject):
            used += (source for source, _ in field.related_fields)
        elif isinstance(field, ForeignObjectRel) and isinstance(field.field, ForeignObject):
            used += field.field.foreign_related_fields
        elif _is_generic(field):
            used += (field_named(model, name) for name in (field.ct_field, field.fk_field))
    own = {name for field in used for name in (part.attname for part in key_parts(field))}
    return tuple(f.attname for f in model._meta.concrete_fields if f.attname in own)


def forward(field: Any, peers: Peers) -> Sequence[Found]:
    """Resolve a ForeignKey or OneToOneField, including links to multi-table parents."""
    model: Any = field.remote_field.model
    ((source, target),) = field.related_fields
    every = peers.lookups(source)
    accessor = _forward_accessor(field, peers.model)
    if not is_plain(model._base_manager) or not _finds_as_django(accessor, field):
        ask = Ask(accessor.get_object)
        return [
            _unknown(key, doubts)
            if isinstance(key, Unknown)
            else Found(None, doubts, value=None if key is None else ask)
            for _, key, doubts in every
        ]
    lookups = [lookup for lookup in every if lookup.key is not None]
    if target.primary_key:
        answers = iter(peers.reader.find(model, lookups))
    else:
        answers = (found.single() for found in peers.reader.find_by(model, target, lookups))
    absent = model.DoesNotExist(f"{model._meta.object_name} matching query does not exist.")
    result = [
        _referred(key, Found(None, doubts) if key is None else next(answers), absent)
        for _, key, doubts in every
    ]
    if not field.remote_field.multiple:
        for member, found in zip(peers.members, result, strict=True):
            if isinstance(found.value, Model):
                field.remote_field.set_cached_value(found.value, member.instance)
    return result


def _forward_accessor(field: Any, model: type[Model]) -> Any:
    """Return the descriptor of a foreign key, which may be of the project's own class."""
    there = getattr_static(model, field.name, None)
    return there if hasattr(there, "get_object") else field.forward_related_accessor_class(field)


def _finds_as_django(accessor: Any, field: Any) -> bool:
    """Return whether a foreign key alone decides which object it leads to, as in Django."""
    filters = "get_extra_descriptor_filter", "get_reverse_related_filter"
    return is_djangos(type(accessor), "get_object", "get_queryset") and is_djangos(
        type(field), *filters
    )


def _referred(key: Any, found: Found, absent: Exception) -> Found:
    """Return the object that a key refers to; `absent` if it refers to one that is not there."""
    if isinstance(key, Unknown):
        return _unknown(key, found.doubts)
    if key is not None and found.value is None:
        return found._replace(value=absent)
    return found


def reverse_one(relation: Any, peers: Peers) -> Sequence[Found]:
    """Resolve the other side of a OneToOneField, including multi-table children."""
    field = relation.field
    model = relation.related_model
    lookups = peers.lookups(field.foreign_related_fields[0])
    accessor = _reverse_accessor(relation, peers.model)
    as_django = is_djangos(type(accessor), "get_queryset") and is_djangos(
        type(field), "get_forward_related_filter"
    )
    if not as_django or not is_plain(model._base_manager):
        return [_asking(lookup, partial(_other_side, relation, accessor)) for lookup in lookups]
    single = [matches.single() for matches in peers.reader.find_by(model, field, lookups)]
    for member, found in zip(peers.members, single, strict=True):
        if isinstance(found.value, Model):
            field.set_cached_value(found.value, member.instance)
    return single


def _reverse_accessor(relation: Any, model: type[Model]) -> Any:
    """Return the descriptor of the other side, which may be of the project's own class."""
    there = getattr_static(model, relation.get_accessor_name() or "", None)
    return there if hasattr(there, "get_queryset") else ReverseOneToOneDescriptor(relation)


def generic(field: Any, peers: Peers) -> Sequence[Found]:
    """Resolve a GenericForeignKey: each content type is a model of its own."""
    by_model = defaultdict(list)
    answers = [Found(None)] * len(peers.members)
    types = peers.lookups(field_named(peers.model, field.ct_field))
    keys = peers.lookups(field_named(peers.model, field.fk_field))
    for index, (of_type, of_key) in enumerate(zip(types, keys, strict=True)):
        doubts = of_type.doubts + of_key.doubts
        model, key = _target(of_type.key, of_key.key, peers.reader.using)
        if model is not None:
            by_model[model].append((index, Lookup(of_key.subject, key, doubts)))
        elif isinstance(key, Exception):
            answers[index] = Found(None, doubts, value=key)
        else:
            answers[index] = Found(None, doubts if key is None else (*doubts, TYPE_GONE))
    for model, wanted in by_model.items():
        # Django looks in the database of the instance, wherever routers send others.
        if router.allow_migrate_model(peers.reader.using, model):
            found = _generic_ends(peers, model, [lookup for _, lookup in wanted])
        else:
            found = [_for_django() for _ in wanted]
        for (index, _), one in zip(wanted, found, strict=True):
            answers[index] = one
    return answers


def _generic_ends(peers: Peers, model: Any, lookups: Sequence[Lookup]) -> list[Found]:
    """Return the targets of one model; None, as in Django, for objects that no longer exist."""
    if is_plain(model._base_manager):
        return peers.reader.find_present(model, lookups)
    using = peers.reader.using
    return [_asking(lookup, partial(_if_there, model, using, lookup.key)) for lookup in lookups]


def _if_there(model: Any, using: str, key: Any, _: Any) -> Any:
    try:
        return model._base_manager.using(using).get(pk=key)
    except ObjectDoesNotExist:
        return None


def _other_side(relation: Any, accessor: Any, instance: Any) -> Any:
    """Return the other side of a OneToOneField, found as its descriptor finds it."""
    rows = accessor.get_queryset(instance=instance)
    try:
        found = rows.get(**relation.field.get_forward_related_filter(instance))
    except relation.related_model.DoesNotExist:
        return None
    relation.field.set_cached_value(found, instance)
    return found


def _asking(lookup: Lookup, query: Callable[[Any], Any]) -> Found:
    if isinstance(lookup.key, Unknown):
        return Found(None, lookup.doubts)
    return Found(None, lookup.doubts, value=Ask(query))


def _target(type_id: Any, key: Any, using: str) -> tuple[type[Model] | None, Any]:
    """Return the target model and key of a generic foreign key.

    ``(None, None)``: there is no target, or type or key is not in the log.
    ``(None, key)``: the content type, or its model, no longer exists.
    ``(None, error)``: Django cannot look up such a key and raises this error.
    """
    from django.contrib.contenttypes.models import ContentType

    if any(half is None or isinstance(half, Unknown) for half in (type_id, key)):
        return None, None
    try:
        types = ContentType.objects.db_manager(using)
        model = types.get_for_id(type_id).model_class()
    except ContentType.DoesNotExist:
        return None, key
    if model is None:
        return None, key
    try:
        model._meta.pk.get_prep_value(key)
        key = model._meta.pk.to_python(key)
        fits = can_hold(model._meta.pk, key, connections[using])
    except (TypeError, ValueError, ArithmeticError, ValidationError) as error:
        return None, error
    return (model, key) if fits else (None, None)


def _unknown(placeholder: Any, doubts: tuple[str, ...] = ()) -> Found:
    """Return the placeholder as the object, because its key is not in the log."""
    return Found(None, doubts, value=placeholder)


def _for_django() -> Found:
    """Leave the relation to Django, which fails if its table is in another database."""
    return Found(None, value=KeyError("it is in another database"))


def _is_generic(field: Any) -> bool:
    if not apps.is_installed("django.contrib.contenttypes"):
        return False
    from django.contrib.contenttypes.fields import GenericForeignKey

    return isinstance(field, GenericForeignKey)
