"""Querysets derived from a related set as of an event; they return rows of that moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db.models import Model, Prefetch, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.sql import Query

from ...vendors.types import Found
from ..matches import Matches
from .managers import is_djangos, iterates_as_django, reads_as_django
from .set_order import has_ties, lies_in_order, ordered_by, shows_order

if TYPE_CHECKING:
    from .instance_caches import Members

NO_ORDER = "a related set without an order may have come in another one"


def as_of(live: Any, members: Members, known: Sequence[Found] | None) -> Any:
    """Return the queryset of a related set; it and ones made from it read as of the moment.

    :param known: the rows that it selects; None if only a query shows them.
    """
    queryset = live._chain()
    queryset.__class__ = _as_of_class(live.__class__)
    queryset._as_of = members
    queryset._known = known
    return queryset


@cache
def _as_of_class(queryset_class: type[QuerySet[Any]]) -> type[QuerySet[Any]]:
    return type(queryset_class.__name__, (AsOfQuerySet, queryset_class), {})


def _is_plain_prefetch(lookup: Any) -> bool:
    """Return whether the object of a prefetch is no more than a name."""
    names = type(lookup) is Prefetch and lookup.prefetch_to == lookup.prefetch_through
    return names and lookup.queryset is None


def _empty(kind: type[QuerySet[Any]]) -> QuerySet[Any]:
    return kind.__new__(kind)


# The private methods of QuerySet used here have been stable for many versions of Django.
class AsOfQuerySet(QuerySet[Any]):
    """A queryset that runs its queries on the rows of a moment instead of the tables."""

    _as_of: Members | None = None
    #: The rows that it selects, if that is known without a query. The code may not know it yet.
    _known: Sequence[Found] | None = None

    def _clone(self) -> Any:
        clone = super()._clone()  # type: ignore[misc]
        clone._as_of = self._as_of
        return clone

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the queryset, but not the batch that it reads in."""
        for one in (self._as_of, self._known):
            memo[id(one)] = one
        return super().__deepcopy__(memo)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave behind what reads the log: the copy is of the class that the project knows."""
        state = {**self.__getstate__()}
        for name in ("_as_of", "_known"):
            state.pop(name, None)
        return _empty, (type(self).__mro__[2],), state

    def _fetch_all(self) -> None:
        if self._result_cache is None and self._as_of:
            found = self._found() if self._known is None else self._known
            if found is not None:
                # They have their relations, and know which values are missing.
                objects = self._as_of.objects(found, self._known_related_objects)  # type: ignore[attr-defined]
                self._result_cache = objects
                self._prefetch(self._as_of, objects)
        if self._result_cache is not None:
            return super()._fetch_all()
        with self._then():
            super()._fetch_all()
        self._adopt(self._result_cache)
        return None

    def _found(self) -> list[Found] | None:
        """Return the rows of the set that a query selects; None if others are among them."""
        if self._as_of is None or not self._holds_whole_objects(self._as_of.model):
            return None
        there = self._as_of.by_key()
        those: Any = self.values_list("pk", flat=True)
        those._fetch_all()  # the order is only noted if the code sees it
        keys = those._result_cache
        return [there[key] for key in keys] if there.keys() >= set(keys) else None

    def _prefetch(self, members: Members, objects: Sequence[Any]) -> None:
        """Take as prefetched what each object's own sets answer; Django fetches anything else."""
        lookups = [
            one.prefetch_to if _is_plain_prefetch(one) else one
            for one in self._prefetch_related_lookups  # type: ignore[attr-defined]
        ]
        if lookups and members.prefetch(objects, lookups):
            self._prefetch_done = True

    def _adopt(self, made: Any) -> None:
        for one in made if self._as_of else ():
            self._as_of.reader.adopt(one, self._as_of.subject)  # type: ignore[union-attr]

    def __iter__(self) -> Iterator[Any]:
        found = super().__iter__()
        if self._result_cache is not None:
            self._note_order(self._result_cache, self.query.is_sliced)
        return found

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | slice) and self._knows("__getitem__"):
            return self._part(key)
        found = super().__getitem__(key)
        if self._result_cache is not None:
            self._note_order(self._result_cache, self.query.is_sliced)
        elif isinstance(key, int):
            self._note_order([found], cut=True)
        return found

    def _knows(self, method: str) -> bool:
        """Return whether this method of Django's needs no query for what the code has not read."""
        unread = self._known is not None and self._result_cache is None
        return unread and is_djangos(type(self).__mro__[2], method)

    def _part(self, key: Any) -> Any:
        """Return a slice of the rows that are known, which is a queryset, or one of the objects."""
        if not isinstance(key, slice):
            return self._part(slice(key, key + 1))._first()
        found = super().__getitem__(slice(key.start, key.stop))
        found._known = (self._known or ())[key.start : key.stop]
        return list(found)[:: key.step] if key.step else found

    def _first(self) -> Any:
        found = list(self)
        return found[0]  # IndexError: as Django's

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Return the only object; of a slice, as earliest() and latest() make one, note the order.

        Django reads it without the methods above.
        """
        found = super().get(*args, **kwargs)
        if self.query.is_sliced:
            self._note_order([found], cut=True)
        return found

    def _note_order(self, members: Sequence[Any], cut: bool) -> None:
        """Note that the set has no order, if the server may have returned it in another one.

        :param cut: the server took these from the set.
        """
        if self._as_of is None or not (cut or len(members) > 1):
            return
        if self._order_is_unclear(self._as_of.matches, members, cut):
            self._as_of.subject.note(NO_ORDER)

    def _order_is_unclear(self, matches: Matches, members: Sequence[Any], cut: bool) -> bool:
        query = self.query
        every = [one.value for one in matches.found]
        known = lies_in_order(matches, query)
        if not known and shows_order(query.get_meta(), query.annotations.values()):
            return len(every) > 1
        summed_up = query.distinct or query.group_by is not None
        if not self.ordered:
            return (summed_up or not known) and len(every if cut else members) > 1
        if known or summed_up:
            return False
        whole = bool(members) and isinstance(members[0], self.model)
        ties = has_ties(query, members if whole else every, every)
        return self._database_finds_ties() if ties is None else ties

    def _database_finds_ties(self) -> bool:
        values: Any = ordered_by(self)
        values._fetch_all()
        found = values._result_cache
        return len(set(found)) < len(found)

    def _holds_whole_objects(self, model: type[Model]) -> bool:
        """Return whether it returns objects as the members of a set of this model are.

        A manager may return those of a proxy.
        """
        query = self.query
        changed = query.annotations or query.extra or query.combinator or query.distinct_fields
        # Not only() and defer(): omitted fields would be read from the current row.
        # Another class of queries may change the query when it is compiled.
        own = type(query) is Query and reads_as_django(type(self).__mro__[2])
        own = own and self.model is model
        return self._iterable_class is ModelIterable and not changed and own

    def using(self, alias: str | None) -> Any:
        """Return the queryset for a database; for another one it is an ordinary queryset."""
        queryset: Any = super().using(alias)
        if self._as_of is not None and alias not in (None, self._as_of.reader.using):
            queryset._as_of = None
        return queryset

    def __or__(self, other: Any) -> Any:
        return self._united(super().__or__(other), other)

    def __xor__(self, other: Any) -> Any:
        return self._united(super().__xor__(other), other)

    def _united(self, united: Any, other: Any) -> Any:
        """Return the union; rows from elsewhere turn it into an ordinary queryset."""
        sets = [getattr(getattr(one, "_as_of", None), "matches", None) for one in (self, other)]
        if isinstance(united, AsOfQuerySet) and sets[0] is not sets[1]:
            united._as_of = None
        return united

    def _unread(self) -> Any:
        """Return the queryset as before the code has read it."""
        queryset = self._chain()  # type: ignore[attr-defined]
        queryset._known = self._known
        return queryset

    def iterator(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Return the objects, from the project's own method if there is one."""
        queryset = self._unread()
        if iterates_as_django(type(self).__mro__[2]):
            return iter(list(queryset))
        return iter(queryset._iterated(*args, **kwargs))

    def _iterated(self, *args: Any, **kwargs: Any) -> list[Any]:
        with self._then():
            found = list(super().iterator(*args, **kwargs))
        self._adopt(found)
        self._note_order(found, self.query.is_sliced)
        return found

    def count(self) -> int:
        if self._knows("count"):
            return len(self._known or ())
        with self._then():
            return super().count()

    def exists(self) -> bool:
        if self._knows("exists"):
            return bool(self._known)
        with self._then():
            return super().exists()

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if shows_order(self.query.get_meta(), [*args, *kwargs.values()]):
            self._note_order(self._as_of.matches.found if self._as_of else (), cut=True)
        with self._then():
            return super().aggregate(*args, **kwargs)

    @contextmanager
    def _then(self) -> Iterator[None]:
        if self._as_of is None:
            yield
            return
        members = self._as_of
        with members.reader.instead_of(members.matches.rows, otherwise=members.subject):
            yield
