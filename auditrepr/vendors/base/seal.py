"""The seal facet: digests of events, in a form that does not depend on the session."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .facet import Facet

#: All columns of the log, in the order in which a digest has them. Never change it: a column that
#: comes later needs another format of the seal.
COLUMNS = (
    "id", "table_name", "object_id", "previous_object_id", "action", "row_data", "changed_from",
    "context", "actor", "writer", "transaction_id", "snapshot", "statement_at", "occurred_at",
)  # fmt: skip


class SealFacet(Facet, ABC):
    """Computes what seals are made of."""

    @abstractmethod
    def row_digests(
        self, after: int, upto: int, most: int | None = None
    ) -> list[tuple[int, bytes]]:
        """Return the IDs of the events in ``(after, upto]``, and the digests of their rows.

        They are in the order of their IDs. ``docs/seal.md`` defines the digest of a row.

        :param most: only this many of the first ones.
        """
