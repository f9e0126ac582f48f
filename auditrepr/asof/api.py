"""Objects as they were: :func:`as_of`, over the machinery that builds representations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from django.db import Error, router
from django.db.models import Model

from ..exceptions import MigrationsPending, PastIsFixed
from ..models import AuditLog
from ..models.log import first_id
from ..utils.model_meta import key_parts
from ..utils.time_limit import TimeLimit
from ..vendors import get_vendor
from ..vendors.types import Event, Moment
from .lookups import Lookup, Subject
from .reader import Reader

ModelT = TypeVar("ModelT", bound=Model)
When = AuditLog | int | datetime

_SUBJECT = "_auditrepr_subject"
#: So many ids further on there may be events that are older: so many rows may concurrent
#: statements have written side by side.
SLACK = 10_000


@overload
def as_of(what: ModelT, moment: When, /, *, using: str | None = None) -> ModelT: ...
@overload
def as_of(what: type[ModelT], moment: When, /, *, pk: Any, using: str | None = None) -> ModelT: ...
def as_of(what: Any, moment: When, /, *, pk: Any = None, using: str | None = None) -> Any:
    """The object as it was at a moment, with its relations as they were.

    ``as_of(book, event)`` or ``as_of(Book, event, pk=5)``. What it gives can be read, at any time
    later too, and not be saved; :func:`doubts` tells what of it is not certain.

    :param moment: an event, or its id: the state right after it, or right before a deletion, as
        its transaction saw it. A time: the state after the last event up to then, in the order of
        the log; an event of a transaction that had not committed by then counts, too.
    :param using: the database, by default the object's own.
    :raises TypeError: if there is no pk, or one of several columns is not a tuple of them all.
    :raises ValidationError: if the pk cannot be one of this model.
    :raises DoesNotExist: if there was no such object; the model's own exception.
    :raises AuditLog.DoesNotExist: if there is no such event.
    :raises MigrationsPending: if the database holds no log.
    """
    model: Any = what if isinstance(what, type) else type(what)
    key = _key(model, pk if isinstance(what, type) else what.pk)
    using = using or _database(what, moment)
    try:
        return _as_of(model, key, moment, using)
    except Error as error:
        if get_vendor(using).lacks_table(error) and AuditLog._meta.app_label in str(error):
            raise MigrationsPending(alias=using, names="auditrepr.0001_initial") from error
        raise


def _as_of(model: Any, key: Any, moment: When, using: str) -> Model:
    reader = Reader(using, TimeLimit.from_settings())
    reader.outlive(OwnViews(reader), _keep_in_the_past)
    with reader.own_queries():
        subject = Subject(_moment(moment, using))
        reader.moments.append(subject.moment)
        (found,) = reader.find_present(model, [Lookup(subject, key)])
    for doubt in found.doubts:
        subject.note(doubt)
    if found.value is None:
        raise model.DoesNotExist(
            f"No {model._meta.label} with primary key {key} existed at that moment."
        )
    if not isinstance(found.value, Model):
        raise found.value
    return found.value


def doubts(instance: Model) -> list[str]:
    """Why what has been read so far of an object that as_of() gave is not certain; else empty."""
    return list(instance.__dict__[_SUBJECT].notes)


def _key(model: type[Model], key: Any) -> Any:
    """The primary key, as its field has it."""
    parts = key_parts(model._meta.pk)
    if len(parts) == 1 and key is not None:
        return model._meta.pk.to_python(key)
    if key is None or not isinstance(key, list | tuple) or len(key) != len(parts) or None in key:
        names = ", ".join(part.name for part in parts)
        pk = f"a pk of {len(parts)} values ({names})" if len(parts) > 1 else "a pk"
        raise TypeError(f"as_of() requires a saved instance, or a model class and {pk}")
    return tuple(part.to_python(value) for part, value in zip(parts, key, strict=True))


def _database(what: Any, moment: When) -> str:
    named = moment._state.db if isinstance(moment, AuditLog) else None
    if not named and isinstance(what, Model):
        named = what._state.db
    return named or router.db_for_read(what if isinstance(what, type) else type(what))


def _moment(when: When, using: str) -> Moment:
    if isinstance(when, datetime):
        return _last_until(when, using)
    if isinstance(when, AuditLog):
        return Event.of(when).moment
    return Event.of(AuditLog.objects.using(using).get(pk=when)).moment


def _last_until(when: datetime, using: str) -> Moment:
    """Right after the last event up to this time: whatever is in the log up to it was seen."""
    log = AuditLog.objects.using(using).all()
    near = log.filter(
        pk__lt=first_id(log, when) + SLACK, occurred_at__lt=when + timedelta.resolution
    )
    return Moment(near.order_by("-pk").values_list("pk", flat=True).first() or 0)


class OwnViews:
    """Lets an object go on reading as of its moment after the call that made it.

    Every look at the log is a view of its own, in which nothing can be written: what is read
    live, because the log has never mentioned it, has not been changed up to then.
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
        there[name] = _refuse(label)
    there.setdefault("refresh_from_db", _refuse(label))


def _refuse(label: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PastIsFixed(model=label)

    return refuse
