"""Models whose own code makes their instances: in time, and not out of today's rows.

``__init__``, ``from_db``, a descriptor or a receiver of a signal may do anything: hang, or read an
attribute that has no value, for which Django would go to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import Error
from django.db.models import Model

from .drift import NOT_RECORDED, UNKNOWN
from .events import Subject
from .instances import Maker
from .rows import ModelRaised, Row
from .timelimit import TimeLimit, TimeLimitExceeded

TODAY = "it was read in part from today's rows"

#: An instance: of which event, of which model, with which key.
Key = tuple[int, type[Model], str]
Culprits = dict[Key, Exception]


class Afresh(BaseException):
    """The transaction that the batch reads in is lost: it is read anew, without who lost it."""


class _Refused(BaseException):
    """A query for an attribute without a value."""


class Guard:
    """Makes instances with the code of others.

    :param culprits: those that lost an earlier transaction; they are not tried again.
    :param stand_in: gives what a field without a value reads as.
    """

    def __init__(
        self, limit: TimeLimit, culprits: Culprits, stand_in: Callable[[Any, str], Any]
    ) -> None:
        self.limit = limit
        self.culprits = culprits
        self.stand_in = stand_in
        self.can_begin_afresh = True
        self.making: Subject | None = None  # whose instance the code of others makes now
        self._incomplete = False  # it has attributes without a value
        self._asked = False  # it has sent a query

    def asks(self, subject: Subject) -> None:
        """A query is about to be sent by what is being made."""
        self._asked = True
        if self._incomplete:
            raise _Refused
        subject.note(TODAY)

    def make(self, model: type[Model], make: Maker, subject: Subject, row: Row) -> Model:
        """The row's instance.

        :raises Afresh: if a query that failed, or hung, has cost the transaction.
        :raises BaseException: whatever the model's code raises.
        """
        key = subject.event.id, model, str(row.values.get(str(model._meta.pk.attname)))
        if key in self.culprits:
            raise self.culprits[key]
        values: Mapping[str, Any] = row.values
        if row.missing:
            instance = self._tried(make, subject, values)
            if instance is not None:
                return instance
            values = self._filled(model, subject, row)
        try:
            return self._made(make, subject, values)
        except (Error, TimeLimitExceeded) as error:
            if not (self._asked and self.can_begin_afresh):
                raise
            self.culprits[key] = ModelRaised.of(error)
            raise Afresh from error

    def _tried(self, make: Maker, subject: Subject, values: Mapping[str, Any]) -> Model | None:
        """The instance, if that takes none of the values that are not known."""
        self._incomplete = True
        try:
            instance = self._made(make, subject, values)
        except BaseException:
            if not self._asked:
                raise
            return None
        finally:
            self._incomplete = False
        return None if self._asked else instance

    def _filled(self, model: type[Model], subject: Subject, row: Row) -> Mapping[str, Any]:
        values = dict(row.values)
        for field in model._meta.concrete_fields:
            if field.attname not in values:
                why = row.missing.get(str(field.column), NOT_RECORDED)
                values[field.attname] = self.stand_in(field, why)
                subject.note(UNKNOWN.format(field.column))
        return values

    def _made(self, make: Maker, subject: Subject, values: Mapping[str, Any]) -> Model:
        self.making, self._asked = subject, False
        try:
            with self.limit.row():
                return make(values)
        finally:
            self.making = None
