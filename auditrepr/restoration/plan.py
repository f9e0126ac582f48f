"""What putting an object back would change: the former row next to the current one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Field, FileField, JSONField, Model, QuerySet

from ..asof.former import Asked, FormerRow, former_row
from ..models import AuditLog
from ..utils.phrases import timestamp
from ..utils.time_limit import TimeLimit
from . import obstacles

#: Names of the fields to put back; None: all of them.
Fields = tuple[str, ...] | None


@dataclass(frozen=True)
class Difference:
    """One field that has another value now than it had."""

    field: Field[Any, Any]
    current: Any
    former: Any


@dataclass(frozen=True)
class Restoration:
    """What putting one object back changes, or has changed; or why it is refused."""

    model: type[Model]
    pk: Any
    using: str
    source: str  # the event or the time, as the log says it: "event 41"
    recreates: bool  # the object does not exist now
    changes: tuple[Difference, ...]  # of a re-created object, all of its fields
    reasons: tuple[str, ...]  # why it is refused; empty if it can be done
    not_restored: tuple[str, ...]  # names of what stays as it is, such as many-to-many rows
    state: str  # stands for all that was compared: another one if any of it has changed
    values: Mapping[str, Any]  # of the row to be written, by attname
    recorded: Mapping[str, Any]  # of the former row, likewise
    fields: tuple[str, ...] | None = None  # those that were chosen; None: all of them
    altered: tuple[str, ...] = ()  # once written: fields to which save() gave other values
    instance: Model | None = None  # once written: the object

    @property
    def possible(self) -> bool:
        """Return whether it can be put back, and there is something to put back."""
        return not self.reasons and (self.recreates or bool(self.changes))

    @property
    def origin(self) -> str:
        """Return what is put back from where, as the log says it: "title from event 41"."""
        if self.fields is None:
            return f"from {self.source}"
        return f"{', '.join(change.field.name for change in self.changes)} from {self.source}"


def plan(asked: Asked, using: str, limit: TimeLimit, fields: Fields = None) -> Restoration:
    """Return what putting the object back would change, without writing."""
    former = former_row(asked, using, limit)
    return compared(asked, former, current(asked.model, asked.key, using), using, fields)


def compared(
    asked: Asked, former: FormerRow, now: Model | None, using: str, fields: Fields = None
) -> Restoration:
    """Return what it takes to make the current object what it was, or these fields of it."""
    wanted = former if fields is None else _narrowed(asked.model, former, now, fields)
    changes = tuple(_differences(asked.model, wanted.values, now))
    state = state_of(asked, former.values, now)
    reasons = tuple(obstacles.reasons(asked, wanted, now, using))
    if fields is not None and now is None:
        reasons = (*reasons, obstacles.only_whole())
    if not reasons:
        named = None if now is None else {change.field.name for change in changes}
        instance = rebuilt(asked.model, wanted.values, now, using)
        reasons = tuple(obstacles.errors(instance, named))
    return Restoration(
        model=asked.model,
        pk=asked.key,
        using=using,
        source=source(asked),
        recreates=now is None,
        changes=changes,
        reasons=reasons,
        not_restored=tuple(_not_restored(asked.model, changes)),
        state=state,
        values=wanted.values,
        recorded=former.values,
        fields=fields,
    )


def _narrowed(
    model: type[Model], former: FormerRow, now: Model | None, fields: Collection[str]
) -> FormerRow:
    """Return the former row as if its other fields had held what they hold now."""
    if now is None or not former.exists:
        return former
    every = model._meta.concrete_fields
    others = {f.attname: f.value_from_object(now) for f in every if f.name not in fields}
    columns = {field.column for field in every if field.name in fields}
    missing = {column: why for column, why in former.missing.items() if column in columns}
    return replace(former, values={**former.values, **others}, missing=missing, images=[])


def source(asked: Asked) -> str:
    """Return what the object is put back from, as the log says it."""
    if isinstance(asked.when, datetime):
        return timestamp(asked.when)
    before = asked.before and asked.when.action != AuditLog.Action.DELETE
    return f"{'before ' * before}event {asked.when.pk}"


def current(model: type[Model], key: Any, using: str, *, lock: bool = False) -> Model | None:
    """Return the current object, whatever the model's manager hides.

    :param lock: keep it from being changed until the transaction ends.
    """
    rows: QuerySet[Model] = QuerySet(model, using=using)
    if lock:
        rows = rows.select_for_update()
    with transaction.atomic(using):  # the database may refuse the key
        return rows.filter(pk=key).first()


def restored_fields(model: type[Model]) -> Iterator[Field[Any, Any]]:
    """Yield the fields whose values can be put back: not the key, and not what is computed."""
    for field in model._meta.concrete_fields:
        link = field.is_relation and getattr(field.remote_field, "parent_link", False)
        if not (field.primary_key or field in model._meta.pk_fields or field.generated or link):
            yield field


def rebuilt(model: type[Model], values: Mapping[str, Any], now: Model | None, using: str) -> Model:
    """Return an instance to be saved: the current one, or a new one, with the former values."""
    if now is None:
        known = {f.attname for f in model._meta.concrete_fields if not f.generated}
        instance = model(**{name: value for name, value in values.items() if name in known})
        instance._state.db = using
        return instance
    for change in _differences(model, values, now):
        setattr(now, change.field.attname, change.former)
    return now


def _differences(
    model: type[Model], former: Mapping[str, Any], now: Model | None
) -> Iterator[Difference]:
    for field in restored_fields(model):
        if field.attname not in former or getattr(field, "auto_now", False):
            continue
        value = former[field.attname]
        if now is None:
            yield Difference(field, None, value)
        elif not same(field, there := field.value_from_object(now), value):
            yield Difference(field, there, value)


def same(field: Field[Any, Any], one: Any, other: Any) -> bool:
    """Return whether the field holds the same, so that nothing needs to be written."""
    if isinstance(field, JSONField):  # in Python, 1 == 1.0 == True
        return _as_json(one) == _as_json(other)
    if one is None or other is None:
        return one is other
    try:
        return bool(one == other)
    except Exception:  # two arrays, for example, are compared item by item
        return bool(field.get_prep_value(one) == field.get_prep_value(other))


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _not_restored(model: type[Model], changes: tuple[Difference, ...]) -> Iterator[str]:
    yield from (str(field.verbose_name) for field in model._meta.many_to_many)
    for field in restored_fields(model):
        if getattr(field, "auto_now", False):
            yield str(field.verbose_name)
    for change in changes:
        if isinstance(change.field, FileField) and change.former:
            yield f"{change.former} ({change.field.verbose_name})"


def state_of(asked: Asked, former: Mapping[str, Any], now: Model | None) -> str:
    """Return a digest of both rows; a preview carries it, so that nothing is overwritten unseen."""
    digest = hashlib.sha256()
    for part in (asked.model._meta.label, str(asked.key), source(asked), _current(asked, now)):
        digest.update(f"{part}\0".encode("utf-8", "surrogatepass"))
    for field in asked.model._meta.concrete_fields:
        if field.attname in former:
            digest.update(_named(field, former[field.attname]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _current(asked: Asked, now: Model | None) -> str:
    if now is None:
        return "none"
    fields = asked.model._meta.concrete_fields
    return "".join(_named(field, field.value_from_object(now)) for field in fields)


def _named(field: Field[Any, Any], value: Any) -> str:
    if isinstance(value, memoryview):
        value = bytes(value)
    return f"{field.attname}={_written(field, value)}\0"


def _written(field: Field[Any, Any], value: Any) -> str:
    """Return the value as code, or else as the database gets it."""
    if getattr(type(value), "__repr__") is not object.__repr__:  # noqa: B009 - it only says where it is
        with suppress(Exception):  # the code of its type may raise anything
            return repr(value)
    return repr(field.get_prep_value(value))
