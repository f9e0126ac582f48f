"""The public :func:`as_of`: objects as of a moment, from the code that builds representations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from django.db import Error
from django.db.models import Model

from ..exceptions import MigrationsPending, PastIsFixed, RowNotImported
from ..models import AuditLog
from ..utils.arguments import named
from ..utils.time_limit import TimeLimit
from ..vendors import get_vendor
from ..vendors.types import NOT_IMPORTED, Moment, Row
from .asked import When, checked_key, event_or_time, moment_of, wanted
from .attributes import Hidden
from .former import Absence
from .lookups import Lookup, Subject
from .reader import Reader

ModelT = TypeVar("ModelT", bound=Model)

_SUBJECT = "_auditrepr_subject"


@overload
def as_of(what: ModelT, moment: When, /, *, using: str | None = None) -> ModelT: ...
@overload
def as_of(what: type[ModelT], moment: When, /, *, pk: Any, using: str | None = None) -> ModelT: ...
def as_of(what: Any, moment: When, /, *, pk: Any = None, using: str | None = None) -> Any:
    """Return the object as of a moment, with its relations as of that moment.

    ``as_of(book, event)`` or ``as_of(Book, event, pk=5)``. The object can be read at any later
    time, too; it cannot be saved. :func:`doubts` lists why it is mixed.

    :param moment: an event, or its ID: the state right after it, or right before a deletion, as
        its transaction saw it. A time: the state after the last event up to that time, in the
        order of the log, including events of transactions that had not committed by then. A naive
        time is in the current time zone; a date means the end of that day.
    :param using: the database, by default the object's own.
    :raises TypeError: if it is neither an instance nor a model; if there is no pk, or the pk of
        several columns is not a tuple of all values; if the moment is none of these.
    :raises ValidationError: if the pk cannot be a key of this model.
    :raises ValueError: if there is no such database.
    :raises DoesNotExist: if there was no such object; the model's own exception.
    :raises RowNotImported: if only a text of the object is known, which another log has brought.
    :raises AuditLog.DoesNotExist: if there is no such event.
    :raises MigrationsPending: if the database holds no log.
    """
    model, key, using = wanted(what, moment, pk, using)
    try:
        return _as_of(model, checked_key(model, key, using), moment, using)
    except Error as error:
        if get_vendor(using).lacks_table(error) and AuditLog._meta.app_label in str(error):
            raise MigrationsPending(alias=using, apps=AuditLog._meta.app_label) from error
        raise


def _as_of(model: Any, key: Any, moment: When, using: str) -> Model:
    when = event_or_time(moment, using)
    return past_instance(model, key, moment_of(when, using), using, TimeLimit.from_settings())


def past_instance(model: Any, key: Any, moment: Moment, using: str, limit: TimeLimit) -> Model:
    """Return the object as of the moment; see :func:`as_of`.

    :raises DoesNotExist: if there was no such object; the text says why.
    """
    reader = Reader(using, limit)
    reader.outlive(OwnViews(reader), _keep_in_the_past)
    subject = Subject(moment)
    with reader.own_queries():
        reader.moments.append(moment)
        (found,) = reader.find_present(model, [Lookup(subject, key)])
    for doubt in found.doubts:
        subject.note(doubt)
    if found.value is None:
        why = Absence(model, key, moment, using)
        raise model.DoesNotExist(
            f"No {model._meta.label} with primary key {key} existed at that moment. {why}"
        )
    if isinstance(found.row, Row) and NOT_IMPORTED in found.row.missing.values():
        raise RowNotImported(model=model._meta.label, pk=key)
    if not isinstance(found.value, Model):
        raise found.value
    return found.value


def doubts(instance: Model) -> list[str]:
    """Return why an object from as_of() is mixed, as far as it was read; empty if it is exact.

    :raises TypeError: if as_of() did not return it.
    """
    subject = getattr(instance, "__dict__", {}).get(_SUBJECT)
    if subject is None:
        raise TypeError(f"doubts() requires an object from as_of(), not {named(instance)}")
    return list(subject.notes)


class OwnViews:
    """Lets an object continue to read as of its moment after the call that made it.

    Each time, the log is read in a separate read-only view of the database: a row of which the log
    has no event, read from the table in the same view, has not changed since.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._inside = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self._inside:
            yield
            return
        with self.reader.view():
            self._inside = True
            try:
                yield
            finally:
                self._inside = False


def _keep_in_the_past(instance: Model, subject: Subject) -> None:
    there, label = instance.__dict__, type(instance)._meta.label
    there[_SUBJECT] = subject
    for name in ("save", "save_base", "delete"):
        there[name] = _Refusal(label)
    there.setdefault("refresh_from_db", _Refusal(label))


class _Refusal(Hidden):
    """Stands for a method that would change the past."""

    def __init__(self, label: str) -> None:
        self.label = label

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise PastIsFixed(model=self.label)
