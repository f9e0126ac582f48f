"""Related sets as of an event: reverse foreign keys, many-to-many and generic relations.

``.all()`` and what Django answers from a filled queryset (``count()``, ``exists()``, iteration,
slices) come from rows that were found for the whole batch at once. A queryset made from it
(``filter()``, ``order_by()``, ``aggregate()`` …) is sent to the database with the rows of that
moment in place of the tables, as long as it uses no other table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import EmptyResultSet
from django.db.models import ManyToManyField, ManyToOneRel, Model, OneToOneRel, QuerySet
from django.db.models.expressions import OrderBy, RawSQL
from django.db.models.query import ModelIterable
from django.db.models.sql import Query

from ...utils.model_meta import all_relations, concrete, field_named
from ...vendors.types import Found, Row
from ..lookups import AsOfReader, Lookup, SetRelation
from ..matches import Matches
from ..substitution import NotAsOf
from .managers import is_plain, reads_as_django
from .set_order import agree, arranged, ordering

if TYPE_CHECKING:
    from .peers import Peers


@cache
def set_relations(model: type[Model]) -> dict[str, SetRelation]:
    """Return the relations of the model to several objects, by cache name."""
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
    links = [
        arranged(peers.reader.vendor, through, one)
        for one in peers.reader.find_by(through, source, lookups)
    ]
    ends = [
        Lookup(lookup.subject, getattr(link.value, target.attname))
        for lookup, of_one in zip(lookups, links, strict=True)
        for link in of_one.found
        if isinstance(link.value, Model)
    ]
    far = iter(peers.reader.find_many(model, target, ends))
    sets = [arranged(peers.reader.vendor, model, _far_side(of_one, far)) for of_one in links]
    orders = [agree(of_one, source, target, one) for of_one, one in zip(links, sets, strict=True)]
    return [
        one._replace(rows={**one.rows, through: of_one.found}, in_order=in_order)
        for one, of_one, in_order in zip(
            _arranged(peers.reader, model, sets), links, orders, strict=True
        )
    ]


def _far_side(links: Matches, far: Iterator[Matches]) -> Matches:
    """Return the objects that the links refer to: of each that can be read, the next of `far`."""
    # Of links that cannot be read, the objects that they refer to are unknown.
    unread = [
        Found(None, link.doubts, value=link.value)
        for link in links.found
        if not isinstance(link.value, Model)
    ]
    reached = list(islice(far, len(links.found) - len(unread)))
    doubts = [*links.doubts, *(doubt for link in links.found for doubt in link.doubts)]
    doubts += (doubt for end in reached for doubt in end.doubts)
    return Matches([*(one for end in reached for one in end.found), *unread], (*doubts,))


def _generic(field: Any, peers: Peers) -> list[Matches]:
    from django.contrib.contenttypes.models import ContentType

    model = field.remote_field.model
    key = field_named(model, field.object_id_field_name)
    kind = field_named(model, field.content_type_field_name).attname
    types = ContentType.objects.db_manager(peers.reader.using)
    content_type = types.get_for_model(peers.model, for_concrete_model=field.for_concrete_model)
    lookups = [
        one._replace(key=key.to_python(one.key)) for one in peers.lookups(peers.model._meta.pk)
    ]

    def is_ours(one: Found) -> bool:
        of_type = getattr(one.value, kind, None)
        return isinstance(one.value, Exception) or of_type == content_type.pk

    sets = peers.reader.find_by(model, key, lookups)
    ours = [one._replace(found=list(filter(is_ours, one.found))) for one in sets]
    return _arranged(peers.reader, model, ours)


def _arranged(reader: AsOfReader, model: type[Model], sets: Sequence[Matches]) -> list[Matches]:
    """Return the sets in the order of their model; the project's own managers choose each time."""
    sets = [arranged(reader.vendor, model, one) for one in sets]
    every = [one for matches in sets for one in matches.found]
    arrangement = Arrangement(reader, model, every)
    rank = arrangement.of_model() if is_plain(model._default_manager) else None
    result = []
    start = 0
    for matches in sets:
        numbers = range(start, start + len(matches.found))
        start = numbers.stop
        # An object without a row cannot be shown.
        shown = [n for n in numbers if isinstance(every[n].row, Row)]
        if rank is not None:
            shown.sort(key=rank.__getitem__)
        in_order = [every[n] for n in shown]
        # A row that cannot be read makes its whole set unreadable, as in the database.
        unread = [one for one in matches.found if isinstance(one.value, Exception)]
        result.append(
            Matches(
                unread or in_order,
                matches.doubts + tuple(doubt for one in in_order for doubt in one.doubts),
                {concrete(model): matches.found},
                partial(arrangement.shown, numbers),
                rank is not None,
                matches.in_order,
            )
        )
    return result


class Arrangement:
    """The rows of all sets of a batch that a queryset selects, and their order.

    Querysets with equal queries share the answer. This is possible for queries that consist of
    conditions on a row and an order: these select the same from one set and from all of them.
    """

    def __init__(self, reader: AsOfReader, model: type[Model], rows: Sequence[Found]) -> None:
        self.reader = reader
        self.model = model
        self.rows = rows
        self._ranks: dict[Any, dict[int, int] | None] = {}

    def of_model(self) -> dict[int, int] | None:
        """Return the position of each row by its number; None if each set needs its own query."""
        queryset: QuerySet[Any] = QuerySet(self.model, using=self.reader.using)
        if queryset.ordered:
            return self._rank(queryset)
        return {n: n for n in range(len(self.rows))}

    def shown(self, numbers: range, queryset: Any) -> list[Found] | None:
        """Return the rows of one set that the queryset selects, in its order.

        None if the queryset must query for itself.
        """
        query = queryset.query
        kind: Any = type(queryset)
        if (
            type(query) is not Query
            or not reads_as_django(kind)
            or queryset._iterable_class is not ModelIterable
            or query.annotations
            or query.group_by is not None
            or query.combinator
            or query.distinct
            or query.extra
            or query.extra_order_by
            or query.is_sliced
            or any(query.deferred_loading[0])
        ):
            return None
        with self.reader.own_queries():
            rank = self._rank(queryset)
        if rank is None:
            return None
        return [
            self.rows[n] for n in sorted((n for n in numbers if n in rank), key=rank.__getitem__)
        ]

    def _rank(self, queryset: Any) -> dict[int, int] | None:
        name = self.reader.vendor.connection.ops.quote_name(self.model._meta.db_table)
        number = RawSQL(f"{name}.auditrepr_n", ())  # noqa: S611 - quoted
        numbered = queryset.using(self.reader.using).values_list(number, flat=True)
        if order := ordering(numbered.query):
            # Equal members: as their rows lie, also where reverse() turns the order around.
            lie = OrderBy(number, descending=not numbered.query.standard_ordering)
            numbered = numbered.order_by(*order, lie)
        try:
            key = repr(numbered.query.get_compiler(self.reader.using).as_sql())
            if key not in self._ranks:
                with self.reader.instead_of({concrete(self.model): self.rows}):
                    self._ranks[key] = {n: place for place, n in enumerate(numbered)}
        except EmptyResultSet:
            return {}
        except NotAsOf:
            self._ranks[key] = None
        return self._ranks[key]


def _is_generic_relation(field: Any) -> bool:
    if not apps.is_installed("django.contrib.contenttypes"):
        return False
    from django.contrib.contenttypes.fields import GenericRelation

    return isinstance(field, GenericRelation)
