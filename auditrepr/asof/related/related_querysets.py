"""Querysets derived from a related set as of an event; they return rows of that moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db.models import QuerySet
from django.db.models.query import ModelIterable
from django.db.models.sql import Query

from ..lookups import AsOfReader, Subject
from ..matches import Matches
from .managers import reads_as_django
from .set_order import has_ties, lies_in_order, ordered_by, shows_order

NO_ORDER = "a related set without an order may have come in another one"


def as_of(live: Any, matches: Matches, reader: AsOfReader, subject: Subject) -> Any:
    """Return the queryset of a related set, filled; ones made from it read as of the moment."""
    queryset = live._chain()
    queryset.__class__ = _as_of_class(live.__class__)
    queryset._as_of = (matches, reader, subject)
    queryset._result_cache = [one.value for one in matches.found]
    queryset._prefetch_done = True
    return queryset


@cache
def _as_of_class(queryset_class: type[QuerySet[Any]]) -> type[QuerySet[Any]]:
    return type(queryset_class.__name__, (AsOfQuerySet, queryset_class), {})


def _empty(kind: type[QuerySet[Any]]) -> QuerySet[Any]:
    return kind.__new__(kind)


# The private methods of QuerySet used here have been stable for many versions of Django.
class AsOfQuerySet(QuerySet[Any]):
    """A queryset that runs its queries on the rows of a moment instead of the tables."""

    _as_of: tuple[Matches, AsOfReader, Subject] | None

    def _clone(self) -> Any:
        clone = super()._clone()  # type: ignore[misc]
        clone._as_of = self._as_of
        return clone

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the queryset, but not the batch that it reads in."""
        memo[id(self._as_of)] = self._as_of
        return super().__deepcopy__(memo)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave behind what reads the log: the copy is of the class that the project knows."""
        state = {**self.__getstate__()}
        del state["_as_of"]
        return _empty, (type(self).__mro__[2],), state

    def _fetch_all(self) -> None:
        if self._result_cache is None and self._as_of and self._holds_whole_objects():
            # Reuse the objects: they have their relations, and know which values are missing.
            there = {one.value.pk: one.value for one in self._as_of[0].found}
            those: Any = self.values_list("pk", flat=True)
            those._fetch_all()  # the order is only noted if the code sees it
            keys = those._result_cache
            if there.keys() >= set(keys):
                self._result_cache = [there[key] for key in keys]
        if self._result_cache is not None:
            return super()._fetch_all()
        with self._then():
            super()._fetch_all()
        if self._as_of:
            _, reader, subject = self._as_of
            made: Any = self._result_cache
            for one in made:
                reader.adopt(one, subject)
        return None

    def __iter__(self) -> Iterator[Any]:
        found = super().__iter__()
        if self._result_cache is not None:
            self._note_order(self._result_cache, self.query.is_sliced)
        return found

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if self._result_cache is not None:
            self._note_order(self._result_cache, self.query.is_sliced)
        elif isinstance(key, int):
            self._note_order([found], cut=True)
        return found

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
        matches, _, subject = self._as_of
        if self._order_is_unclear(matches, members, cut):
            subject.note(NO_ORDER)

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

    def _holds_whole_objects(self) -> bool:
        query = self.query
        changed = query.annotations or query.extra or query.combinator or query.distinct_fields
        # Not only() and defer(): omitted fields would be read from the current row.
        # Another class of queries may change the query when it is compiled.
        own = type(query) is Query and reads_as_django(type(self).__mro__[2])
        return self._iterable_class is ModelIterable and not changed and own

    def __or__(self, other: Any) -> Any:
        return self._united(super().__or__(other), other)

    def __xor__(self, other: Any) -> Any:
        return self._united(super().__xor__(other), other)

    def _united(self, united: Any, other: Any) -> Any:
        """Return the union; rows from elsewhere turn it into an ordinary queryset."""
        if isinstance(united, AsOfQuerySet) and getattr(other, "_as_of", None) is not self._as_of:
            united._as_of = None
        return united

    def iterator(self, chunk_size: int | None = None) -> Iterator[Any]:
        return iter(list(self))

    def count(self) -> int:
        with self._then():
            return super().count()

    def exists(self) -> bool:
        with self._then():
            return super().exists()

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if shows_order(self.query.get_meta(), [*args, *kwargs.values()]):
            self._note_order(self._as_of[0].found if self._as_of else (), cut=True)
        with self._then():
            return super().aggregate(*args, **kwargs)

    @contextmanager
    def _then(self) -> Iterator[None]:
        if self._as_of is None:
            yield
            return
        matches, reader, subject = self._as_of
        with reader.instead_of(matches.rows, otherwise=subject):
            yield
