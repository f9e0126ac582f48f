"""Further instances of rows of which code has had one, and may have changed it."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from ...vendors.types import Row
from ..matches import Matches
from .own_objects import another
from .peers import Peers, Resolve


class RepeatedPeers(Peers):
    """Instances of rows of which code has had others, and may have changed those.

    Their relations lead to the same rows as those of the first ones: nothing is read again.
    """

    def __init__(self, first: Peers) -> None:
        super().__init__(first.reader, first.model, first.relations, first.sets, first.keys)
        self.first = first
        self._places: dict[int, int] = {}  # of the members among the first ones
        self._objects, self._sets = first._objects, first._sets

    def made(self, place: int, row: Row) -> Model:
        """Return another instance of a row, as a new member.

        :raises Exception: if the model's code raises it.
        """
        # Known before there is a member: a time limit may end the making anywhere.
        self._places[len(self.members)] = place
        instance = self.reader.made_again(self, self.first.members[place].subject, row)
        if isinstance(instance, Exception):
            raise self._once_more(instance)
        return instance

    def gives_first(self, matches: Matches) -> bool:
        """Return False: code has had other objects of these rows."""
        return False

    def object(self, name: str, index: int) -> Any:
        """Return another instance of what the relation of the first one leads to."""
        value = super().object(name, index)
        if not isinstance(value, Model):
            return value
        found = another(value)
        first, member = self.first.members[self._places[index]], self.members[index]
        for back, held in value._state.fields_cache.items():
            if held is first.instance:  # the other side of a OneToOneField
                found._state.fields_cache[back] = member.instance
        return found

    def _answer(self, known: dict[str, Any], name: str, resolve: Resolve, index: int) -> Any:
        return self.first._answer(known, name, resolve, self._places[index])
