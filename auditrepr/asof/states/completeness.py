"""Determines where the log may lack changes: before coverage, in a gap, and where it was pruned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from ...capture import Standing, attachment, audited, standing
from ...lineage import Renames, recent_renames
from ...models import AuditLog, Coverage, Import
from ...vendors import Vendor
from ...vendors.snapshots import sees_all
from ...vendors.types import Moment
from .visibility import Visibility

#: Why events from before cannot be found by the key of today.
OTHER_KEY = "the primary key of {} was another one"


class Completeness:
    """How complete the log is, for one batch, from one view of the database."""

    def __init__(self, vendor: Vendor, visibility: Visibility) -> None:
        self.vendor = vendor
        self.visibility = visibility
        self._times: dict[int, datetime | None] = {}

    @cached_property
    def _standing(self) -> Standing:
        return standing(self.vendor.using)

    @property
    def coverage(self) -> Mapping[str, Coverage]:
        """Return the coverage of each table that is captured without a gap, by table name."""
        return self._standing.covered

    @property
    def keyless(self) -> frozenset[str]:
        """Return the tables in which several rows may have the same key."""
        return self._standing.keyless

    @cached_property
    def _audited(self) -> frozenset[str]:
        return audited(self.vendor.using)

    @cached_property
    def _attached(self) -> str:
        """Return the source that the log is attached to, whose tables have no coverage."""
        found = None if self.coverage else attachment.attached(self.vendor.using)
        return found.source if found else ""

    @cached_property
    def _imports(self) -> list[Import]:
        return list(Import.objects.using(self.vendor.using).all())

    def since(self, table: str) -> int | None:
        """Return the last event from before coverage began; None if there is no coverage."""
        coverage = self.coverage.get(table)
        return coverage.since_event if coverage else None

    def gap(self, table: str, moment: Moment, since: int) -> str:
        """Return why the log may have missed a change after this ID; empty if it has not."""
        coverage = self.coverage.get(table)
        if origin := self._origin(coverage, moment):
            return f"imported from {origin.named}, which does not record what a transaction saw"
        if coverage is None and self._attached:
            return f"recorded by {self._attached}, which does not record what a transaction saw"
        if coverage is None and table not in self._audited:
            return f"{table} is not audited"
        if coverage is None or not self._began(coverage, moment, since):
            return f"capture of {table} was interrupted or started later"
        if coverage.pruned_id >= moment.upto or not sees_all(
            moment.snapshot, coverage.pruned_transaction_id
        ):
            return f"older events of {table} were pruned"
        return OTHER_KEY.format(table) if self._had_other_key(table, moment) else ""

    def _had_other_key(self, table: str, moment: Moment) -> bool:
        """Return whether the events up to the moment have another key than the table has today."""
        at = moment.occurred_at or self._time_of(moment.upto)
        return at is not None and self._renames.had_other_key(table, at)

    @cached_property
    def _renames(self) -> Renames:
        return recent_renames(self.vendor.using)

    def _time_of(self, upto: int) -> datetime | None:
        if upto not in self._times:
            log = AuditLog.objects.using(self.vendor.using).filter(pk__lte=upto).order_by("-pk")
            self._times[upto] = log.values_list("occurred_at", flat=True).first()
        return self._times[upto]

    def is_merged(self, table: str, moment: Moment) -> bool:
        """Return whether the moment is among events of several SELECTs, which times order."""
        origin = self._origin(self.coverage.get(table), moment)
        return origin is not None and len(origin.parts) > 1

    def _origin(self, coverage: Coverage | None, moment: Moment) -> Import | None:
        """Return with what the event of the moment was imported; None if it was recorded here."""
        since = coverage.since_event if coverage else None
        if since is not None and moment.upto > since:
            return None  # as nearly always: nothing is asked then
        found = (one for one in self._imports if one.first_id <= moment.upto <= one.last_id)
        return next(found, None)

    def _began(self, coverage: Coverage, moment: Moment, since: int) -> bool:
        """Return whether capture had started by this ID, as the moment saw it."""
        start = coverage.since_event
        return (
            start is not None
            and start < since
            and self.visibility.sees(moment, coverage.transaction_id)
        )
