"""The search facet: indexes that find representations by their text."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..types import SearchIndex, Window
from .facet import Facet

#: IDs beyond those of all events.
FIRST, LAST = -(2**63), 2**63 - 1


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


def within(window: Window) -> dict[str, int | str]:
    """Return the bounds of the window as parameters."""
    return {
        "after": FIRST if window.after is None else window.after,
        "before": LAST if window.before is None else window.before,
    }


def direction(forward: bool) -> str:
    return "ASC" if forward else "DESC"


def scanned(
    facet: Facet, sql: str, text: str, window: Window, forward: bool, most: int
) -> tuple[list[int], int | None]:
    """Return what :meth:`SearchFacet.scan_values` returns.

    :param sql: the query, with a place for its direction.
    """
    parameters = within(window) | {
        "pattern": f"%{facet.connection.ops.prep_for_like_query(text)}%",
        "most": most,
        "skipped": most - 1,
    }
    *found, (end, _) = facet.rows(sql.format(direction=direction(forward)), parameters)
    return [pk for pk, _ in found], end
