"""Related sets in the cache in which Django looks before it queries one, as of the event."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Model
from django.db.models.manager import BaseManager

from ...utils.model_meta import key_parts
from ...vendors.types import Found, Row
from ..attributes import Hidden
from ..lookups import Subject
from ..matches import Matches
from ..own_values import changeable
from .managers import is_djangos
from .own_objects import another
from .related_querysets import AsOfQuerySet, as_of

if TYPE_CHECKING:
    from .peers import Peers


class Members:
    """The members of one related set as of a moment: each reading gives objects of its own.

    :param peers: the instance whose set it is, and its peers.
    :param model: that of the members.
    """

    def __init__(self, peers: Peers, index: int, matches: Matches, model: type[Model]) -> None:
        self.matches = matches
        self.model = model
        self.reader = peers.reader
        self.subject = peers.members[index].subject
        self._peers = peers

    def objects(self, found: Sequence[Found], known: Any) -> list[Any]:
        """Return objects of these rows of the set: ones that no code has had before.

        :param known: the instance whose set it is, by its key, by the field that refers to it.
        """
        values = [one.value for one in found]
        if self._peers.gives_first(self.matches):
            if values and changeable(values[0]._meta.model):
                for one in values:
                    one._state.fields_cache.keep_row()
            return values
        values = [another(one) for one in values]
        for field, instances in known.items():
            for one in values:
                field.set_cached_value(one, *instances.values())
        return values

    def by_key(self) -> dict[Any, Found]:
        """Return the rows of the set by their keys, which code may have changed on the objects."""
        return {_key(one): one for one in self.matches.found}

    def prefetch(self, objects: Sequence[Any], lookups: Collection[Any]) -> bool:
        """Let the objects keep what these lookups name; False if one names more than a relation.

        The log answers relations without a query for each row.
        """
        caches = [one.__dict__.get("_prefetched_objects_cache") for one in objects]
        known = all(isinstance(one, AsOfSets) and one.knows(lookups) for one in caches)
        for one in caches if known else ():
            one.prefetch(lookups)
        return known


def _key(found: Found) -> Any:
    pk = found.value._meta.pk
    names = [part.attname for part in key_parts(pk)]
    values = found.row.values if isinstance(found.row, Row) else {}
    if not values.keys() >= set(names):
        return found.value.pk
    key = tuple(values[name] for name in names)
    return key if len(key) > 1 else key[0]


class AsOfSets(dict[str, Any], Hidden):
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
        if self._asking or relation is None:
            return super().__getitem__(name)  # KeyError: Django queries the current rows
        if self._peers.elsewhere(self._index, *relation.models):
            return self._from_elsewhere(name)
        usual = getattr(self._peers.members[self._index].instance, relation.accessor)
        # Django's cache does not distinguish managers: find the caller's manager in its frame.
        frame = sys._getframe(1)
        asking = frame.f_locals.get("self")
        chosen = isinstance(asking, BaseManager) and not isinstance(asking, type(usual))
        if not chosen and self._holds(name):
            return super().__getitem__(name)
        if isinstance(asking, BaseManager) and self._is_another(asking._db):
            return self._from_elsewhere(name)
        if not chosen and self._was_asked(name):
            live, members = self._peers.asked[name, self._index]
            return self._kept(name, as_of(live, members, members.matches.found))
        manager: Any = asking if chosen else usual
        by_django = str(frame.f_globals.get("__name__")).startswith("django.")
        if not by_django and not is_djangos(type(manager), "get_queryset", "_apply_rel_filters"):
            # The project's own related manager: it then asks Django's, which asks here, too.
            raise KeyError(name)
        return self._found(name, manager, chosen=chosen)

    def _found(self, name: str, manager: Any, *, chosen: bool) -> Any:
        """Return the set as this manager selects it.

        :param chosen: it is another manager than the relation's usual one.
        """
        of_all, live = self._live(manager, self._peers.members[self._index].subject)
        if self._is_another(live._db):
            return self._from_elsewhere(name)
        matches = self._peers.set(name, self._index)
        members = Members(self._peers, self._index, matches, manager.model)
        djangos_filters = is_djangos(type(manager), "_apply_rel_filters")
        if matches.plain and djangos_filters and not chosen:
            if is_djangos(type(manager), "get_queryset"):
                self._peers.asked[name, self._index] = live, members
            return self._kept(name, as_of(live, members, matches.found))
        # A manager may select other rows each time, and only a query knows its own filters.
        shown = matches.shown(of_all) if djangos_filters and of_all.model is manager.model else None
        found = as_of(live, members, shown)
        return found if chosen else self._kept(name, found)

    def _is_another(self, alias: str | None) -> bool:
        """Return whether a manager names another database, by ``using()`` or ``db_manager()``."""
        return alias is not None and alias != self._peers.reader.using

    def _from_elsewhere(self, name: str) -> Any:
        """Return what the code has prefetched.

        :raises KeyError: if it has not; Django then queries current rows.
        """
        if name not in self:
            self._peers.reader.left_to_django(self._peers.members[self._index].subject)
        return super().__getitem__(name)

    def _holds(self, name: str) -> bool:
        """Return whether the set is here, as the code has fetched it, or for the present keys."""
        if name not in self:
            return False
        of_auditrepr = isinstance(super().__getitem__(name), AsOfQuerySet)
        return not (of_auditrepr and self._peers.has_changed(self._index))

    def _was_asked(self, name: str) -> bool:
        """Return whether a manager of Django's has been asked for the set, for the present keys."""
        asked = (name, self._index) in self._peers.asked
        return asked and not self._peers.has_changed(self._index)

    def _kept(self, name: str, found: AsOfQuerySet) -> AsOfQuerySet:
        """Return the set; it is here from now on if it was prefetched."""
        if (name, self._index) in self._peers.prefetched:
            self[name] = found
        return found

    def knows(self, lookups: Collection[Any]) -> bool:
        """Return whether each of these is the name of one of the instance's own relations."""
        return self._peers.accessors.issuperset(lookups)

    def prefetch(self, accessors: Collection[str]) -> None:
        """Let each of these sets stay the same once it was asked for, as if it was prefetched."""
        names = [name for name, one in self._peers.sets.items() if one.accessor in accessors]
        self._peers.prefetched.update((name, self._index) for name in names)

    def _live(self, manager: Any, subject: Subject) -> tuple[Any, Any]:
        """Return the manager's querysets of all objects of its model, and of the set."""
        self._asking = True
        try:
            with self._peers.reader.asking(subject):
                of_all = super(type(manager), manager).get_queryset()  # type: ignore[misc]
                return of_all, manager._apply_rel_filters(of_all._chain())
        finally:
            self._asking = False
