"""The events that pruning deletes: those before a time, or those that no model's retention keeps.

Both are deleted in the order of their IDs, so of each table what is left of the log is complete.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.apps import apps
from django.db.models import Q
from django.utils import timezone

from ...conf import get_settings
from ...lineage import recent_renames
from ...models import AuditLog, AuditLogQuerySet
from ...tracking.retention import EVERY, entry_of, models_of
from ...utils.table_names import log_name, model_for_table
from ...vendors import get_vendor
from ...vendors.types import BEGINNING, id_before
from ..windows import WINDOW, next_id

Until = datetime | Mapping[str, datetime] | None


class Due(ABC):
    """Events that are old enough to be deleted."""

    end: int  # no event with a higher ID is

    @abstractmethod
    def first(self, begin: int) -> int | None:
        """Return the lowest ID above this one; None if there is none."""

    @abstractmethod
    def among(self, begin: int, end: int) -> Q:
        """Return the condition for those in ``(begin, end]``."""

    @abstractmethod
    def tables(self, names: Collection[str]) -> dict[str, set[str]] | None:
        """Return the tables that have had these names, and which of them; None: all tables."""


class Before(Due):
    """All events up to the first one that is not from before a time."""

    def __init__(self, using: str, before: datetime) -> None:
        self.using = using
        self.before = before
        self.end = _end(using, before)

    def first(self, begin: int) -> int | None:
        return next_id(self.using, begin, self.end)

    def among(self, begin: int, end: int) -> Q:
        # A transaction that was open when the end was found may commit a young event before it.
        return Q(pk__gt=begin, pk__lte=min(end, self.end), occurred_at__lt=self.before)

    def tables(self, names: Collection[str]) -> None:
        return None


@dataclass
class _Part:
    """The events that a table has under one name, up to the first one that its entry keeps."""

    entry: str
    table: str  # its current name
    name: str
    events: Q
    end: int = BEGINNING
    next: int | None = BEGINNING  # no event has a lower ID; None: there is none


class Retained(Due):
    """The events from before the time that an entry for their table gives.

    :param cutoffs: the times, by the entry: "shop.Cart", "shop.*", or "*" for all others.
    """

    def __init__(self, using: str, cutoffs: Mapping[str, datetime]) -> None:
        self.using = using
        self.cutoffs = cutoffs
        self.parts = list(_parts(using, cutoffs))
        visible = get_vendor(using).reach().visible
        for part in self.parts:
            part.end = self._end(part, visible)
        self.first(BEGINNING)
        # Most tables have none: no query should name them all.
        self.parts = [part for part in self.parts if part.next is not None]
        self.end = max((part.end for part in self.parts), default=BEGINNING)

    def first(self, begin: int) -> int | None:
        for part in self.parts:
            if part.next is not None and part.next <= begin:
                part.next = _lowest(self._events(part).filter(pk__gt=begin))
        return min((part.next for part in self.parts if part.next is not None), default=None)

    def among(self, begin: int, end: int) -> Q:
        due = (
            self._due(part)
            for part in self.parts
            if part.end > begin and part.next is not None and part.next <= end
        )
        return reduce(or_, due, Q(pk__in=())) & Q(pk__gt=begin, pk__lte=end)

    def tables(self, names: Collection[str]) -> dict[str, set[str]]:
        found: defaultdict[str, set[str]] = defaultdict(set)
        for part in self.parts:
            if part.name in names:
                found[part.table].add(part.name)
        return dict(found)

    def by_entry(self) -> dict[str, Q]:
        """Return the condition for those of each entry."""
        found = {entry: Q(pk__in=()) for entry in self.cutoffs}
        for part in self.parts:
            found[part.entry] |= self._due(part)
        return found

    def _due(self, part: _Part) -> Q:
        # A transaction that was open when the end was found may commit a young event before it.
        old = Q(pk__lte=part.end, occurred_at__lt=self.cutoffs[part.entry])
        return part.events & old

    def _events(self, part: _Part) -> AuditLogQuerySet:
        return AuditLog.objects.using(self.using).filter(self._due(part))

    def _end(self, part: _Part, visible: int) -> int:
        log = AuditLog.objects.using(self.using).filter(part.events)
        kept = _lowest(log.filter(occurred_at__gte=self.cutoffs[part.entry]))
        return visible if kept is None else id_before(kept)


def due_of(using: str, before: Until) -> Due:
    """Return the events before a time, or those that the entries do not keep.

    :param before: one time, or that of each entry; None: as ``RETENTION`` has them.
    :raises UnknownModel: if an entry names no installed model. What it means to keep would fall to
        a less specific one, and be deleted.
    """
    if isinstance(before, datetime):
        return Before(using, before)
    cutoffs = by_settings() if before is None else before
    for entry in cutoffs:
        models_of(entry)
    return Retained(using, cutoffs)


def by_settings() -> dict[str, datetime]:
    """Return up to when the events of each entry of ``RETENTION`` are due."""
    now = timezone.now()
    return {entry: age.before(now) for entry, age in get_settings().RETENTION.items()}


def _parts(using: str, entries: Collection[str]) -> Iterator[_Part]:
    """Yield the tables of models that are not kept for ever, then those that no model has."""
    renames = recent_renames(using)
    of_models: dict[str, Q] = {}
    models = apps.get_models(include_auto_created=True)
    for table in dict.fromkeys(log_name(model._meta.db_table) for model in models):
        model = model_for_table(table)
        entry = entry_of(model, entries) if model else None
        for name in renames.lineage(table).names:
            of_models[name.name] = of_models.get(name.name, Q(pk__in=())) | name.events()
            if entry is not None:
                yield _Part(entry, table, name.name, name.events())
    if EVERY in entries:
        for recorded in _names(using):
            # A model may have had the name for a part of the time only.
            others = Q(table_name=recorded) & ~of_models.get(recorded, Q(pk__in=()))
            yield _Part(EVERY, recorded, recorded, others)


def _names(using: str) -> Iterator[str]:
    """Yield the names of tables in the log; each takes one search of the index."""
    names = (
        AuditLog.objects.using(using).order_by("table_name").values_list("table_name", flat=True)
    )
    name = names.first()
    while name is not None:
        yield name
        name = names.filter(table_name__gt=name).first()


def _lowest(events: AuditLogQuerySet) -> int | None:
    return events.order_by("pk").values_list("pk", flat=True).first()


def _end(using: str, before: datetime) -> int:
    """Return the ID up to which all events are older; events just beyond it may be older, too."""
    log = AuditLog.objects.using(using)
    top = get_vendor(using).reach().visible
    begin = BEGINNING
    while (first := next_id(using, begin, top)) is not None:
        end = min(first - 1 + WINDOW, top)
        young = log.filter(pk__gte=first, pk__lte=end, occurred_at__gte=before)
        found = _lowest(young)
        if found is not None:
            return found - 1
        begin = end
    return top
