"""Related sets as of an event: reverse foreign keys, many-to-many and generic relations.

``.all()`` and what Django answers from a filled queryset (``count()``, ``exists()``, iteration,
slices) come from what was found for the whole batch at once. A queryset made from it (``filter()``,
``order_by()``, ``aggregate()`` …) is sent to the database with the rows of that moment in place
of the tables, as long as it asks for no other table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import ManyToManyField, ManyToOneRel, Model, OneToOneRel
from django.db.models.expressions import RawSQL

from ..utils.model_meta import all_relations, concrete, field_named
from ..vendors.types import Found, Row
from .history import Matches
from .lookups import AsOfReader, Lookup, SetRelation
from .placeholders import Unknown
from .substitution import NotAsOf

if TYPE_CHECKING:
    from .peers import Peers


UNORDERED = "a related set could not be filtered and ordered as of the event"


@cache
def set_relations(model: type[Model]) -> dict[str, SetRelation]:
    """The relations of the model that lead to sets, by the names of their caches."""
    found: dict[str, SetRelation] = {}
    for field in all_relations(model):
        if isinstance(field, ManyToManyField):
            resolve = partial(_many_to_many, field, False)
            models: tuple[Any, ...] = (field.remote_field.through, field.remote_field.model)
            found[field.name] = SetRelation(field.name, resolve, models)
        elif isinstance(field, OneToOneRel) or not field.is_relation:
            continue
        elif field.many_to_many and field.auto_created and field.get_accessor_name():
            resolve = partial(_many_to_many, field.field, True)
            name = field.field.related_query_name()
            models = (field.through, field.related_model)
            found[name] = SetRelation(field.get_accessor_name(), resolve, models)
        elif isinstance(field, ManyToOneRel) and not field.hidden:
            resolve = partial(_reverse, field.field)
            models = (field.related_model,)
            found[field.cache_name] = SetRelation(field.get_accessor_name(), resolve, models)
        elif _is_generic_relation(field):
            resolve = partial(_generic, field)
            found[field.attname] = SetRelation(field.name, resolve, (field.remote_field.model,))
    return found


def _reverse(field: Any, peers: Peers) -> list[Matches]:
    lookups = peers.lookups(field.foreign_related_fields[0])
    sets = peers.reader.find_by(field.model, field, lookups)
    for member, matches in zip(peers.members, sets, strict=True):
        for child in matches.found:
            if isinstance(child.value, Model):
                field.set_cached_value(child.value, member.instance)
    return _arranged(peers.reader, field.model, sets)


def _many_to_many(field: Any, reverse: bool, peers: Peers) -> list[Matches]:
    through = field.remote_field.through
    names = [field.m2m_field_name(), field.m2m_reverse_field_name()]
    source, target = (field_named(through, name) for name in names[:: -1 if reverse else 1])
    model = field.model if reverse else field.remote_field.model
    lookups = peers.lookups(source.foreign_related_fields[0])
    links = peers.reader.find_by(through, source, lookups)
    ends = [
        Lookup(lookup.subject, getattr(link.value, target.attname))
        for lookup, of_one in zip(lookups, links, strict=True)
        for link in of_one.found
        if isinstance(link.value, Model)
    ]
    far = iter(peers.reader.find_many(model, target, ends))
    sets = []
    for of_one in links:
        # Nobody knows what they lead to: no row stands behind these in the model's own table.
        unread = [
            Found(None, link.doubts, value=link.value)
            for link in of_one.found
            if not isinstance(link.value, Model)
        ]
        reached = list(islice(far, len(of_one.found) - len(unread)))
        doubts = [*of_one.doubts, *(doubt for link in of_one.found for doubt in link.doubts)]
        doubts += (doubt for end in reached for doubt in end.doubts)
        sets.append(Matches([*(one for end in reached for one in end.found), *unread], (*doubts,)))
    return [
        one._replace(rows={**one.rows, through: of_one.found})
        for one, of_one in zip(_arranged(peers.reader, model, sets), links, strict=True)
    ]


def _generic(field: Any, peers: Peers) -> list[Matches]:
    from django.contrib.contenttypes.models import ContentType

    model = field.remote_field.model
    key = field_named(model, field.object_id_field_name)
    kind = field_named(model, field.content_type_field_name).attname
    types = ContentType.objects.db_manager(peers.reader.using)
    content_type = types.get_for_model(peers.model, for_concrete_model=field.for_concrete_model)
    lookups = [Lookup(m.subject, key.to_python(m.instance.pk)) for m in peers.members]

    def is_ours(one: Found) -> bool:
        of_type = getattr(one.value, kind, None)
        return isinstance(one.value, Exception) or of_type == content_type.pk

    sets = peers.reader.find_by(model, key, lookups)
    ours = [one._replace(found=list(filter(is_ours, one.found))) for one in sets]
    return _arranged(peers.reader, model, ours)


def _arranged(reader: AsOfReader, model: type[Model], sets: Sequence[Matches]) -> list[Matches]:
    """The sets as the model's default manager would give them: filtered and in its order."""
    every = [one for matches in sets for one in matches.found]
    rank, annotations, doubt = _ranks(reader, model, every)
    for one, added in zip(every, annotations, strict=False):
        if isinstance(one.value, Model):
            one.value.__dict__.update(added)
    result = []
    start = 0
    for found, doubts, _ in sets:
        numbers = range(start, start + len(found))
        start = numbers.stop
        shown = sorted((n for n in numbers if n in rank), key=rank.__getitem__)
        in_order = [every[n] for n in shown]
        doubts += tuple(d for one in in_order for d in one.doubts)
        doubts += doubt if found else ()
        # Nobody could have read a set with a row in it that cannot be read.
        unread = [one for one in found if isinstance(one.value, Exception)]
        result.append(Matches(unread or in_order, doubts, {concrete(model): found}))
    return result


