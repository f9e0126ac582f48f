"""Events -> model instances, with their values and relations as of each event."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from django.db.models import Model

from ..conf import get_settings
from ..models import AuditLog
from ..tracking.decorator import chosen_repr
from ..tracking.related import pair_field
from ..utils.table_names import model_for_table
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event, Found, Row
from .imported_texts import imported_texts
from .instances import KnownFailures
from .lookups import Lookup, Origin, Reference, Subject
from .pairs import pair_changes
from .placeholders import BareRow
from .reader import Reader
from .rows import TableGone, read_images
from .states.states import OVERTAKEN, UNCLEAR

__all__ = ["Batch", "Reference"]


class Batch:
    """Events whose objects are reconstructed together: related rows are read once for all.

    :param known_failures: see :class:`Reader`.
    :param alone: see :class:`Reader`.
    """

    def __init__(
        self,
        using: str,
        limit: TimeLimit | None = None,
        known_failures: KnownFailures | None = None,
        *,
        alone: bool = True,
    ) -> None:
        self.settings = get_settings()
        self.limit = limit or TimeLimit.from_settings()
        self.reader = Reader(using, self.limit, known_failures, alone=alone)
        self.using = using
        self.vendor = self.reader.vendor
        self.building = self.reader.building
        self.chosen_repr = cache(chosen_repr)
        self._shown_life = time.monotonic()

    def subjects(self, events: Sequence[Event]) -> Iterator[Subject]:
        """Return the objects of these events, in their order."""
        subjects = self._subjects(events)
        by_table = defaultdict(list)
        for event, subject in zip(events, subjects, strict=True):
            table = self.reader.history.renames.table(event.table_name, event.occurred_at)
            by_table[table].append((event, subject))
        for table, group in by_table.items():
            self._rebuild(table, *zip(*group, strict=True))
        texts = imported_texts(self.vendor, [event.id for event in events])
        for event, subject in zip(events, subjects, strict=True) if texts else ():
            subject.imported = texts.get(event.id)
        again = self.reader.history.states.changed_again([subject.moment for subject in subjects])
        for subject in subjects:
            if subject.moment.upto in again:
                subject.note(UNCLEAR)
        return iter(subjects)

    def _subjects(self, events: Iterable[Origin]) -> list[Subject]:
        subjects = [Subject(event.moment) for event in events]
        self.reader.moments += [subject.moment for subject in subjects]
        return subjects

    def show_life(self) -> None:
        """Show the server that the client is alive; call it between rows.

        A row's code may run for a long time without a query.
        """
        now = time.monotonic()
        if now - self._shown_life > self.limit.seconds:
            self.vendor.show_life()
            self._shown_life = now

    def _rebuild(self, table: str, events: Sequence[Event], subjects: Sequence[Subject]) -> None:
        model = model_for_table(table)
        if model is None:
            self._describe(subjects, "no installed model uses this table")
            return
        found = self._found(model, table, events)
        for subject, one in zip(subjects, found, strict=True):
            subject.is_whole = isinstance(one.row, Row) and not one.row.missing
        if any(isinstance(one.row, TableGone) for one in found):
            self._describe(subjects, "its table no longer exists")
            return
        _fill(subjects, self.reader.objects(model, subjects, found))
        field = pair_field(model)
        if field is not None and self.chosen_repr(model) is None:
            self._pair(field, model, table, events, subjects)
        overtaken = self.reader.history.states.overtaken([subject.moment for subject in subjects])
        for subject in subjects:
            if subject.moment.upto in overtaken:
                subject.note(OVERTAKEN)

    def _found(
        self, model: type[Model], table: str, events: Sequence[Event], *, before: bool = False
    ) -> list[Found]:
        """Return the states that these events left, or found."""
        image = self.reader.history.renames.image
        images = [image(table, e.id, e.occurred_at, before=before) for e in events]
        rows = read_images(self.reader.history.conversion, model, images) if images else {}
        gone = LookupError("the event no longer exists")
        return [Found(rows.get(image, gone)) for image in images]

    def _pair(
        self,
        field: Any,
        model: type[Model],
        table: str,
        events: Sequence[Event],
        subjects: Sequence[Subject],
    ) -> None:
        """Put what was done to a many-to-many field in place of the instances of its table."""
        updates = [n for n, event in enumerate(events) if event.action == AuditLog.Action.UPDATE]
        found = self._found(model, table, [events[n] for n in updates], before=True)
        former = self.reader.objects(model, [subjects[n] for n in updates], found)
        before = dict(zip(updates, former, strict=True))
        for n, (event, subject) in enumerate(zip(events, subjects, strict=True)):
            was = before[n].value if n in before else None
            if isinstance(was, Exception):
                subject.error = was
            if subject.error is None:
                subject.instance = pair_changes(field, event.action, subject.instance, was)

    def related(self, references: Sequence[Reference]) -> Iterator[Subject]:
        """Return the objects that these foreign keys referred to, in their order."""
        subjects = self._subjects(reference.event for reference in references)
        by_target = defaultdict(list)
        for subject, (_, field, value) in zip(subjects, references, strict=True):
            (target,) = field.foreign_related_fields
            by_target[field.related_model, target].append(Lookup(subject, value))
        for (model, target), lookups in by_target.items():
            if target.primary_key:
                found = self.reader.find(model, lookups)
            else:
                found = [one.single() for one in self.reader.find_by(model, target, lookups)]
            _fill([lookup.subject for lookup in lookups], found)
        return iter(subjects)

    def _describe(self, subjects: Sequence[Subject], reason: str) -> None:
        ids = [subject.moment.upto for subject in subjects]
        rows = AuditLog.objects.using(self.using).in_bulk(ids)
        for subject in subjects:
            subject.is_whole = False
            log = rows[subject.moment.upto]
            subject.instance = BareRow(log.table_name, log.object_id, log.row_data or {})
            subject.note(reason)


def _fill(subjects: Sequence[Subject], found: Sequence[Found]) -> None:
    for subject, one in zip(subjects, found, strict=True):
        for doubt in one.doubts:
            subject.note(doubt)
        if one.value is None:
            subject.error = LookupError("the log knows nothing about this object")
        elif isinstance(one.value, Exception):
            subject.error = one.value
        else:
            subject.instance = one.value
