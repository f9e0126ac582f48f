"""Finds what related objects were last called, as the events that refer to them saw it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from ..asof.held import RecordedValue
from ..lineage import recent_renames
from ..models import Fidelity, InstanceRepr
from ..utils.table_names import log_name
from ..vendors import get_vendor
from ..vendors.types import Event, Moment, Name

#: Keys whose text the log has as it is: for that of other types, each model takes a query.
_PLAIN = (int, str, UUID)


class Place(NamedTuple):
    """The place of a value: its event and column, and the side of the change."""

    event: int
    column: str
    before: bool

    @classmethod
    def of(cls, one: RecordedValue) -> Place:
        return cls(one.event.pk, one.column, one.before)


def newest_events(known: Sequence[RecordedValue], using: str) -> dict[Place, int]:
    """Return the newest event of the object that each value refers to, if its event saw one.

    One query for the objects of all models.
    """
    wanted: list[tuple[Name, str, Moment]] = []
    places: list[Place] = []
    for field, group in _by_field(known).items():
        (target,) = field.foreign_related_fields
        keys = get_vendor(using).key_texts(target, [one.value for one in group])
        names = recent_renames(using).lineage(log_name(target.model._meta.db_table)).names
        for one, key in zip(group, keys, strict=True):
            wanted += ((name, key, Event.of(one.event).moment) for name in names)
            places += [Place.of(one)] * len(names)
    found = get_vendor(using).newest_seen(wanted) if wanted else []
    newest: dict[Place, int] = {}
    for place, pk in zip(places, found, strict=True):
        if pk is not None:
            newest[place] = max(pk, newest.get(place, pk))
    return newest


def stored_names(newest: Mapping[Place, int], using: str) -> dict[Place, str]:
    """Return the exact representations that are stored for these events.

    A mixed one may have in it what the event could not see.
    """
    if not newest:
        return {}
    rows = InstanceRepr.objects.using(using).filter(
        pk__in=set(newest.values()), fidelity=Fidelity.EXACT
    )
    texts = dict(rows.values_list("pk", "instance_repr"))
    return {place: texts[pk] for place, pk in newest.items() if pk in texts}


def _by_field(known: Iterable[RecordedValue]) -> dict[Any, list[RecordedValue]]:
    by_field = defaultdict(list)
    for one in known:
        targets = one.field.foreign_related_fields
        if len(targets) == 1 and targets[0].primary_key and type(one.value) in _PLAIN:
            by_field[one.field].append(one)
    return by_field