def _ranks(
    reader: AsOfReader, model: type[Model], rows: Sequence[Found]
) -> tuple[dict[int, int], list[dict[str, Any]], tuple[str, ...]]:
    """The places of those rows that the default manager shows, by the rows' numbers.

    And what it annotates each of them with, and why these are in doubt.
    """
    key = model._meta.pk.attname
    keys = {n: one.row.values.get(key) for n, one in enumerate(rows) if isinstance(one.row, Row)}
    there = sorted(keys, key=lambda n: _sortable(keys[n]))
    by_key = {n: place for place, n in enumerate(there)}
    queryset = model._default_manager.using(reader.using).all()
    names = list(queryset.query.annotation_select)
    plain = not queryset.query.where and not queryset.ordered and not names
    if plain or not there:
        return by_key, [], ()
    number = RawSQL(f"{_quoted(reader, model)}.auditrepr_n", ())  # noqa: S611 - quoted
    numbered = queryset.values_list(number, *names)
    try:
        with reader.instead_of({concrete(model): rows}):
            read = list(numbered)
    except NotAsOf:
        unknown = {name: Unknown(name) for name in names}
        return by_key, [unknown] * len(rows), (UNORDERED,)
    added = {n: dict(zip(names, values, strict=True)) for n, *values in read}
    places = {n: place for place, (n, *_) in enumerate(read)}
    return places, [added.get(n, {}) for n in range(len(rows))] if names else [], ()


def _sortable(key: Any) -> Any:
    return (str(type(key)), key if hasattr(key, "__lt__") else str(key))


def _quoted(reader: AsOfReader, model: type[Model]) -> str:
    return reader.vendor.connection.ops.quote_name(model._meta.db_table)


def _is_generic_relation(field: Any) -> bool:
    if not apps.is_installed("django.contrib.contenttypes"):
        return False
    from django.contrib.contenttypes.fields import GenericRelation

    return isinstance(field, GenericRelation)
