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

from ...utils.model_meta import field_named
from ...vendors.types import Found
from ..instances import is_plain, maker
from ..lookups import Ask, AsOfReader, Lookup, SetRelation, Subject
from ..matches import Matches
from ..placeholders import unknown
from ..rows import ModelRaised
from .managers import is_djangos
from .related_querysets import AsOfQuerySet, as_of

if TYPE_CHECKING:
    from .relations import Resolver


class Member(NamedTuple):
    """One of the peers: an instance and the subject that it was made for."""

    instance: Model
    subject: Subject
    missing: Mapping[str, str]  # why columns have no known value, by column
    keys: tuple[Any, ...] = ()  # what its relations depended on when it was made


class Peers:
    """Instances of one model that were reached in the same way.

    :param resolvers: the resolver of each relation to one object, by cache name.
    :param sets: the relations to several objects, by cache name.
    :param keys: the attnames of the fields whose values decide where the relations lead.
    """

    def __init__(
        self,
        reader: AsOfReader,
        model: type[Model],
        resolvers: Mapping[str, Resolver],
        sets: Mapping[str, SetRelation],
        keys: Sequence[str] = (),
    ) -> None:
        self.reader = reader
        self.model = model
        self.resolvers = resolvers
        self.sets = sets
        self.keys = keys
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
        self.members.append(Member(instance, subject, missing, self._keys_of(instance)))

    def _keys_of(self, instance: Model) -> tuple[Any, ...]:
        return tuple(map(instance.__dict__.get, self.keys))

    def has_changed(self, index: int) -> bool:
        """Return whether code has set a key of this member since it was made."""
        member = self.members[index]
        now = self._keys_of(member.instance)
        return now != member.keys and any(
            then != key and not self._is_placeholder(member, name, key)
            for name, then, key in zip(self.keys, member.keys, now, strict=True)
        )

    def _is_placeholder(self, member: Member, name: str, value: Any) -> bool:
        """Return whether the value stands for one that is unknown; code may have asked for it."""
        field = field_named(self.model, name)
        why = member.missing.get(field.column)
        return why is not None and bool(value == self.reader.placeholder(field, why))

    def now(self, index: int) -> Peers:
        """Return peers of which this member is the only one, with the keys that it has now."""
        instance, subject, missing, _ = self.members[index]
        alone = Peers(self.reader, self.model, self.resolvers, self.sets, self.keys)
        alone.members.append(Member(instance, subject, missing, self._keys_of(instance)))
        return alone

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
        name, there = field.attname, member.instance.__dict__
        then = self._key_then(member, name)
        if then is not there.get(name) and (then is not None or field.column not in member.missing):
            return Lookup(member.subject, then)  # code has set another one since
        if then is there.get(name) and (name in there or field.column not in member.missing):
            return Lookup(member.subject, getattr(member.instance, field.attname))
        why = member.missing[field.column]
        value = self.reader.placeholder(field, why)
        return Lookup(member.subject, value, (unknown(field.column, why),))

    def _key_then(self, member: Member, name: str) -> Any:
        """Return the field's value when the member was made; as it is now if no one kept it."""
        if name in self.keys:
            return member.keys[self.keys.index(name)]
        return member.instance.__dict__.get(name)

    def object(self, name: str, index: int) -> Any:
        """Return the object that the relation with this cache name refers to, for one member.

        :raises KeyError: if it is unknown here, so that Django looks it up.
        """
        resolve = self.resolvers[name]
        if self.has_changed(index):
            return self.now(index).object(name, 0)
        found = self._answer(self._objects, name, resolve, index)
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
        if self.has_changed(index):
            return self.now(index).set(name, 0)
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

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave behind what reads the log; sets that were read are not part of live objects."""
        kept = {name: one for name, one in self.items() if not isinstance(one, AsOfQuerySet)}
        return dict, (kept,)

    def __getitem__(self, name: str) -> Any:
        relation = self._peers.sets.get(name)
        if self._asking or relation is None or self._peers.elsewhere(*relation.models):
            return super().__getitem__(name)  # KeyError: Django queries the current rows
        member = self._peers.members[self._index]
        usual = getattr(member.instance, relation.accessor)
        # Django's cache does not distinguish managers: find the caller's manager in its frame.
        frame = sys._getframe(1)
        asking = frame.f_locals.get("self")
        chosen = isinstance(asking, BaseManager) and not isinstance(asking, type(usual))
        manager: Any = asking if chosen else usual
        as_django = is_djangos(type(manager), "get_queryset", "_apply_rel_filters")
        if self._holds(name) and not chosen:
            return super().__getitem__(name)
        if not as_django and not str(frame.f_globals.get("__name__")).startswith("django."):
            # The project's own related manager: it then asks Django's, which asks here, too.
            raise KeyError(name)
        of_all, live = self._live(manager, member.subject)
        matches = self._peers.set(name, self._index)
        found = as_of(live, matches, self._peers.reader, member.subject)
        if not is_djangos(type(manager), "_apply_rel_filters"):
            found._result_cache = None  # only its own query selects what it shows
            return found
        if matches.plain and not chosen:
            if as_django:
                self[name] = found
            return found
        # A manager may select other rows each time.
        shown = matches.shown(of_all)
        found._result_cache = None if shown is None else [one.value for one in shown]
        return found

    def _holds(self, name: str) -> bool:
        """Return whether the set is here, as the code has fetched it, or for the present keys."""
        if name not in self:
            return False
        of_auditrepr = isinstance(super().__getitem__(name), AsOfQuerySet)
        return not (of_auditrepr and self._peers.has_changed(self._index))

    def _live(self, manager: Any, subject: Subject) -> tuple[Any, Any]:
        """Return the manager's querysets of all objects of its model, and of the set."""
        self._asking = True
        try:
            with self._peers.reader.asking(subject):
                of_all = super(type(manager), manager).get_queryset()  # type: ignore[misc]
                return of_all, manager._apply_rel_filters(of_all._chain())
        finally:
            self._asking = False
