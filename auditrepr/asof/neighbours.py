"""The events around a moment: what a moment saw last of a row, and what came after it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from ..lineage import Renames
from ..models import AuditLog
from ..utils.model_meta import field_named
from ..vendors import Vendor
from ..vendors.snapshots import sees_all
from ..vendors.types import Moment

#: How many moments make it worth to look at a row once for all of them; if they are told apart by
#: what happened in between, that look was in vain.
SHARED = 3

_upto = attrgetter("upto")


class Neighbour(NamedTuple):
    """An event of a row, from the log to where it is decided how it stands to a moment."""

    id: int
    action: str
    object_id: str | None
    previous_object_id: str | None
    transaction_id: int | None
    statement_at: datetime | None
    occurred_at: datetime

    def same_statement(self, moment: Moment) -> bool:
        """Did one firing of a trigger write both? SQLite cannot tell it from the same moment.

        Only events of one table can be of one firing.
        """
        return (
            self.action == moment.action
            and self.transaction_id == moment.transaction_id
            and self.occurred_at == moment.occurred_at
        )

    def same_message(self, moment: Moment) -> bool:
        """Did one message of the client cause both? It may hold one statement or several."""
        return (
            self.statement_at is not None
            and self.statement_at == moment.statement_at
            and self.transaction_id == moment.transaction_id
        )


class Neighbours(NamedTuple):
    """The events around a moment, for one key of one table: from the log to the same place.

    An update that changes a key is an event of two: of the key it gives, and of the one it takes.
    Where the moment saw the row's newest event, nobody needs the first, and it is not looked for.
    """

    last: Neighbour | None  # the latest that the moment saw
    last_taking: Neighbour | None
    next: Neighbour | None  # the first with a greater id than the moment's
    next_taking: Neighbour | None
    first: Neighbour | None  # the very first
    first_taking: Neighbour | None

    @property
    def seen(self) -> list[Neighbour]:
        return [one for one in (self.last, self.last_taking) if one]

    @property
    def later(self) -> list[Neighbour]:
        return [one for one in (self.next, self.next_taking) if one]

    @property
    def earliest(self) -> list[Neighbour]:
        return [one for one in (self.first, self.first_taking) if one]


FIELDS = [field_named(AuditLog, name) for name in Neighbour._fields]
NEIGHBOURS = f"SELECT {', '.join(Neighbour._fields)} FROM auditrepr_auditlog WHERE "  # noqa: S608


def look_up(
    vendor: Vendor, renames: Renames, table: str, wanted: Sequence[tuple[Moment, str]]
) -> list[Neighbours]:
    """What lies around each of these moments, for the row with this key."""
    together = _together(wanted)
    latest = [(_after_all(moments), key) for key, moments in together.items()]
    at_once = zip(together.items(), _each(vendor, renames, table, latest), strict=True)
    quiet = {key: found for (key, moments), found in at_once if _is_quiet(found, moments)}
    others = [pair for pair in wanted if pair[1] not in quiet]
    each = iter(_each(vendor, renames, table, others))
    return [quiet[key] if key in quiet else next(each) for _, key in wanted]


def _each(
    vendor: Vendor, renames: Renames, table: str, wanted: Sequence[tuple[Moment, str]]
) -> list[Neighbours]:
    """See :meth:`Vendor.around`; by all names that the table has had."""
    if not wanted:
        return []
    by_name = [vendor.around(name, wanted) for name in renames.lineage(table).names]
    found = by_name[0] if len(by_name) == 1 else map(_nearest, zip(*by_name, strict=True))
    ids = list(found)
    headers = _neighbours(vendor, {pk for one in ids for pk in one if pk is not None})
    return [Neighbours(*map(headers.get, one)) for one in ids]


def _neighbours(vendor: Vendor, ids: Collection[int]) -> dict[int | None, Neighbour]:
    if not ids:
        return {}
    condition, parameters = vendor.is_among(ids)
    with vendor.connection.cursor() as cursor:
        cursor.execute(NEIGHBOURS + condition, parameters)
        rows = vendor.converted(FIELDS, cursor.fetchall())
    return {row[0]: Neighbour(*row) for row in rows}


def _together(wanted: Sequence[tuple[Moment, str]]) -> dict[str, list[Moment]]:
    """The moments of those rows that enough of them look at to be worth a look at all at once."""
    moments: dict[str, list[Moment]] = {}
    for moment, key in wanted:
        moments.setdefault(key, []).append(moment)
    return {
        key: of_key
        for key, of_key in moments.items()
        if len(of_key) >= SHARED and not any(moment.before for moment in of_key)
    }


def _after_all(moments: Sequence[Moment]) -> Moment:
    """A moment that has seen all up to the last of these."""
    return Moment(max(moments, key=_upto).upto)


def _is_quiet(around: Neighbours, moments: Sequence[Moment]) -> bool:
    """Is what lies around the last of these moments, all seen, what lies around each of them?

    It is where the row's newest event up to the last is older than the first, and each has seen
    it: then there is none in between, and none that one of them sees and another does not.
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
    """The events around a moment, out of those under several names."""
    latest, earliest = max, min
    picks = (latest, latest, earliest, earliest, earliest, earliest)
    places = zip(*by_name, strict=True)
    return tuple(
        pick((pk for pk in ids if pk is not None), default=None)
        for pick, ids in zip(picks, places, strict=True)
    )
