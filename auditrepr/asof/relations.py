"""Relations that resolve as of an event, for all instances of a batch at once, on first touch.

Django looks a related object up in ``instance._state.fields_cache``, and a related set in
``instance._prefetched_objects_cache``, before it queries. A dictionary there whose
``__missing__`` answers sees the first touch by any instance, and answers for all of its peers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import ForeignObject, Model, OneToOneRel

from ..utils.model_meta import all_relations, can_hold, field_named
from .history import TYPE_GONE
from .lookups import Answer, Wish
from .placeholders import Unknown

Resolver = Callable[["Peers"], "Sequence[Answer]"]

if TYPE_CHECKING:
    from .peers import Peers


@cache
def _resolvers(model: type[Model]) -> dict[str, Resolver]:
    """How each relation of the model that leads to one object is resolved, by its cache name."""
    found: dict[str, Resolver] = {}
    for field in all_relations(model):
        if isinstance(field, ForeignObject):
            if len(field.related_fields) == 1:
                found[field.cache_name] = partial(forward, field)
        elif _is_generic(field):
            found[field.cache_name] = partial(generic, field)
        elif isinstance(field, OneToOneRel):
            found[field.cache_name] = partial(reverse_one, field)
    return found


def forward(field: Any, peers: Peers) -> Sequence[Answer]:
    """ForeignKey and OneToOneField, links to multi-table parents included."""
    model: Any = field.remote_field.model
    ((source, target),) = field.related_fields
    all_wishes = peers.wishes(source)
    if peers.elsewhere(model):
        return [
            _unknown(key, doubts) if isinstance(key, Unknown) else _for_django()
            for _, key, doubts in all_wishes
        ]
    wishes = [wish for wish in all_wishes if wish.key is not None]
    if target.primary_key:
        answers = iter(peers.batch.find(model, wishes))
    else:
        answers = (found.single() for found in peers.batch.find_by(model, target, wishes))
    absent = model.DoesNotExist(f"{model._meta.object_name} matching query does not exist.")
    result = []
    for member, (_, value, doubts) in zip(peers.members, all_wishes, strict=True):
        answer = Answer(None, doubts) if value is None else next(answers)
        if isinstance(value, Unknown):
            answer = _unknown(value, answer.doubts)
        elif value is not None and answer.value is None:
            answer = Answer(absent, answer.doubts)
        if isinstance(answer.value, Model) and not field.remote_field.multiple:
            field.remote_field.set_cached_value(answer.value, member.instance)
        result.append(answer)
    return result


def reverse_one(relation: Any, peers: Peers) -> Sequence[Answer]:
    """The other side of a OneToOneField, children in multi-table inheritance included."""
    field = relation.field
    model = relation.related_model
    if peers.elsewhere(model):
        return [_for_django() for _ in peers.members]
    wishes = peers.wishes(field.foreign_related_fields[0])
    answers = [found.single() for found in peers.batch.find_by(model, field, wishes)]
    for member, answer in zip(peers.members, answers, strict=True):
        if isinstance(answer.value, Model):
            field.set_cached_value(answer.value, member.instance)
    return answers


def generic(field: Any, peers: Peers) -> Sequence[Answer]:
    """GenericForeignKey: each content type is a model of its own."""
    by_model = defaultdict(list)
    answers = [Answer(None)] * len(peers.members)
    types = peers.wishes(field_named(peers.model, field.ct_field))
    keys = peers.wishes(field_named(peers.model, field.fk_field))
    for index, (of_type, wish) in enumerate(zip(types, keys, strict=True)):
        doubts = of_type.doubts + wish.doubts
        model, key = _target(of_type.key, wish.key, peers.batch.using)
        if model is not None:
            by_model[model].append((index, Wish(wish.subject, key, doubts)))
        elif isinstance(key, Exception):
            answers[index] = Answer(key, doubts)
        else:
            answers[index] = Answer(None, doubts if key is None else (*doubts, TYPE_GONE))
    for model, wanted in by_model.items():
        if peers.elsewhere(model):
            found = [_for_django() for _ in wanted]
        else:
            found = peers.batch.find(model, [wish for _, wish in wanted])
        for (index, _), answer in zip(wanted, found, strict=True):
            answers[index] = answer
    return answers


def _target(type_id: Any, key: Any, using: str) -> tuple[type[Model] | None, Any]:
    """The model and the key of what it leads to; no model where that is certain to be nothing, or
    nobody knows which, or where the key is an error of Django's, which cannot look for such a key.

    Where type or key is not known, Django would take no placeholder for the object: it is nothing.
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


def _unknown(placeholder: Any, doubts: tuple[str, ...] = ()) -> Answer:
    """In place of an object whose key is not known."""
    return Answer(placeholder, doubts)


def _for_django() -> Answer:
    """Leaves it to Django, which asks the database that the project's routers name."""
    return Answer(KeyError("it is in another database"))


def _is_generic(field: Any) -> bool:
    if not apps.is_installed("django.contrib.contenttypes"):
        return False
    from django.contrib.contenttypes.fields import GenericForeignKey

    return isinstance(field, GenericForeignKey)
