"""Rows as of a moment -> objects: those of events, and those that they are related to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Any

from django.db import Error
from django.db.models import Model

from ..isolation import isolated
from ..utils.model_meta import key_parts
from ..utils.table_names import log_name
from ..utils.time_limit import TimeLimit
from ..vendors import get_vendor
from ..vendors.types import NOT_RECORDED, Found, Moment, Row
from .attributes import make_incomplete
from .building import Building, StartOver
from .conversion import ModelRaised
from .history import MOST_BYTES, History
from .instances import GuardedMaker, KnownFailures
from .loader import Loader
from .lookups import Lookup, Subject
from .matches import Matches
from .own_values import with_own_values
from .phases import TODAY, Making, Running
from .placeholders import Unknown, default_of, unknown
from .queries.past_tables import PastTables
from .related.peers import Peers
from .related.related_sets import set_relations
from .related.relations import key_fields, object_relations
from .related.repeated_peers import RepeatedPeers
from .routing import reading_from
from .rows_by_value import RowsByValue
from .substitution import Relations
from .whole_rows import WholeRows, ended, unless_gone

Views = Callable[[], AbstractContextManager[None]]


class Reader:
    """The :class:`AsOfReader`, to be used inside :meth:`view` or after :meth:`outlive`.

    :param known_failures: instances whose code has cost an earlier reader its transaction.
    :param alone: only one object is read: its rows are read, however large they are.
    """

    def __init__(
        self,
        using: str,
        limit: TimeLimit,
        known_failures: KnownFailures | None = None,
        *,
        alone: bool = True,
    ) -> None:
        self.using = using
        self.vendor = get_vendor(using)
        self.limit = limit
        self.building = Building(
            self.vendor, limit, self.past_tables, self._incomplete, alone=alone
        )
        self.moments: list[Moment] = []  # of all objects that are read together
        self._begin()
        known = {} if known_failures is None else known_failures
        self._maker = GuardedMaker(self.building, known, self.placeholder, can_start_over=True)
        self._views: Views = nullcontext
        self._on_made: Callable[[Model, Subject], None] | None = None

    def _begin(self) -> None:
        """Discard what was read in another view of the database."""
        too_much = None if self.building.alone else self.building.too_much
        self.history = History(self.vendor, self.limit, too_much, self.building.converting)
        self.rows = WholeRows(self.history)
        self.by_value = RowsByValue(self.history)
        self._past_tables: PastTables | None = None

    def past_tables(self) -> PastTables:
        """Return the tables as of the moments of all objects that are read together."""
        if self._past_tables is None:
            self._past_tables = PastTables(self.history, self.moments)
        return self._past_tables

    def outlive(self, views: Views, on_made: Callable[[Model, Subject], None]) -> None:
        """Let the objects continue to read after the call that made them.

        :param views: opens a view of the database for each use of the log.
        :param on_made: called with each object.
        """
        self._views, self._on_made = views, on_made
        self._maker.can_start_over = False

    @contextmanager
    def view(self) -> Iterator[None]:
        """Open a view of the database: everything inside is read in one snapshot."""
        intercepting = self.vendor.connection.execute_wrapper(self.building.intercept)
        isolation = isolated(self.building.reading)
        routing = reading_from(self.using)
        with isolation, routing, self.vendor.reading(self.limit), intercepting:
            self._begin()
            yield

    @contextmanager
    def own_queries(self) -> Iterator[None]:
        """Send queries inside as auditrepr's own, not as those of the code that runs."""
        with self._views(), self.building.reading():
            yield

    @contextmanager
    def instead_of(self, relations: Relations, otherwise: Subject | None = None) -> Iterator[None]:
        """Run the first query inside on these rows in place of the models' tables."""
        theirs = nullcontext() if otherwise is None else self.asking(otherwise)
        with self._views(), theirs, self.building.answering(relations, otherwise):
            yield

    @contextmanager
    def asking(self, subject: Subject) -> Iterator[None]:
        """Run queries inside as those of the project's code, on the tables as of the moment."""
        if self.building.phase.theirs:
            yield
            return
        with self._views(), self.building.during(Running(subject)):
            yield

    def adopt(self, instance: Any, subject: Subject) -> Any:
        """Return the instance that the project's code has made, with relations as of the moment."""
        if self._on_made is not None and isinstance(instance, Model):
            self._peers(type(instance)).add(instance, subject, None)
            self._on_made(instance, subject)
        return instance

    def find(self, model: type[Model], lookups: Sequence[Lookup]) -> list[Found]:
        """Return the objects with these primary keys, each as of its subject's moment.

        An object that was deleted by then has its last state, with a reason.
        """
        subjects = [lookup.subject for lookup in lookups]
        return self.objects(model, subjects, [ended(one) for one in self.rows.find(model, lookups)])

    def find_present(self, model: type[Model], lookups: Sequence[Lookup]) -> list[Found]:
        """Return the objects with these primary keys, except those deleted by then."""
        found = [unless_gone(one) for one in self.rows.find(model, lookups)]
        return self.objects(model, [lookup.subject for lookup in lookups], found)

    def find_by(self, model: type[Model], field: Any, lookups: Sequence[Lookup]) -> list[Matches]:
        """Return all objects whose field had the value that is looked up as key."""
        known = [lookup for lookup in lookups if not isinstance(lookup.key, Unknown)]
        wanted = [(lookup.subject.moment, lookup.key) for lookup in known]
        answers = iter(self.by_value.find(model, field, wanted))
        matches = [
            Matches([]) if isinstance(lookup.key, Unknown) else next(answers) for lookup in lookups
        ]
        pairs = [
            (lookup.subject, one)
            for lookup, match in zip(lookups, matches, strict=True)
            for one in match.found
        ]
        subjects, rows = [subject for subject, _ in pairs], [one for _, one in pairs]
        objects = iter(self.objects(model, subjects, rows, kept=True))
        return [
            Matches(list(islice(objects, len(match.found))), lookup.doubts + match.doubts)
            for lookup, match in zip(lookups, matches, strict=True)
        ]

    def find_many(self, model: type[Model], field: Any, lookups: Sequence[Lookup]) -> list[Matches]:
        """Return the objects that links refer to through this foreign key."""
        (target,) = field.foreign_related_fields
        if not target.primary_key:
            return self.find_by(model, target, lookups)
        rows = [unless_gone(one) for one in self.rows.find(model, lookups)]
        found = self.objects(model, [lookup.subject for lookup in lookups], rows, kept=True)
        return [
            Matches([one]) if row.row is not None else Matches([], row.doubts)
            for one, row in zip(found, rows, strict=True)
        ]

    def passes(self, error: Exception) -> bool:
        """Return whether the error is transient, so that the next attempt may differ."""
        return self.limit.ends_work(error) or (
            isinstance(error, Error) and self.vendor.passes(error)
        )

    def placeholder(self, field: Any, why: str) -> Any:
        """Return the stand-in for a column without a value."""
        excluded = self.history.excluded.get(log_name(field.model._meta.db_table), ())
        if why == NOT_RECORDED and field.column not in excluded:
            return default_of(field)
        return Unknown(field.column, why)

    def left_to_django(self, subject: Subject) -> None:
        """Take note that Django is about to read current rows, unless that is seen anyway."""
        if self._on_made is not None:  # no one intercepts the queries of such objects
            subject.note(TODAY)

    def objects(
        self,
        model: type[Model],
        subjects: Sequence[Subject],
        found: Sequence[Found],
        *,
        kept: bool = False,
    ) -> list[Found]:
        """Return the rows with instances made of them, which resolve their relations together.

        :param kept: queries read the rows later, whatever code does to the instances.
        """
        peers = self._peers(model)
        whole_rows = with_own_values(
            model,
            self.rows.whole(model, subjects, found),
            MOST_BYTES,
            self.history.too_much,
            kept=kept,
        )
        return [
            one._replace(
                doubts=whole.doubts,
                inherited=whole.inherited,
                value=self._instance(peers, subject, whole.row)
                if isinstance(whole.row, Row)
                else whole.row,
            )
            for subject, one, whole in zip(subjects, found, whole_rows, strict=True)
        ]

    def values(self, model: type[Model], row: Row, subject: Subject) -> dict[str, Any]:
        """Return the row's values, by attname; its fields' queries are those of the subject."""
        return self._maker.read(model, Making(subject), row).values if row.unread else row.values

    def own_row(self, model: type[Model], row: Row) -> Row:
        """Return the row with copies of all values that code can change."""
        too_much = self.history.too_much
        [found] = with_own_values(model, [Found(row)], MOST_BYTES, too_much, kept=True)
        return found.row if isinstance(found.row, Row) else row

    def repeated(self, peers: Peers) -> RepeatedPeers:
        """Return the peers for further instances of the rows of these."""
        return RepeatedPeers(peers)

    def made_again(self, peers: Peers, subject: Subject, row: Row) -> Model | Exception:
        """Return another instance of a row, as one of these peers, or the error that was raised."""
        if peers.plain and not row.unread:
            return self._instance(peers, subject, self.own_row(peers.model, row))
        with self.own_queries():
            return self._instance(peers, subject, row)

    def _peers(self, model: type[Model]) -> Peers:
        sets = set_relations(model)
        return Peers(self, model, object_relations(model), sets, key_fields(model))

    def _instance(self, peers: Peers, subject: Subject, row: Row) -> Model | Exception:
        try:
            if peers.plain and not row.unread:
                instance = peers.make(row.values)
            else:
                # The model's own code may change values in place: the row stays as it is.
                own = self.own_row(peers.model, row)
                instance = self._maker.make(peers.model, peers.make, subject, own)
            if row.missing:
                self._incomplete(subject, instance, row.missing)
                self._fill_key(instance, subject, row)
            for why in row.lossy:
                subject.note(why)
            peers.add(instance, subject, row)
        except StartOver as lost:
            self.building.lose(lost)
            raise
        except BaseException as error:  # a model's from_db and __init__ may raise anything
            if self.limit.ends_work(error):
                raise
            if self.building.lacks_room(error):
                self.building.too_much(error)
            return ModelRaised.of(error)
        if self._on_made is not None:
            self._on_made(instance, subject)
        return instance

    def _incomplete(self, subject: Subject, instance: Model, missing: Mapping[str, str]) -> None:
        """Let the instance lack columns, from why it does, until code reads them."""
        make_incomplete(instance, Loader(instance, subject, missing, self))

    def _fill_key(self, instance: Model, subject: Subject, row: Row) -> None:
        """Give the instance a placeholder for a key that is unknown: Django never defers one."""
        for field in key_parts(instance._meta.pk):
            why = row.missing.get(field.column)
            if why and field.attname not in instance.__dict__:
                instance.__dict__[field.attname] = self.placeholder(field, why)
                subject.note(unknown(field.column, why))
