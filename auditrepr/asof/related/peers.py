"""Peers: instances of one model whose relations are resolved together, for all at once.

They were reached in the same way: as the objects of a batch's events, or through one relation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import Model

from ...utils.model_meta import field_named
from ...vendors.types import Found, Row
from ..attributes import attributes_of
from ..conversion import ModelRaised
from ..instances import maker
from ..lookups import Ask, AsOfReader, Lookup, ObjectRelation, SetRelation, Subject
from ..matches import Matches
from ..placeholders import Unknown, unknown
from ..plain_models import is_plain
from .instance_caches import AsOfSets, Members
from .own_objects import AsOfObjects

if TYPE_CHECKING:
    from .repeated_peers import RepeatedPeers


#: Returns what a relation of all members leads to, in their order.
Resolve = Callable[["Peers"], Sequence[Any]]


class Member(NamedTuple):
    """One of the peers: an instance and the subject that it was made for."""

    instance: Model
    subject: Subject
    row: Row | None  # None: the project's code has made it
    keys: tuple[Any, ...] = ()  # what its relations depended on when it was made

    @property
    def missing(self) -> Mapping[str, str]:
        """Return why columns have no known value, by column."""
        return self.row.missing if self.row else {}


class Peers:
    """Instances of one model that were reached in the same way.

    :param relations: the relations to one object, by cache name.
    :param sets: the relations to several objects, by cache name.
    :param keys: the attnames of the fields whose values decide where the relations lead.
    """

    def __init__(
        self,
        reader: AsOfReader,
        model: type[Model],
        relations: Mapping[str, ObjectRelation],
        sets: Mapping[str, SetRelation],
        keys: Sequence[str] = (),
    ) -> None:
        self.reader = reader
        self.model = model
        self.relations = relations
        self.sets = sets
        self.keys = keys
        self.make = maker(model, reader.using)
        self.plain = is_plain(model)
        self.members: list[Member] = []
        self._objects: dict[str, Sequence[Found]] = {}
        self._sets: dict[str, Sequence[Matches]] = {}
        self._tracebacks: dict[int, TracebackType | None] = {}  # of errors, by their id()
        #: The sets that code has asked for, by cache name and member, with Django's querysets.
        self.asked: dict[tuple[str, int], tuple[Any, Members]] = {}
        #: Those whose queryset the member keeps, because it was prefetched.
        self.prefetched: set[tuple[str, int]] = set()
        self._given: dict[int, Matches] = {}  # the sets of which code has had objects, by id()

    def add(self, instance: Model, subject: Subject, row: Row | None) -> None:
        """Add an instance as a member: from now on its relations are resolved here."""
        index = len(self.members)
        there, state = attributes_of(instance), instance._state
        objects, sets = AsOfObjects(self, index), AsOfSets(self, index)
        # What the model's own code has read or set while it made the instance.
        known = state.__dict__.get("fields_cache") or {}
        known_sets = there.get("_prefetched_objects_cache") or {}
        state.fields_cache = objects
        there["_prefetched_objects_cache"] = sets
        self.members.append(Member(instance, subject, row, self._keys_of(instance)))
        for name, value in known.items():
            objects[name] = value
        sets.update(known_sets)

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
        instance, subject, row, _ = self.members[index]
        alone = Peers(self.reader, self.model, self.relations, self.sets, self.keys)
        alone.members.append(Member(instance, subject, row, self._keys_of(instance)))
        return alone

    def elsewhere(self, index: int, *models: type[Model]) -> bool:
        """Return whether this member's relation to these models leads to another database.

        A router may decide by the member. A database that only gets reads, such as a replica, does
        not count.
        """
        using, like = self.reader.using, self.members[index].instance
        if not router.routers or not models:
            return (like._state.db or DEFAULT_DB_ALIAS) != using
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
        then, now = self._key_then(member, name), there.get(name)
        why = member.missing.get(field.column)
        if why is not None and then is None and (now is not None or name not in there):
            value = self.reader.placeholder(field, why)
            return Lookup(member.subject, value, (unknown(field.column, why),))
        # If code has set another one since, that is of no concern to the other members.
        return Lookup(member.subject, getattr(member.instance, name) if then is now else then)

    def _key_then(self, member: Member, name: str) -> Any:
        """Return the field's value when the member was made; as it is now if no one kept it."""
        if name in self.keys:
            return member.keys[self.keys.index(name)]
        return member.instance.__dict__.get(name)

    def object(self, name: str, index: int) -> Any:
        """Return the object that the relation with this cache name refers to, for one member.

        :raises KeyError: if it is unknown here, so that Django looks it up.
        """
        relation = self.relations[name]
        if self.has_changed(index):
            return self.now(index).object(name, 0)
        member = self.members[index]
        if self.elsewhere(index, *relation.models):
            return self._from_elsewhere(name, relation, member)
        found = self._answer(self._objects, name, relation.resolve, index)
        for doubt in found.doubts:
            member.subject.note(doubt)
        if isinstance(found.value, Ask):
            return self._asked(found.value, member)
        if isinstance(found.value, Exception):
            raise self._once_more(found.value)
        return found.value

    def _from_elsewhere(self, name: str, relation: ObjectRelation, member: Member) -> Any:
        """Leave the relation to Django, which queries the other database, unless it has no key.

        :raises KeyError: if Django is to look it up.
        """
        key = self._lookup(member, relation.source) if relation.source is not None else None
        if key is not None and isinstance(key.key, Unknown):
            for doubt in key.doubts:
                member.subject.note(doubt)
            return key.key
        if key is None or key.key is not None:
            self.reader.left_to_django(member.subject)
        raise KeyError(name)

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

    def _answer(self, known: dict[str, Any], name: str, resolve: Resolve, index: int) -> Any:
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

    # --- more than one instance of a row -------------------------------------------------------

    def gives_first(self, matches: Matches) -> bool:
        """Return whether no code has had objects of this set; from now on it has."""
        first = id(matches) not in self._given
        self._given[id(matches)] = matches
        return first

    def keep_row(self, index: int) -> None:
        """Keep what the member's row holds, whatever code does to the values of the instance."""
        member = self.members[index]
        if member.row is not None:
            row = self.reader.own_row(self.model, member.row)
            self.members[index] = member._replace(row=row)

    def again(self, index: int) -> Any:
        """Return another instance of the member's row; itself if the project's code made it."""
        member = self.members[index]
        return member.instance if member.row is None else self._repeated.made(index, member.row)

    @cached_property
    def accessors(self) -> frozenset[str]:
        """The names by which code asks for the relations of a member."""
        return frozenset(one.accessor for one in self.sets.values()).union(self.relations)

    @cached_property
    def _repeated(self) -> RepeatedPeers:
        return self.reader.repeated(self)
