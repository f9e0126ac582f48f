"""Objects as they were: :func:`as_of`, over the machinery that builds representations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from django.db import Error, router
from django.db.models import Model

from ..exceptions import MigrationsPending, PastIsFixed
from ..models import AuditLog
from ..models.log import first_id
from ..utils.model_meta import key_parts
from ..vendors import get_vendor
from ..vendors.types import Event, Row
from .batch import Batch
from .history import History
from .lookups import Subject, Wish
from .substitution import Relations

ModelT = TypeVar("ModelT", bound=Model)
Moment = AuditLog | int | datetime

_SUBJECT = "_auditrepr_subject"
#: So many ids further on there may be events that are older: so many rows may concurrent
#: statements have written side by side.
SLACK = 10_000


@overload
def as_of(what: ModelT, moment: Moment, /, *, using: str | None = None) -> ModelT: ...
@overload
def as_of(
    what: type[ModelT], moment: Moment, /, *, pk: Any, using: str | None = None
) -> ModelT: ...
def as_of(what: Any, moment: Moment, /, *, pk: Any = None, using: str | None = None) -> Any:
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


def _as_of(model: Any, key: Any, moment: Moment, using: str) -> Model:
    batch = Lasting(using)
    with batch.own_queries():
        subject = Subject(_event(moment, using))
        (found,) = batch._rows(model, [Wish(subject, key)])
        if found.gone or found.row is None:
            raise model.DoesNotExist(f"There was no {model._meta.label} {key} at that moment.")
        ((value, answer_doubts),) = batch.objects(model, [subject], [found])
    for doubt in answer_doubts:
        subject.note(doubt)
    if not isinstance(value, Model):
        raise value or model.DoesNotExist
    return value


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
        raise TypeError(f"as_of() takes a saved object, or a model and {pk}")
    return tuple(part.to_python(value) for part, value in zip(parts, key, strict=True))


def _database(what: Any, moment: Moment) -> str:
    named = moment._state.db if isinstance(moment, AuditLog) else None
    if not named and isinstance(what, Model):
        named = what._state.db
    return named or router.db_for_read(what if isinstance(what, type) else type(what))


def _event(moment: Moment, using: str) -> Event:
    if isinstance(moment, datetime):
        return _last_until(moment, using)
    if isinstance(moment, AuditLog):
        return Event.of(moment)
    return Event.of(AuditLog.objects.using(using).get(pk=moment))


def _last_until(when: datetime, using: str) -> Event:
    """Stands for the moment right after the last event up to this time."""
    log = AuditLog.objects.using(using).all()
    near = log.filter(
        pk__lt=first_id(log, when) + SLACK, occurred_at__lt=when + timedelta.resolution
    )
    last = near.order_by("-pk").values_list("pk", flat=True).first() or 0
    # Of no table and no transaction: whatever is in the log up to it was seen.
    return Event(last, "", None, AuditLog.Action.UPDATE, None, None, None, when)


class Lasting(Batch):
    """A batch of one, whose object goes on reading as of its moment after the call.

    Every look at the log is a moment of its own, in which nothing can be written: what is read
    live, because the log has never mentioned it, has not been changed up to then.
    """

    _inside = False

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self.guard.can_begin_afresh = False

    @contextmanager
    def own_queries(self) -> Iterator[None]:
        with self._reading(), super().own_queries():
            yield

    @contextmanager
    def instead_of(self, relations: Relations, otherwise: Subject | None = None) -> Iterator[None]:
        with self._reading(), super().instead_of(relations, otherwise):
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._inside:
            yield
            return
        with ExitStack() as stack:
            stack.enter_context(self.vendor.reading(self.limit))
            stack.enter_context(self.vendor.connection.execute_wrapper(self.watch))
            self.history = History(self.vendor, self.limit)
            self._inside = True
            try:
                yield
            finally:
                self._inside = False

    def _instance(self, peers: Any, subject: Subject, row: Row) -> Model | Exception:
        instance = super()._instance(peers, subject, row)
        if isinstance(instance, Model):
            instance.__dict__[_SUBJECT] = subject
            for name in ("save", "save_base", "delete"):
                instance.__dict__[name] = _refuse(type(instance)._meta.label)
            instance.__dict__.setdefault("refresh_from_db", _refuse(type(instance)._meta.label))
        return instance


def _refuse(label: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PastIsFixed(model=label)

    return refuse
