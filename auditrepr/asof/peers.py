"""Instances that were reached in the same way, and answer for each other's relations."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import router
from django.db.models import Model
from django.db.models.manager import BaseManager

from .instances import is_plain, maker
from .lookups import Answer, SetAnswer, SetRelation, Subject, Wish
from .placeholders import UNKNOWN
from .related_querysets import as_of
from .related_sets import set_relations
from .relations import _resolvers

if TYPE_CHECKING:
    from .batch import Batch


class Member(NamedTuple):
    """An instance, and the subject for whose representation it is read."""

    instance: Model
    subject: Subject
    missing: Mapping[str, str]  # columns whose value is not known, and why


class Peers:
    """Instances of one model that were reached in the same way."""

    def __init__(self, batch: Batch, model: type[Model]) -> None:
        self.batch = batch
        self.model = model
        self.make = maker(model, batch.using)
        self.plain = is_plain(model)
        self.members: list[Member] = []
        self._answers: dict[str, Sequence[Answer]] = {}
        self._sets: dict[str, Sequence[SetAnswer]] = {}
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
        using, like = self.batch.using, self.members[0].instance
        return any(
            not router.allow_migrate_model(using, model)
            or using
            not in (
                router.db_for_read(model, instance=like),
                router.db_for_write(model, instance=like),
            )
            for model in models
        )

    def wishes(self, field: Any) -> list[Wish]:
        """What the members' relations lead to by this field of theirs.

        Not every member's relation need be touched: reading the field here notes nothing.
        """
        return [self._wish(member, field) for member in self.members]

    def _wish(self, member: Member, field: Any) -> Wish:
        if field.attname in member.instance.__dict__ or field.column not in member.missing:
            return Wish(member.subject, getattr(member.instance, field.attname))
        value = self.batch.stand_in(field, member.missing[field.column])
        return Wish(member.subject, value, (UNKNOWN.format(field.column),))

    def object(self, name: str, index: int) -> Any:
        """What the relation with this cache name leads to, from one of the members.

        :raises KeyError: if it is not known here, so that Django looks it up itself.
        """
        if name not in self._answers:
            resolve = _resolvers(self.model)[name]
            with self.batch.own_queries():
                self._answers[name] = resolve(self)
        value, doubts = self._answers[name][index]
        for doubt in doubts:
            self.members[index].subject.note(doubt)
        if isinstance(value, Exception):
            raise self._once_more(value)
        return value

    def set(self, name: str, relation: SetRelation, index: int) -> SetAnswer:
        """What the relation with this cache name leads to, from one of the members."""
        if name not in self._sets:
            with self.batch.own_queries():
                self._sets[name] = relation.resolve(self)
        answer = self._sets[name][index]
        for doubt in answer.doubts:
            self.members[index].subject.note(doubt)
        for value in answer.objects:
            if isinstance(value, Exception):
                raise self._once_more(value)
        return answer

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
        relation = set_relations(self._peers.model).get(name)
        if self._asking or relation is None or self._peers.elsewhere(*relation.models):
            return super().__getitem__(name)  # or Django makes its own queryset, of today's rows
        member = self._peers.members[self._index]
        usual = getattr(member.instance, relation.accessor)
        # Django's cache knows no difference between managers: who asks is in the caller's frame.
        asking = sys._getframe(1).f_locals.get("self")
        chosen = isinstance(asking, BaseManager) and not isinstance(asking, type(usual))
        if name in self and not chosen:
            return super().__getitem__(name)
        answer = self._peers.set(name, relation, self._index)
        found = as_of(
            self._live(asking if chosen else usual), answer, self._peers.batch, member.subject
        )
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
