"""The former row of one object with all of its parts, and what is known about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from django.db import router, transaction
from django.db.models import Model

from ..lineage import recent_renames
from ..models import AuditLog
from ..models.log_queryset import AuditLogQuerySet
from ..utils.model_meta import own_fields, parent_links
from ..utils.table_names import log_name
from ..utils.time_limit import TimeLimit
from ..vendors import get_vendor
from ..vendors.types import Event, Found, Image, Moment, Row, renamed
from .asked import moment_of
from .conversion import ModelRaised
from .lookups import Subject
from .reader import Reader
from .rows import read_images
from .states.states import OVERTAKEN, UNCLEAR


@dataclass
class FormerRow:
    """What an object's row held at a moment, with the parts that parents' tables keep."""

    exists: bool = False
    values: dict[str, Any] = field(default_factory=dict)  # by attname
    missing: dict[str, str] = field(default_factory=dict)  # columns without a value, and why
    doubts: dict[str, None] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)  # of a row that no longer fits its table
    images: list[tuple[type[Model], Image]] = field(default_factory=list)  # where the log has it
    kinds: list[type[Model]] = field(default_factory=list)  # child models that also had its row

    @property
    def known(self) -> bool:
        """Return whether all of it is certain."""
        return self.exists and not (self.missing or self.doubts or self.errors)


class Asked(NamedTuple):
    """The object and the moment that a former row is asked for."""

    model: type[Model]
    key: Any
    when: Any  # an event, or a time
    before: bool = False  # right before the event


def former_row(asked: Asked, using: str, limit: TimeLimit) -> FormerRow:
    """Return the object's row as of the moment; a guess is never reported as certain."""
    reading = _Reading(asked, using, limit)
    with reading.reader.view():
        reading.read(asked.model, asked.key)
        if reading.row.exists:
            reading.find_kinds()
    return reading.row


class _Reading:
    """One reading of a former row: what is asked for, and what is found."""

    def __init__(self, asked: Asked, using: str, limit: TimeLimit) -> None:
        self.asked = asked
        self.using = using
        self.limit = limit
        self.reader = Reader(using, limit)
        self.moment = moment_of(asked.when, using, before=asked.before)
        self.reader.moments.append(self.moment)
        self.row = FormerRow()
        self._done: set[type[Model]] = set()

    def read(self, model: type[Model], key: Any) -> None:
        """Read the part in the model's own table, and those in its parents' tables."""
        self._done.add(model)
        found = self._part(model, key)
        self.row.doubts |= dict.fromkeys(found.doubts)
        if isinstance(found.row, Exception):
            self.row.exists = True
            self.row.errors.append(found.row)
        if not isinstance(found.row, Row) or found.gone:
            if model is not self.asked.model:
                table = log_name(model._meta.db_table)
                self.row.doubts[f"its row in {table} is not in the log"] = None
            return
        self.row.exists = True
        self._take_values(model, found.row)
        self.row.missing |= found.row.missing
        self.row.doubts |= dict.fromkeys(found.row.lossy)
        if found.image:
            self.row.images.append((model, found.image))
        for parent, link in parent_links(model).items():
            if parent not in self._done and link.attname in self.row.values:
                self.read(parent, self.row.values[link.attname])

    def _take_values(self, model: type[Model], row: Row) -> None:
        """Take the row's values, or the error that a field raised which reads them with queries."""
        subject = Subject(self.moment)
        try:
            # A query that fails must not cost the transaction that everything is read in.
            with transaction.atomic(self.using) if row.unread else nullcontext():
                values = self.reader.values(model, row, subject)
        except BaseException as error:  # a field's from_db_value may raise anything
            if self.limit.ends_work(error):
                raise
            self.row.errors.append(ModelRaised.of(error))
            values = row.values
        self.row.values = {**values, **self.row.values}
        self.row.doubts |= subject.notes

    def _part(self, model: type[Model], key: Any) -> Found:
        image = self._own_image(model, key)
        if image is None:
            [found] = self.reader.history.rows(model, [(self.moment, key)])
            return found
        row = read_images(self.reader.history.conversion, model, [image]).get(image)
        return Found(row, tuple(self._doubts_of_event()), image)

    def _own_image(self, model: type[Model], key: Any) -> Image | None:
        """Return where the event holds the row itself, which earlier events cannot change."""
        event = self.asked.when
        if not isinstance(event, AuditLog):
            return None
        renames, table = self.reader.history.renames, log_name(model._meta.db_table)
        [text] = get_vendor(self.using).key_texts(model._meta.pk, [key])
        of_row = event.object_id == text and event.row_data is not None
        if not of_row or renames.table(event.table_name, event.occurred_at) != table:
            return None
        before = self.asked.before and event.action != AuditLog.Action.DELETE
        if before and (event.action != AuditLog.Action.UPDATE or event.previous_object_id):
            return None
        return renames.image(table, event.pk, event.occurred_at, before=before)

    def _doubts_of_event(self) -> Iterator[str]:
        moment = Event.of(self.asked.when).moment
        states = self.reader.history.states
        if states.overtaken([moment]):
            yield OVERTAKEN
        if states.changed_again([moment]):
            yield UNCLEAR

    def find_kinds(self) -> None:
        """Find the children of the model that the object had a row of, as of the moment."""
        for child in children(self.asked.model):
            if router.allow_migrate_model(self.using, child):
                [found] = self.reader.history.rows(child, [(self.moment, self.asked.key)])
                if found.row is not None and not found.gone:
                    self.row.kinds.append(child)


def children(model: type[Model]) -> list[type[Model]]:
    """Return the models that keep a part of their rows in this model's table."""
    return [
        relation.related_model
        for relation in model._meta.related_objects
        if relation.one_to_one and relation.field.remote_field.parent_link
    ]


def lost_columns(row: FormerRow, using: str) -> Iterator[tuple[type[Model], str]]:
    """Yield the columns that the row had and no field of the model has, with their models."""
    for model, image in row.images:
        data = AuditLog.objects.using(using).filter(pk=image.event_id)
        columns: Mapping[str, Any] = data.values_list("row_data", flat=True).first() or {}
        known = {one.column for one in own_fields(model)}
        for column in renamed(image.steps, dict.fromkeys(columns)):
            if column not in known:
                yield model, column


class Absence:
    """Why there is no row of an object at a moment, by the events around it."""

    def __init__(self, model: type[Model], key: Any, moment: Moment, using: str) -> None:
        self.moment = moment
        self._log = AuditLog.objects.using(using)
        [self._text] = get_vendor(using).key_texts(model._meta.pk, [key])
        self._lineage = recent_renames(using).lineage(log_name(model._meta.db_table))

    @property
    def _events(self) -> AuditLogQuerySet:
        return self._log.filter(self._lineage.events(), object_id=self._text)

    @cached_property
    def added_later(self) -> AuditLog | None:
        """Return the event that added it after the moment, if that is its first one after it."""
        later = self._events.filter(pk__gt=self.moment.upto).order_by("object_id", "pk").first()
        return later if later and later.action == AuditLog.Action.INSERT else None

    @cached_property
    def deleted_before(self) -> AuditLog | None:
        """Return the event that had deleted it by the moment."""
        seen = self._events.filter(pk__lte=self.moment.upto).order_by("-object_id", "-pk").first()
        return seen if seen and seen.action == AuditLog.Action.DELETE else None

    def __str__(self) -> str:
        if event := self.deleted_before:
            return f"It had been deleted by event {event.pk}."
        if event := self.added_later:
            return f"It did not exist yet: event {event.pk} added it."
        return "The log has no event of this object."
