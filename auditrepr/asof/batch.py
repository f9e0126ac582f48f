"""Audit rows -> model instances, with the values that the rows had and relations to match."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import Model
from django.db.models.query import ModelIterable

from ..conf import get_settings
from ..models import AuditLog
from ..tracking.decorator import chosen_repr
from ..utils.model_meta import field_named, own_fields, parent_links
from ..utils.table_names import log_name, model_for_table
from ..utils.time_limit import TimeLimit
from ..vendors import get_vendor
from ..vendors.types import NOT_RECORDED, Event, Found, Row
from .history import History, Matches
from .instances import Afresh, Culprits, Guard
from .lookups import Answer, Answers, Subject, Wish
from .past_tables import PastTables
from .peers import Peers
from .placeholders import UNKNOWN, BareRow, Unknown, default_of
from .query_interceptor import Watch
from .rows import ModelRaised, TableGone, read_images
from .states import OVERTAKEN, UNCLEAR

#: ``Meta.base_manager_name`` names it; Django finds single related objects through it.
HIDES = "a manager hides some of the related rows"
OF_ITS_OWN = "a manager makes objects of its own of related rows"


class Reference(NamedTuple):
    """What a foreign key held at an event."""

    event: Event
    field: Any
    value: Any  # as Python has it


class Batch(Watch):
    """Events whose objects are rebuilt together, so that what one needs is read for all."""

    def __init__(self, using: str, culprits: Culprits | None = None) -> None:
        self.settings = get_settings()
        limit = TimeLimit(self.settings.ROW_SECONDS)
        guard = Guard(limit, {} if culprits is None else culprits, self.stand_in)
        super().__init__(get_vendor(using), limit, guard)
        self.using = using
        self.chosen_repr = cache(chosen_repr)
        self.history = History(self.vendor, limit)
        self.lost: Afresh | None = None  # whatever ``__str__`` made of it
        self.broken = False  # the transaction that it reads in cannot go on
        self._shown_life = time.monotonic()
        self._moments: list[Event] = []
        self._past_tables: PastTables | None = None

    def past_tables(self) -> PastTables:
        if self._past_tables is None:
            self._past_tables = PastTables(self.history, self._moments)
        return self._past_tables

    def subjects(self, events: Sequence[Any]) -> Iterator[Subject]:
        """The objects of these events, in their order."""
        self._moments += events
        subjects = [Subject(event) for event in events]
        by_table = defaultdict(list)
        for subject in subjects:
            event = subject.event
            table = self.history.renames.table(event.table_name, event.occurred_at)
            by_table[table].append(subject)
        for table, group in by_table.items():
            self._rebuild(table, group)
        again = self.history.states.changed_again([subject.event for subject in subjects])
        for subject in subjects:
            if subject.event.id in again:
                subject.note(UNCLEAR)
        return iter(subjects)

    def show_life(self) -> None:
        """Has to be called between rows: what they do may take long, and send no query."""
        now = time.monotonic()
        if now - self._shown_life > self.limit.seconds:
            self.vendor.show_life()
            self._shown_life = now

    def _rebuild(self, table: str, subjects: Sequence[Subject]) -> None:
        model = model_for_table(table)
        if model is None:
            self._describe(subjects, "no installed model uses this table")
            return
        events = [subject.event for subject in subjects]
        images = [self.history.renames.image(table, e.id, e.occurred_at) for e in events]
        rows = read_images(self.vendor, model, images, self.limit)
        if any(isinstance(row, TableGone) for row in rows.values()):
            self._describe(subjects, "its table is not there any more")
            return
        gone = LookupError("the audit row is gone")
        found = [Found(rows.get(image, gone)) for image in images]
        _fill(subjects, self.objects(model, subjects, found))
        overtaken = self.history.states.overtaken([subject.event for subject in subjects])
        for subject in subjects:
            if subject.event.id in overtaken:
                subject.note(OVERTAKEN)

    def related(self, references: Sequence[Reference]) -> Iterator[Subject]:
        """The objects that these foreign keys led to, in their order."""
        self._moments += [reference.event for reference in references]
        subjects = [Subject(reference.event) for reference in references]
        by_target = defaultdict(list)
        for subject, (_, field, value) in zip(subjects, references, strict=True):
            (target,) = field.foreign_related_fields
            by_target[field.related_model, target].append(Wish(subject, value))
        for (model, target), wishes in by_target.items():
            if target.primary_key:
                answers = self.find(model, wishes)
            else:
                answers = [found.single() for found in self.find_by(model, target, wishes)]
            _fill([wish.subject for wish in wishes], answers)
        return iter(subjects)

    def _describe(self, subjects: Sequence[Subject], reason: str) -> None:
        ids = [subject.event.id for subject in subjects]
        rows = AuditLog.objects.using(self.using).in_bulk(ids)
        for subject in subjects:
            log = rows[subject.event.id]
            subject.instance = BareRow(log.table_name, log.object_id, log.row_data or {})
            subject.note(reason)

    def find(self, model: type[Model], wishes: Sequence[Wish]) -> list[Answer]:
        """The objects with these primary keys, each as of its subject's event.

        An object that was deleted by then shows its last state, and is doubtful.
        """
        return self._reached(model, [w.subject for w in wishes], self._rows(model, wishes))

    def find_by(self, model: type[Model], field: Any, wishes: Sequence[Wish]) -> list[Answers]:
        """All objects whose field had the value that is wished for as key."""
        wanted = [
            (wish.subject.event, wish.key) for wish in wishes if not isinstance(wish.key, Unknown)
        ]
        known = iter(self.history.matching(model, field, wanted))
        matches = [
            Matches([], list(wish.doubts)) if isinstance(wish.key, Unknown) else next(known)
            for wish in wishes
        ]
        subjects = [
            wish.subject for wish, match in zip(wishes, matches, strict=True) for _ in match.found
        ]
        rows = [found for match in matches for found in match.found]
        objects = iter(self._reached(model, subjects, rows))
        return [
            Answers(
                list(islice(objects, len(match.found))),
                wish.doubts + tuple(match.doubts),
                match.found,
            )
            for wish, match in zip(wishes, matches, strict=True)
        ]

    def find_many(self, model: type[Model], field: Any, wishes: Sequence[Wish]) -> list[Answers]:
        """The objects at the far end of links, which point at them through this foreign key."""
        (target,) = field.foreign_related_fields
        if not target.primary_key:
            return self.find_by(model, target, wishes)
        found = [Found(None) if row.gone else row for row in self._rows(model, wishes)]
        objects = self._reached(model, [wish.subject for wish in wishes], found)
        return [
            Answers([answer], (), [row]) if row.row is not None else Answers([], row.doubts, [])
            for answer, row in zip(objects, found, strict=True)
        ]

    def _reached(
        self, model: type[Model], subjects: Sequence[Subject], found: Sequence[Found]
    ) -> list[Answer]:
        """Objects that a relation leads to: the model's managers decide what is made of a row."""
        answers = self.objects(model, subjects, found)
        managers = model._base_manager, model._default_manager
        doubts: tuple[str, ...] = ()
        if not all(_makes_plain_objects(manager) for manager in managers):
            doubts += (OF_ITS_OWN,)
        if model._base_manager.all().query.where:
            doubts += (HIDES,)
        if not doubts:
            return answers
        return [answer._replace(doubts=answer.doubts + doubts) for answer in answers]

    def objects(
        self, model: type[Model], subjects: Sequence[Subject], found: Sequence[Found]
    ) -> list[Answer]:
        """Instances of the rows; they share what they read of their relations."""
        peers = Peers(self, model)
        return [
            Answer(self._instance(peers, subject, row) if isinstance(row, Row) else row, doubts)
            for subject, (row, doubts, *_) in zip(
                subjects, self._whole(model, subjects, found), strict=True
            )
        ]

    def _rows(self, model: type[Model], wishes: Sequence[Wish]) -> list[Found]:
        known = [wish for wish in wishes if not isinstance(wish.key, Unknown)]
        wanted = [(wish.subject.event, wish.key) for wish in known]
        rows = iter(self.history.rows(model, wanted))
        return [
            Found(None, wish.doubts)
            if isinstance(wish.key, Unknown)
            else _doubted(next(rows), wish)
            for wish in wishes
        ]

    def _whole(
        self, model: type[Model], subjects: Sequence[Subject], found: Sequence[Found]
    ) -> Sequence[Found]:
        """Rows with the columns that multi-table inheritance keeps in the parents' tables."""
        for parent, link in parent_links(model).items():
            found = self._joined(parent, link.attname, subjects, found)
        return found

    def _joined(
        self,
        parent: type[Model],
        link: str,
        subjects: Sequence[Subject],
        found: Sequence[Found],
    ) -> list[Found]:
        there = [(i, one.row) for i, one in enumerate(found) if isinstance(one.row, Row)]
        owners = [subjects[i] for i, _ in there]
        wishes = [Wish(subjects[i], row.values.get(link, Unknown(link))) for i, row in there]
        parts = self._whole(parent, owners, self._rows(parent, wishes))
        joined = list(found)
        for (i, row), part in zip(there, parts, strict=True):
            joined[i] = Found(_joined(parent, row, part), found[i].doubts + part.doubts)
        return joined

    def _instance(self, peers: Peers, subject: Subject, row: Row) -> Model | Exception:
        try:
            if peers.plain:
                instance = peers.make(row.values)
            else:
                instance = self.guard.make(peers.model, peers.make, subject, row)
            if row.missing:
                instance.__dict__["refresh_from_db"] = self._loader(instance, subject, row.missing)
            peers.add(instance, subject, row.missing)
        except Afresh as lost:
            self.lost = lost
            raise
        except BaseException as error:  # a model's from_db and __init__ may do and give anything
            return ModelRaised.of(error)
        return instance

    def stand_in(self, field: Any, why: str) -> Any:
        """What a column without a value reads as."""
        excluded = self.history.excluded.get(log_name(field.model._meta.db_table), ())
        if why == NOT_RECORDED and field.column not in excluded:
            return default_of(field)
        return Unknown(field.column, why)

    def _loader(
        self, instance: Model, subject: Subject, missing: Mapping[str, str]
    ) -> Callable[..., None]:
        """Stands in for ``refresh_from_db``, which Django calls for an attribute without value.

        What the log does not know must not be filled from today's row.
        """

        def load(
            using: str | None = None, fields: Sequence[str] | None = None, **options: Any
        ) -> None:
            if not fields:
                type(instance).refresh_from_db(instance, using=using, **options)
                return
            for name in fields:
                field = field_named(type(instance), name)
                why = missing.get(field.column, NOT_RECORDED)
                instance.__dict__[field.attname] = self.stand_in(field, why)
                subject.note(UNKNOWN.format(field.column))

        return load


def _joined(parent: type[Model], row: Row, part: Found) -> Row | Exception:
    if isinstance(part.row, Exception):
        return part.row
    columns = {field.column: NOT_RECORDED for field in own_fields(parent)}
    inherited = part.row or Row({}, columns)
    return Row(inherited.values | row.values, {**inherited.missing, **row.missing})


def _doubted(found: Found, wish: Wish) -> Found:
    return found._replace(doubts=wish.doubts + found.doubts) if wish.doubts else found


def _fill(subjects: Sequence[Subject], answers: Sequence[Answer]) -> None:
    for subject, (value, doubts) in zip(subjects, answers, strict=True):
        for doubt in doubts:
            subject.note(doubt)
        if value is None:
            subject.error = LookupError("nothing is known of it")
        elif isinstance(value, Exception):
            subject.error = value
        else:
            subject.instance = value


def _makes_plain_objects(manager: Any) -> bool:
    return bool(manager.all()._iterable_class is ModelIterable)
