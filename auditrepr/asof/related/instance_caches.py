"""The caches in which Django looks before it queries a relation: they answer as of the event."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.db.models.manager import BaseManager

from ..attributes import Hidden
from ..lookups import Subject
from .managers import is_djangos
from .related_querysets import AsOfQuerySet, as_of

if TYPE_CHECKING:
    from .peers import Peers


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
        if self._asking or relation is None or self._peers.elsewhere(*relation.models):
            return super().__getitem__(name)  # KeyError: Django queries the current rows
        usual = getattr(self._peers.members[self._index].instance, relation.accessor)
        # Django's cache does not distinguish managers: find the caller's manager in its frame.
        frame = sys._getframe(1)
        asking = frame.f_locals.get("self")
        chosen = isinstance(asking, BaseManager) and not isinstance(asking, type(usual))
        if not chosen and self._holds(name):
            return super().__getitem__(name)
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
        subject = self._peers.members[self._index].subject
        of_all, live = self._live(manager, subject)
        matches = self._peers.set(name, self._index)
        found = as_of(live, matches, self._peers.reader, subject)
        djangos_filters = is_djangos(type(manager), "_apply_rel_filters")
        if matches.plain and djangos_filters and not chosen:
            if is_djangos(type(manager), "get_queryset"):
                self[name] = found
            return found
        # A manager may select other rows each time, and only a query knows its own filters.
        shown = matches.shown(of_all) if djangos_filters else None
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
