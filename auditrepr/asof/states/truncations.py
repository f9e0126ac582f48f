"""Finds the TRUNCATEs that a moment saw, and those it did not: they end rows without events."""

from __future__ import annotations

from ...lineage import Renames
from ...models import AuditLog
from ...vendors import Vendor
from ...vendors.types import Moment
from .completeness import Completeness
from .neighbors import Neighbor
from .visibility import Visibility

EMPTIED = "the table was truncated later"


class Truncations:
    """The TRUNCATEs of tables, for one batch, from one view of the database."""

    def __init__(
        self, vendor: Vendor, renames: Renames, visibility: Visibility, completeness: Completeness
    ) -> None:
        self.vendor = vendor
        self.renames = renames
        self.visibility = visibility
        self.completeness = completeness
        self._known: dict[str, list[Neighbor]] = {}

    def of(self, table: str) -> list[Neighbor]:
        """Return all of them of this table, under each name that it has had."""
        if table not in self._known:
            names = self.renames.lineage(table).names
            rows = AuditLog.objects.using(self.vendor.using).filter(
                table_name__in={name.name for name in names},
                object_id=None,
                action=AuditLog.Action.TRUNCATE,
            )
            found = rows.values_list("table_name", *Neighbor._fields)
            self._known[table] = [
                header
                for name, header in ((name, Neighbor(*values)) for name, *values in found)
                if self.renames.lineage(table).had(name, header.occurred_at)
            ]
            self.visibility.expect(one.id for one in self._known[table])
        return self._known[table]

    def came_after(self, table: str, moment: Moment, until: int | None = None) -> bool:
        """Return whether there is a TRUNCATE of the table that the moment did not see.

        :param until: only before this event.
        """
        self.visibility.expect([moment.upto])
        return any(
            (until is None or t.id < until) and not self.visibility.saw(moment, t)
            for t in self.of(table)
        )

    def lost(self, table: str, moment: Moment, first: Neighbor | None = None) -> bool:
        """Return whether a TRUNCATE may have ended a row that has no event before `first`."""
        until = None if first is None else first.id
        return self.came_after(table, moment, until) and not self.is_whole(table, moment)

    def is_whole(self, table: str, moment: Moment) -> bool:
        """Return whether the log has an event of every row that was in the table at the moment.

        This holds if the table was truncated, and every change since then was recorded.
        """
        return any(
            self.visibility.saw(moment, t) and not self.completeness.gap(table, moment, t.id)
            for t in self.of(table)
        )

    def ended(self, table: str, moment: Moment, last: Neighbor | None) -> bool:
        """Return whether a TRUNCATE that the moment saw ended the row after its last event.

        Where coverage covers the moment, one from before it says nothing: rows may have come since.
        """
        seen = [t for t in self.of(table) if self.visibility.saw(moment, t)]
        since = last.id if last else None
        if seen and since is None and not self.completeness.gap(table, moment, moment.upto):
            since = self.completeness.since(table)
        return any(since is None or t.id > since for t in seen)
