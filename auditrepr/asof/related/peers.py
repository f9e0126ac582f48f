"""Peers: instances of one model whose relations are resolved together, for all at once.

They were reached in the same way: as the objects of a batch's events, or through one relation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import router
from django.db.models import Model
from django.db.models.manager import BaseManager

from ...vendors.types import Found
from ..instances import is_plain, maker
from ..lookups import Ask, AsOfReader, Lookup, SetRelation, Subject
from ..matches import Matches
from ..placeholders import unknown
from ..rows import ModelRaised
from .related_querysets import as_of

if TYPE_CHECKING:
    from .relations import Resolver


class Member(NamedTuple):
    """One of the peers: an instance and the subject that it was made for."""

    instance: Model
    subject: Subject
    missing: Mapping[str, str]  # why columns have no known value, by column


class Peers:
    """Instances of one model that were reached in the same way.

    :param resolvers: the resolver of each relation to one object, by cache name.
    :param sets: the relations to several objects, by cache name.
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
        self._tracebacks: dict[int, TracebackType | None] = {}  # of errors, by their id()

    def add(self, instance: Model, subject: Subject, missing: Mapping[str, str]) -> None:
        index = len(self.members)
        instance._state.fields_cache = AsOfObjects(self, index)
        instance.__dict__["_prefetched_objects_cache"] = AsOfSets(self, index)
        self.members.append(Member(instance, subject, missing))

    def elsewhere(self, *models: type[Model]) -> bool:
        """Return whether the project keeps one of these models in another database.

        A database that only gets reads, such as a replica, does not count.
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
        """Return what the members' relations refer to by this field.

        Reading the field here notes no reasons: a member's relation may never be used.
        """
        return [self._lookup(member, field) for member in self.members]

    def _lookup(self, member: Member, field: Any) -> Lookup:
        if field.attname in member.instance.__dict__ or field.column not in member.missing:
            return Lookup(member.subject, getattr(member.instance, field.attname))
        why = member.missing[field.column]
        value = self.reader.placeholder(field, why)
        return Lookup(member.subject, value, (unknown(field.column, why),))

    def object(self, name: str, index: int) -> Any:
        """Return the object that the relation with this cache name refers to, for one member.

        :raises KeyError: if it is unknown here, so that Django looks it up.
        """
        found = self._answer(self._objects, name, self.resolvers[name], index)
        member = self.members[index]
        for doubt in found.doubts:
            member.subject.note(doubt)
        if isinstance(found.value, Ask):
            return self._asked(found.value, member)
        if isinstance(found.value, Exception):
            raise self._once_more(found.value)
        return found.value

    def set(self, name: str, index: int) -> Matches:
        """Return the set that the relation with this cache name leads to, for one member."""
        self.members[index].subject.has_asked = True
        matches: Matches = self._answer(self._sets, name, self.sets[name].resolve, index)
        for doubt in matches.doubts:
            self.members[index].subject.note(doubt)
        for one in matches.found:
            if isinstance(one.value, Exception):
                raise self._once_more(one.value)
        return matches

    def _answer(
        self,
        known: dict[str, Any],
        name: str,
        resolve: Callable[[Peers], Sequence[Any]],
        index: int,
    ) -> Any:
        """Return the answer for one of the members; an error is the answer for all of them."""
        answers = known.get(name)
        # The code of a model may use a relation before all of its instances are made.
        if answers is None or (not isinstance(answers, Exception) and index >= len(answers)):
            with self.reader.own_queries():
                try:
                    answers = known[name] = resolve(self)
                except Exception as error:
                    if not self.reader.passes(error):
                        known[name] = ModelRaised.of(error)
                    raise
        if isinstance(answers, Exception):
            with self.reader.own_queries():  # auditrepr's error, even if the row's code hides it
                raise self._once_more(answers)
        return answers[index]

    def _asked(self, ask: Ask, member: Member) -> Any:
        """Return what the project's own manager finds for this member only."""
        try:
            with self.reader.asking(member.subject):
                return self.reader.adopt(ask.query(member.instance), member.subject)
        except KeyError as error:  # Django would take it for an empty cache
            raise ModelRaised.of(error) from error

    def _once_more(self, error: Exception) -> Exception:
        """Return the error with its first traceback.

        Many members raise the same error. Each time, its traceback grows, and keeps all frames
        alive that it passed through.
        """
        first = self._tracebacks.setdefault(id(error), error.__traceback__)
        return error.with_traceback(first)


class AsOfObjects(dict[str, Any]):
    """The ``fields_cache`` of one instance."""

    __slots__ = ("_index", "_peers")

    def __init__(self, peers: Peers, index: int) -> None:
        super().__init__()
        self._peers = peers
        self._index = index

    def __missing__(self, name: str) -> Any:
        value = self._peers.object(name, self._index)
        self[name] = value
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        """Store an answer, be it this one's or Django's own."""
        if value is None:
            self._peers.members[self._index].subject.found_none = True
        super().__setitem__(name, value)


class AsOfSets(dict[str, Any]):
    """The ``_prefetched_objects_cache`` of one instance."""

    __slots__ = ("_asking", "_index", "_peers")

    def __init__(self, peers: Peers, index: int) -> None:
        super().__init__()
        self._peers = peers
        self._index = index
        self._asking = False

    def __getitem__(self, name: str) -> Any:
        relation = self._peers.sets.get(name)
        if self._asking or relation is None or self._peers.elsewhere(*relation.models):
            return super().__getitem__(name)  # KeyError: Django queries the current rows
        member = self._peers.members[self._index]
        usual = getattr(member.instance, relation.accessor)
        # Django's cache does not distinguish managers: find the caller's manager in its frame.
        asking = sys._getframe(1).f_locals.get("self")
        chosen = isinstance(asking, BaseManager) and not isinstance(asking, type(usual))
        if name in self and not chosen:
            return super().__getitem__(name)
        of_all, live = self._live(asking if chosen else usual, member.subject)
        matches = self._peers.set(name, self._index)
        found = as_of(live, matches, self._peers.reader, member.subject)
        if matches.plain and not chosen:
            self[name] = found
            return found
        # A manager may select other rows each time.
        shown = matches.shown(of_all)
        found._result_cache = None if shown is None else [one.value for one in shown]
        return found

    def _live(self, manager: Any, subject: Subject) -> tuple[Any, Any]:
        """Return the manager's querysets of all objects of its model, and of the set."""
        self._asking = True
        try:
            with self._peers.reader.asking(subject):
                of_all = super(type(manager), manager).get_queryset()  # type: ignore[misc]
                return of_all, manager._apply_rel_filters(of_all._chain())
        finally:
            self._asking = False
