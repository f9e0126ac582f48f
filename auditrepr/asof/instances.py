"""Makes model instances from rows: quickly if only Django's code is needed, else guarded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import Error
from django.db.models import Model
from django.db.models.base import ModelState

from ..isolation import of_one_object
from ..utils.time_limit import TimeLimitExceeded
from ..vendors.types import NOT_RECORDED, Row
from .attributes import Attributes
from .building import Building, StartOver
from .conversion import ModelRaised
from .lookups import Subject
from .phases import Making
from .placeholders import unknown
from .plain_models import is_plain

Maker = Callable[[Mapping[str, Any]], Model]


def maker(model: type[Model], using: str) -> Maker:
    """Return a function that makes an instance from the values of a row, by attname.

    A field without a value is deferred, as Django calls it.
    """
    if is_plain(model):
        return _at_once(model, using)
    return _by_django(model, using)


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
        there = Attributes()
        there["_state"] = state
        there.update(values)
        instance.__dict__ = there
        return instance

    return make


#: An instance: the ID of its event, its model, its primary key.
Key = tuple[int, type[Model], str]
#: The instances whose code broke a transaction, with its error: they are not tried again.
KnownFailures = dict[Key, Exception]

#: Returns the stand-in for a field without a value, from the field and why it has none.
Placeholder = Callable[[Any, str], Any]


class GuardedMaker:
    """Makes instances of models whose own code takes part in it.

    :param can_start_over: the batch can be read again if a query costs the transaction.
    """

    def __init__(
        self,
        building: Building,
        known_failures: KnownFailures,
        placeholder: Placeholder,
        *,
        can_start_over: bool,
    ) -> None:
        self.building = building
        self.known_failures = known_failures
        self.placeholder = placeholder
        self.can_start_over = can_start_over

    def make(self, model: type[Model], make: Maker, subject: Subject, row: Row) -> Model:
        """Return the row's instance.

        :raises StartOver: if a query that failed or hung has cost the transaction.
        :raises BaseException: if the model's code raises it.
        """
        key = subject.moment.upto, model, str(row.values.get(str(model._meta.pk.attname)))
        if key in self.known_failures:
            raise self.known_failures[key]
        making = Making(subject)
        try:
            if row.unread:
                row = self.read(model, making, row)
            values: Mapping[str, Any] = row.values
            if row.missing:
                instance = self._tried(make, subject, values)
                if instance is not None:
                    return instance
                values = self._filled(model, subject, row)
            return self._made(make, making, values)
        except (Error, TimeLimitExceeded) as error:
            lost = making.asked and self.can_start_over
            if not lost or self.building.limit.ends_work(error) or self.building.lacks_room(error):
                raise
            self.known_failures[key] = ModelRaised.of(error)
            raise StartOver from error

    def read(self, model: type[Model], making: Making, row: Row) -> Row:
        """Return the row with the values that its fields read with queries, as of the moment."""
        with self._running(making):
            there = row.values | {name: one.read() for name, one in row.unread.items()}
        names = [field.attname for field in model._meta.concrete_fields if field.attname in there]
        return row._replace(values={name: there[name] for name in names}, unread={})

    def _tried(self, make: Maker, subject: Subject, values: Mapping[str, Any]) -> Model | None:
        """Return the instance, or None if creating it needs a value that is not in the log."""
        making = Making(subject, incomplete=True)
        try:
            instance = self._made(make, making, values)
        except BaseException as error:
            if not making.asked or self.building.limit.ends_work(error):
                raise
            return None
        return None if making.asked else instance

    def _filled(self, model: type[Model], subject: Subject, row: Row) -> Mapping[str, Any]:
        values = dict(row.values)
        for field in model._meta.concrete_fields:
            if field.attname not in values:
                why = row.missing.get(str(field.column), NOT_RECORDED)
                values[field.attname] = self.placeholder(field, why)
                subject.note(unknown(str(field.column), why))
        return values

    def _made(self, make: Maker, making: Making, values: Mapping[str, Any]) -> Model:
        with self._running(making):
            return make(values)

    @contextmanager
    def _running(self, making: Making) -> Iterator[None]:
        with self.building.during(making), self.building.limit.row(), of_one_object():
            yield
