"""The search facet: indexes that find representations by their text."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..types import SearchIndex, Window
from .facet import Facet


class SearchFacet(Facet, ABC):
    """Searches representations. What ends in ``_sql`` returns statements for the caller."""

    @abstractmethod
    def search_index(self) -> SearchIndex | None:
        """Return the index for searching representations, if it exists and is valid."""

    @abstractmethod
    def best_search_index(self) -> SearchIndex:
        """Return the best index that this database can have, with its extensions."""

    @abstractmethod
    def search_sql(self, index: SearchIndex) -> list[str]:
        """Return the SQL that creates the index; there must be none yet."""

    @abstractmethod
    def remove_search_sql(self) -> list[str]:
        """Return the SQL that drops every index for searching, if there is one."""

    @abstractmethod
    def values_index(self) -> bool:
        """Return whether the index for searching old and new values exists and is valid."""

    @abstractmethod
    def values_sql(self) -> list[str]:
        """Return the SQL that creates that index; there must be none yet."""

    @abstractmethod
    def fill_values(self, after: int, upto: int) -> None:
        """Store the values of the updates among these events, for the index; twice does no harm."""

    @abstractmethod
    def scan_values(
        self, text: str, window: Window, forward: bool, most: int
    ) -> tuple[list[int], int | None]:
        """Return the updates with this text in a value, without an index.

        It reads `most` events of the window, the oldest if `forward`, or else the newest, and
        returns the last of these, too; None if the window has no more.
        """

    @abstractmethod
    def search_values(
        self, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        """Return the updates with this text in a value, by the index; see :meth:`search`."""

    @abstractmethod
    def search(
        self, index: SearchIndex, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        """Return the events of the window whose representations match, by the index.

        At most `most`, in order, the oldest first if `forward`; if the index has no order, all in
        any order. None if there are more, or if the index cannot be used.
        """
