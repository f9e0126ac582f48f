"""Instances that were reached in the same way, and answer for each other's relations."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import router
from django.db.models import Model
from django.db.models.manager import BaseManager

from ..vendors.types import Found
from .history import Matches
from .instances import is_plain, maker
from .lookups import AsOfReader, Lookup, SetRelation, Subject
from .placeholders import UNKNOWN
from .related_querysets import as_of

if TYPE_CHECKING:
    from .relations import Resolver


class Member(NamedTuple):
    """An instance, from where it is made to where its relations are resolved, for its subject."""

    instance: Model
    subject: Subject
    missing: Mapping[str, str]  # columns whose value is not known, and why


class Peers:
    """Instances of one model that were reached in the same way.

    :param resolvers: how each relation that leads to one object is resolved, by its cache name.
    :param sets: the relations that lead to sets, likewise.
    """

    def __init__(
        self,
        reader: AsOfReader,
        model: type[Model],
        resolvers: Mapping[str, Resolver],
        sets: Mapping[str, SetRelation],
    ) -> None:
        self.reader = reader
        self.model = model
        self.resolvers = resolvers
        self.sets = sets
        self.make = maker(model, reader.using)
        self.plain = is_plain(model)
        self.members: list[Member] = []
        self._objects: dict[str, Sequence[Found]] = {}
        self._sets: dict[str, Sequence[Matches]] = {}
        self._elsewhere: dict[tuple[type[Model], ...], bool] = {}
        self._tracebacks: dict[int, TracebackType | None] = {}  # of the answers that are errors

    def add(self, instance: Model, subject: Subject, missing: Mapping[str, str]) -> None:
        index = len(self.members)
        instance._state.fields_cache = AsOfObjects(self, index)
        instance.__dict__["_prefetched_objects_cache"] = AsOfSets(self, index)
        self.members.append(Member(instance, subject, missing))

    def elsewhere(self, *models: type[Model]) -> bool:
        """Does the project keep one of these models in another database?

        One that only reads are sent to, as to a replica, is none.
        """
        if models not in self._elsewhere:
            self._elsewhere[models] = self._is_elsewhere(models)
        return self._elsewhere[models]

    def _is_elsewhere(self, models: Iterable[type[Model]]) -> bool:
        using, like = self.reader.using, self.members[0].instance
        return any(
            not router.allow_migrate_model(using, model)
            or using
            not in (
                router.db_for_read(model, instance=like),
                router.db_for_write(model, instance=like),
            )
            for model in models
        )

    def lookups(self, field: Any) -> list[Lookup]:
        """What the members' relations lead to by this field of theirs.

        Not every member's relation need be touched: reading the field here notes nothing.
        """
        return [self._lookup(member, field) for member in self.members]

    def _lookup(self, member: Member, field: Any) -> Lookup:
        if field.attname in member.instance.__dict__ or field.column not in member.missing:
            return Lookup(member.subject, getattr(member.instance, field.attname))
        value = self.reader.placeholder(field, member.missing[field.column])
        return Lookup(member.subject, value, (UNKNOWN.format(field.column),))

    def object(self, name: str, index: int) -> Any:
        """What the relation with this cache name leads to, from one of the members.

        :raises KeyError: if it is not known here, so that Django looks it up itself.
        """
        if self._lacks(self._objects.get(name), index):
            resolve = self.resolvers[name]
            with self.reader.own_queries():
                self._objects[name] = resolve(self)
        found = self._objects[name][index]
        for doubt in found.doubts:
            self.members[index].subject.note(doubt)
        if isinstance(found.value, Exception):
            raise self._once_more(found.value)
        return found.value

    def set(self, name: str, index: int) -> Matches:
        """What the relation with this cache name leads to, from one of the members."""
        if self._lacks(self._sets.get(name), index):
            with self.reader.own_queries():
                self._sets[name] = self.sets[name].resolve(self)
        matches = self._sets[name][index]
        for doubt in matches.doubts:
            self.members[index].subject.note(doubt)
        for one in matches.found:
            if isinstance(one.value, Exception):
                raise self._once_more(one.value)
        return matches

    @staticmethod
    def _lacks(answers: Sequence[Any] | None, index: int) -> bool:
        """A model's code may have asked already while its next instances were to be made."""
        return answers is None or index >= len(answers)

    def _once_more(self, error: Exception) -> Exception:
        """An error that many members have, as it was at first: each raise adds to its traceback,
        and that keeps what it has come through."""
        first = self._tracebacks.setdefault(id(error), error.__traceback__)
        return error.with_traceback(first)


class AsOfObjects(dict[str, Any]):
    """``fields_cache`` of one instance."""

    __slots__ = ("_index", "_peers")

    def __init__(self, peers: Peers, index: int) -> None:
        super().__init__()
        self._peers = peers
        self._index = index

    def __missing__(self, name: str) -> Any:
        value = self._peers.object(name, self._index)
        self[name] = value
        return value


class AsOfSets(dict[str, Any]):
    """``_prefetched_objects_cache`` of one instance."""

    __slots__ = ("_asking", "_index", "_peers")

    def __init__(self, peers: Peers, index: int) -> None:
        super().__init__()
        self._peers = peers
        self._index = index
        self._asking = False

    def __getitem__(self, name: str) -> Any:
        relation = self._peers.sets.get(name)
        if self._asking or relation is None or self._peers.elsewhere(*relation.models):
            return super().__getitem__(name)  # or Django makes its own queryset, of today's rows
        member = self._peers.members[self._index]
        usual = getattr(member.instance, relation.accessor)
        # Django's cache knows no difference between managers: who asks is in the caller's frame.
        asking = sys._getframe(1).f_locals.get("self")
        chosen = isinstance(asking, BaseManager) and not isinstance(asking, type(usual))
        if name in self and not chosen:
            return super().__getitem__(name)
        matches = self._peers.set(name, self._index)
        live = self._live(asking if chosen else usual)
        found = as_of(live, matches, self._peers.reader, member.subject)
        if chosen:
            found._result_cache = None  # another manager may show other rows, in another order
        else:
            self[name] = found
        return found

    def _live(self, manager: Any) -> Any:
        self._asking = True
        try:
            return manager.get_queryset()
        finally:
            self._asking = False
