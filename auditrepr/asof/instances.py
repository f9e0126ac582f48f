"""Model instances made quickly from what the database gave, and what model code does meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import getattr_static
from typing import Any

from django.db import Error
from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.signals import post_init, pre_init

from ..utils.time_limit import TimeLimit, TimeLimitExceeded
from ..vendors.types import NOT_RECORDED, Row
from .lookups import Subject
from .placeholders import UNKNOWN
from .rows import ModelRaised

#: What a class may define to have a say in how its instances are made.
_SAYING = ("__new__", "__init__", "__setattr__", "from_db", "_state")

Maker = Callable[[Mapping[str, Any]], Model]


def maker(model: type[Model], using: str) -> Maker:
    """Makes an instance of the values of a row, by their fields' attnames.

    A field without value is deferred, as Django calls it.
    """
    return _at_once(model, using) if is_plain(model) else _by_django(model, using)


def _by_django(model: type[Model], using: str) -> Maker:
    every = [field.attname for field in model._meta.concrete_fields]

    def make(values: Mapping[str, Any]) -> Model:
        names: Sequence[str] = every
        if len(values) < len(names):
            names = [name for name in names if name in values]
        return model.from_db(using, names, [values[name] for name in names])

    return make


def _at_once(model: type[Model], using: str) -> Maker:
    def make(values: Mapping[str, Any]) -> Model:
        instance = object.__new__(model)
        state = ModelState()
        state.adding = False
        state.db = using
        there = instance.__dict__
        there["_state"] = state
        there.update(values)
        return instance

    return make


def is_plain(model: type[Model]) -> bool:
    """Does Django alone make its instances, in a way that no field or receiver changes?"""
    others = (vars(base) for base in model.__mro__ if base not in (Model, object))
    return (
        not any(name in defined for defined in others for name in _SAYING)
        and not any(signal.has_listeners(model) for signal in (pre_init, post_init))
        and not model._meta.parents  # else the values come from several tables, in another order
        and all(_is_stored_as_it_is(model, f.attname) for f in model._meta.concrete_fields)
    )


def _is_stored_as_it_is(model: type[Model], name: str) -> bool:
    kind = type(getattr_static(model, name, None))
    # A foreign key's forgets a related object that is cached; a new instance has none.
    return kind is ForeignKeyDeferredAttribute or not hasattr(kind, "__set__")


TODAY = "it was read in part from today's rows"

#: An instance: of which event, of which model, with which key.
Key = tuple[int, type[Model], str]
Culprits = dict[Key, Exception]


class Afresh(BaseException):
    """The transaction that the batch reads in is lost: it is read anew, without who lost it."""


class TooMuch(Afresh):
    """What the events of a batch need does not fit into memory together."""

    @classmethod
    def is_meant_by(cls, error: BaseException) -> bool:
        """Return whether memory is what was lacking, here or in the database's driver."""
        return isinstance(error, MemoryError) or (
            isinstance(error, Error) and "out of memory" in str(error)
        )


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
