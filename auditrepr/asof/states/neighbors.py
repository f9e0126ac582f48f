"""Finds the events of a row nearest to a moment: the last that it saw, and the next ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from ...lineage import Renames
from ...models import AuditLog
from ...utils.model_meta import field_named
from ...vendors import Vendor
from ...vendors.snapshots import sees_all
from ...vendors.types import Moment

#: How many moments of a row justify one look-up for all of them; it is wasted if an event of the
#: row lies between them.
SHARED = 3

_upto = attrgetter("upto")


class Neighbor(NamedTuple):
    """The columns of an event that determine its order relative to a moment."""

    id: int
    action: str
    object_id: str | None
    previous_object_id: str | None
    transaction_id: int | None
    statement_at: datetime | None
    occurred_at: datetime

    @property
    def inserted(self) -> int | None:
        """Return the event if it gave the row its place in the table; else None."""
        return self.id if self.action == AuditLog.Action.INSERT else None

    def same_statement(self, moment: Moment) -> bool:
        """Return whether one firing of a trigger caused this event and the moment's.

        Without `statement_at`, also true for separate statements in the same millisecond. The
        caller checks that both events are of the same table.
        """
        return (
            self.action == moment.action
            and self.transaction_id == moment.transaction_id
            and self.occurred_at == moment.occurred_at
        )

    def same_message(self, moment: Moment) -> bool:
        """Return whether one client message caused both; it may hold several statements."""
        return (
            self.statement_at is not None
            and self.statement_at == moment.statement_at
            and self.transaction_id == moment.transaction_id
        )


class Neighbors(NamedTuple):
    """The events nearest to a moment, for one key of one table.

    An update that changes a primary key concerns two keys: it gives the row a new key and takes
    the old one away. The ``*_taking`` fields are the events that took this key away. ``first`` is
    None if the moment saw the row's newest event.
    """

    last: Neighbor | None  # the latest that the moment saw
    last_taking: Neighbor | None
    next: Neighbor | None  # the first with a greater id than the moment's
    next_taking: Neighbor | None
    first: Neighbor | None  # the first that the moment has not seen
    first_taking: Neighbor | None

    @property
    def seen(self) -> list[Neighbor]:
        return [one for one in (self.last, self.last_taking) if one]

    @property
    def later(self) -> list[Neighbor]:
        return [one for one in (self.next, self.next_taking) if one]

    def since(self, event: int) -> Neighbors:
        """Return these without what the moment saw up to this event."""
        last, taking = self.last, self.last_taking
        return self._replace(
            last=last if last and last.id > event else None,
            last_taking=taking if taking and taking.id > event else None,
        )

    @property
    def earliest(self) -> list[Neighbor]:
        return [one for one in (self.first, self.first_taking) if one]


FIELDS = [field_named(AuditLog, name) for name in Neighbor._fields]
NEIGHBORS = f"SELECT {', '.join(Neighbor._fields)} FROM auditrepr_auditlog WHERE "  # noqa: S608


def look_up(
    vendor: Vendor, renames: Renames, table: str, wanted: Sequence[tuple[Moment, str]]
) -> list[Neighbors]:
    """Return the neighbors of each of these moments, for the row with this key."""
    together = _together(wanted)
    latest = [(_after_all(moments), key) for key, moments in together.items()]
    at_once = zip(together.items(), _each(vendor, renames, table, latest), strict=True)
    quiet = {key: found for (key, moments), found in at_once if _is_quiet(found, moments)}
    others = [pair for pair in wanted if pair[1] not in quiet]
    each = iter(_each(vendor, renames, table, others))
    return [quiet[key] if key in quiet else next(each) for _, key in wanted]


def _each(
    vendor: Vendor, renames: Renames, table: str, wanted: Sequence[tuple[Moment, str]]
) -> list[Neighbors]:
    """Return :meth:`Vendor.around` for all names that the table has had, with the events."""
    if not wanted:
        return []
    by_name = [vendor.around(name, wanted) for name in renames.lineage(table).names]
    found = by_name[0] if len(by_name) == 1 else map(_nearest, zip(*by_name, strict=True))
    ids = list(found)
    headers = _neighbors(vendor, {pk for one in ids for pk in one if pk is not None})
    return [Neighbors(*map(headers.get, one)) for one in ids]


def _neighbors(vendor: Vendor, ids: Collection[int]) -> dict[int | None, Neighbor]:
    if not ids:
        return {}
    condition, parameters = vendor.is_among(ids)
    with vendor.connection.cursor() as cursor:
        cursor.execute(NEIGHBORS + condition, parameters)
        rows = vendor.converted(FIELDS, cursor.fetchall())
    return {row[0]: Neighbor(*row) for row in rows}


def _together(wanted: Sequence[tuple[Moment, str]]) -> dict[str, list[Moment]]:
    """Return the moments by key, for keys with enough moments to justify a shared look-up."""
    moments: dict[str, list[Moment]] = {}
    for moment, key in wanted:
        moments.setdefault(key, []).append(moment)
    return {
        key: of_key
        for key, of_key in moments.items()
        if len(of_key) >= SHARED and not any(moment.before for moment in of_key)
    }


def _after_all(moments: Sequence[Moment]) -> Moment:
    """Return a moment that has seen all events up to the last of these."""
    return Moment(max(moments, key=_upto).upto)


def _is_quiet(around: Neighbors, moments: Sequence[Moment]) -> bool:
    """Return whether all these moments have the same neighbors.

    This holds if the row's newest event up to the last moment is older than the first moment and
    visible to each of them: then no event lies between them.
    """
    first = min(moments, key=_upto).upto
    return all(
        newest is None
        or (
            newest.id < first
            and all(sees_all(moment.snapshot, newest.transaction_id) for moment in moments)
        )
        for newest in (around.last, around.last_taking)
    )


def _nearest(by_name: Iterable[Sequence[int | None]]) -> tuple[int | None, ...]:
    """Return the nearest of the events that were found under several names of the table."""
    latest, earliest = max, min
    picks = (latest, latest, earliest, earliest, earliest, earliest)
    places = zip(*by_name, strict=True)
    return tuple(
        pick((pk for pk in ids if pk is not None), default=None)
        for pick, ids in zip(picks, places, strict=True)
    )
