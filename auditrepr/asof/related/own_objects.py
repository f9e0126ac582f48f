"""The cache in which Django looks before it queries a relation to one object, as of the event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db.models import Model

from ...vendors.types import Row

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

    def keep_row(self) -> None:
        """Keep what the instance's row holds, before code can change the instance's values."""
        self._peers.keep_row(self._index)

    @property
    def row(self) -> Row | None:
        """Return what the instance was made of; None if the project's code has made it."""
        return self._peers.members[self._index].row

    def again(self) -> Any:
        """Return another instance of the same row."""
        return self._peers.again(self._index)


def another(instance: Any) -> Any:
    """Return another instance of the row that this one was made of."""
    cache = instance._state.fields_cache
    return cache.again() if isinstance(cache, AsOfObjects) else instance


def values_of_row(instance: Any) -> Mapping[str, Any]:
    """Return the values that the row of an instance has, whatever code has set since, by attname.

    There are none if the project's code has made the instance.
    """
    cache = instance._state.fields_cache if isinstance(instance, Model) else None
    row = cache.row if isinstance(cache, AsOfObjects) else None
    return row.values if row else {}
