"""The erasing facet: finds texts anywhere in a row, and replaces values of the log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Q

from ..sought import Sought
from .facet import Facet


class ErasingFacet(Facet, ABC):
    """Erases values of the log; what is around them stays as it is, digit by digit."""

    @abstractmethod
    def guards_outdated(self) -> bool:
        """Return whether there are append-only triggers that allow no erasing, even to the owner.

        Those of the versions before allow none.
        """

    @abstractmethod
    def naming(self, columns: Sequence[str], sought: Sought) -> Q:
        """Return a condition that one of these columns holds one of the stretches.

        Whatever holds one fulfills it, also as an escape in a JSON document. Other rows may, too:
        check each. If nothing is sought, no row does.

        :param columns: of texts or JSON, by the names of their fields.
        """

    @abstractmethod
    def replace_values(
        self, event: int, row: Collection[str], old: Collection[str], digest: Any
    ) -> None:
        """Put the digest in place of the values of an event's row, and of its old values.

        :param row: the columns of ``row_data``.
        :param old: the columns of ``changed_from``.
        """

    @abstractmethod
    def tidy_search(self) -> None:
        """Let the search index forget what was deleted from it; it may take a while."""
