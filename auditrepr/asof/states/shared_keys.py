"""Rows of tables that do not keep their keys unique: several may have the same one.

The log finds a row by its key. In such a table, that is right while no other row has the key. How
many had it at a moment follows from how many have it now and the events since.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, Model, Q, QuerySet

from ...models import AuditLog
from ...utils.model_meta import can_hold, key_parts
from ...vendors import Vendor
from ...vendors.types import Moment
from ..asked import key_of
from .changes import Changes
from .neighbors import Neighbor
from .states import States, StateSource

SHARED = "several rows of {} had the same key"
#: How many events of the keys that a batch asks for may be read to count their rows.
MOST = 20_000
#: How many keys are asked for at once; SQLite allows a statement some 30,000 parameters.
TOGETHER = 5_000


class SharedKeys:
    """Determines where several rows had the same key, for one batch."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.vendor = states.vendor
        self._now: dict[tuple[str, str], int] = {}

    def checked(
        self,
        model: type[Model],
        table: str,
        wanted: Sequence[tuple[Moment, str]],
        states: Sequence[StateSource],
    ) -> list[StateSource]:
        """Return the states, doubtful where it is not certain that they are of the only row."""
        keys = {key for _, key in wanted}
        now = self.now(model, table, keys)
        events = self._events(table, keys)
        changes = {
            key: Changes(self.states, table, of_key) for key, of_key in by_key(events or ()).items()
        }
        checked = []
        for (moment, key), state in zip(wanted, states, strict=True):
            unclear = events is None or not self._is_only_row(
                table, moment, key, now[key], changes.get(key), state
            )
            doubt = SHARED.format(table) if unclear else ""
            checked.append(state._replace(doubt=state.doubt or doubt))
        return checked

    def now(self, model: type[Model], table: str, keys: Collection[str]) -> Mapping[str, int]:
        """Return how many current rows have each of the keys."""
        unknown = [key for key in keys if (table, key) not in self._now]
        found = _count(self.vendor, model, unknown) if unknown else Counter()
        self._now |= {(table, key): found[key] for key in unknown}
        return {key: self._now[table, key] for key in keys}

    def _events(self, table: str, keys: Collection[str]) -> list[Neighbor] | None:
        """Return all events of the keys; None if there are too many."""
        found: list[Neighbor] = []
        log = AuditLog.objects.using(self.vendor.using)
        for name, some in product(self.states.renames.lineage(table).names, _parts(keys)):
            of_some = Q(object_id__in=some) | Q(previous_object_id__in=some)
            rows = log.filter(name.events(), of_some).values_list(*Neighbor._fields)
            found += [Neighbor(*row) for row in rows[: MOST + 1]]
            if len(found) > MOST:
                return None
        return found

    def _is_only_row(
        self,
        table: str,
        moment: Moment,
        key: str,
        now: int,
        changes: Changes | None,
        state: StateSource,
    ) -> bool:
        expected = int(state.image is not None and not state.gone)
        had = now
        if self.states.truncations.lost(table, moment):
            return False  # rows that are older than the log may have had it
        if changes is not None and self.states.truncations.came_after(table, moment):
            had = left(key, self._seen(table, changes, moment))
        elif changes is not None:
            had = now - change_of(key, changes.since(*changes.unseen(moment)))
        return had <= 1 if state.live else had == expected

    def _seen(self, table: str, changes: Changes, moment: Moment) -> list[Neighbor]:
        """Return the events that the moment saw, with every TRUNCATE of the table among them."""
        truncates = [
            one
            for one in self.states.truncations.of(table)
            if self.states.visibility.saw(moment, one)
        ]
        return sorted([*changes.before(*changes.unseen(moment)), *truncates])


def change_of(key: str, events: Iterable[Neighbor]) -> int:
    """Return how many more rows had the key after these events than before them."""
    return sum(_change(key, one) for one in events)


def _change(key: str, one: Neighbor) -> int:
    if one.action == AuditLog.Action.INSERT:
        return int(one.object_id == key)
    if one.action == AuditLog.Action.DELETE:
        return -int(one.object_id == key)
    if one.previous_object_id is None:
        return 0
    return int(one.object_id == key) - int(one.previous_object_id == key)


def left(key: str, events: Iterable[Neighbor]) -> int:
    """Return how many rows with the key these events left, which are all of it."""
    count = 0
    for one in events:
        if one.action == AuditLog.Action.TRUNCATE:
            count = 0
            continue
        change = _change(key, one)
        found = change <= 0 and not count  # a row that is older than these events
        count += change + found
    return count


def by_key(events: Iterable[Neighbor]) -> dict[str, list[Neighbor]]:
    """Return the events of each key, which it got, kept or lost."""
    found: dict[str, list[Neighbor]] = defaultdict(list)
    for one in events:
        for key in {one.object_id, one.previous_object_id}:
            if key is not None:
                found[key].append(one)
    return found


def _count(vendor: Vendor, model: type[Model], keys: Collection[str]) -> Counter[str]:
    """Return how many current rows have these keys, which are written as in the log."""
    field = model._meta.pk
    values = [value for key in keys for value in _values(model, key)]
    found: Counter[str] = Counter()
    for some in _parts([value for value in values if can_hold(field, value, vendor.connection)]):
        rows: Any = QuerySet(model, using=vendor.using).filter(pk__in=some).order_by()
        counts = list(rows.values_list("pk").annotate(rows=Count("*")))
        texts = vendor.key_texts(field, [key for key, _ in counts])
        found.update(dict(zip(texts, (count for _, count in counts), strict=True)))
    return found


def _values(model: type[Model], key: str) -> list[Any]:
    """Return the value whose text this is; none if it cannot be a key."""
    with suppress(ValueError, TypeError, ValidationError):
        return [key_of(model, json.loads(key) if len(key_parts(model._meta.pk)) > 1 else key)]
    return []


def _parts(values: Collection[Any]) -> Iterator[list[Any]]:
    every = list(values)
    return (every[n : n + TOGETHER] for n in range(0, len(every), TOGETHER))
