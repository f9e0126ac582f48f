"""An object, in whose events values are erased: its tables, its keys, and the columns chosen."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, reduce
from operator import or_
from typing import Any, NamedTuple

from django.db.models import CharField, Field, Model, Q, QuerySet, TextField

from ....asof.asked import checked_key
from ....asof.former import children
from ....exceptions import ColumnUnknown
from ....lineage import get_renames
from ....models import AuditLog, Erasure
from ....tracking import tracked_tables
from ....utils.model_meta import key_parts, own_fields
from ....utils.table_names import log_name
from ....vendors import get_vendor
from ....vendors.types import erased_on
from ..needles import MARK, texts_in
from .base import REPLACED, Chosen, Target, as_json

#: Types of fields whose values do not count as text, although JSON writes some as such.
_NO_TEXT = frozenset(
    {
        "AutoField", "BigAutoField", "BigIntegerField", "BinaryField", "BooleanField", "DateField",
        "DateTimeField", "DecimalField", "DurationField", "FloatField", "IntegerField",
        "PositiveBigIntegerField", "PositiveIntegerField", "PositiveSmallIntegerField",
        "SmallAutoField", "SmallIntegerField", "TimeField", "UUIDField",
    }
)  # fmt: skip


class Part(NamedTuple):
    """One table that holds rows of the object."""

    table: str  # its current name
    key: str  # as the log has it
    model: type[Model] | None


class ObjectTarget(Target):
    """An object: its rows in all tables of its model, under all keys and names that they had."""

    subject = Erasure.Subject.OBJECT

    def __init__(self, using: str, parts: Collection[Part], named: Collection[str] = ()) -> None:
        super().__init__(using, named)
        self.parts = tuple(parts)
        self.table_name = self.parts[0].table
        self.renames = get_renames(using)

    @classmethod
    def of(cls, using: str, model: type[Model], pk: Any, named: Collection[str]) -> ObjectTarget:
        """Return the object of this model with this key.

        :raises TypeError: if the key lacks a column.
        :raises ValidationError: if it cannot be a key of this model.
        """
        model = model._meta.concrete_model or model
        key = checked_key(model, pk, using, "--object")
        family = dict.fromkeys([model, *model._meta.all_parents, *_descendants(model)])
        parts = []
        for one in family:
            if not one._meta.proxy:
                (text,) = get_vendor(using).key_texts(one._meta.pk, [key])
                parts.append(Part(log_name(one._meta.db_table), text, one))
        found = cls(using, parts, named)
        found._check_names()
        texts = (one for one in key_parts(model._meta.pk) if isinstance(one, CharField | TextField))
        if any(found._is_chosen(one, str(one.column), parts[0].key) for one in texts):
            found._note_keys()
        return found

    def identity(self) -> str:
        return json.dumps([[part.table, part.key] for part in self.parts])

    @property
    def key(self) -> str:
        return self.parts[0].key

    @property
    def table_names(self) -> set[str]:
        """Return the names that its tables have or had."""
        return {name.name for part in self.parts for name in self.renames.lineage(part.table).names}

    def events(self) -> QuerySet[AuditLog]:
        return self.log.filter(reduce(or_, self._conditions))

    @cached_property
    def _conditions(self) -> list[Q]:
        return [condition for part in self.parts for condition in self._of(part)]

    def _of(self, part: Part) -> Iterator[Q]:
        """Yield the conditions for the events of a part, also from when it had another key."""
        table = self.renames.lineage(part.table).events()
        yield table & (Q(object_id=part.key) | Q(previous_object_id=part.key))
        seen, left = {part.key}, [(part.key, Q())]
        while left:
            key, until = left.pop()
            taken = self.log.filter(table, until, object_id=key)
            rekeyed = taken.filter(previous_object_id__isnull=False)
            for pk, former in rekeyed.values_list("pk", "previous_object_id"):
                if former and former not in seen:  # what has had the key since is another object
                    seen.add(former)
                    left.append((former, Q(pk__lt=pk)))
                    yield table & Q(object_id=former, pk__lt=pk)

    def chosen(self, event: AuditLog) -> Chosen:
        fields = self.renames.fields(event)

        def of(row: Mapping[str, Any] | None) -> tuple[str, ...]:
            return tuple(
                column
                for column, value in (row or {}).items()
                if self._is_chosen(fields.get(column), column, value) and not self._stays(value)
            )

        return Chosen(of(event.row_data), of(event.changed_from))

    def context(self, event: AuditLog) -> Any:
        said = event.context if isinstance(event.context, dict) else {}
        brought = said.get("imported_text")  # of the object, by another log
        return {"imported_text": brought} if brought and brought != MARK else {}

    def texts(self, event: AuditLog) -> Iterator[str]:
        chosen = self.chosen(event)
        yield from texts_in(self.context(event).get("imported_text"))
        for row, columns in ((event.row_data, chosen.row), (event.changed_from, chosen.old)):
            for column in columns:
                yield from texts_in((row or {})[column])

    def current(self) -> dict[str, Any]:
        """Return the values of the columns that the object's current rows have, none of them empty.

        A value is as the last event of the row recorded it, and as the table has it. No event
        brings back what is excluded.
        """
        found: dict[str, Any] = {}
        excluded = {table.name: table.excluded for table in tracked_tables(self.using)}
        for part in self.parts:
            if part.model is None:
                continue
            out = excluded.get(part.table, frozenset())
            recorded = (field for field in own_fields(part.model) if field.column not in out)
            fields = [f for f in recorded if self._is_chosen(f, f.column, "")]
            key = checked_key(part.model, _pk_of(part), self.using)
            rows: Any = QuerySet(part.model, using=self.using).filter(pk=key)
            for row in rows.values(*(field.attname for field in fields)) if fields else ():
                found |= {
                    str(name): value for name, value in row.items() if value not in (None, "")
                }
        return found

    def keep_current(self) -> None:
        """Let the values of the current rows stay."""
        self.keeps_current = True
        kept = {as_json(value) for value in self.current().values()}
        for part in self.parts:
            table = self.renames.lineage(part.table).events()
            last = self.log.filter(table, object_id=part.key).order_by("-pk").first()
            if last is not None and last.action != AuditLog.Action.DELETE:
                kept |= {as_json(value) for value in (last.row_data or {}).values()}
        self.kept = frozenset(kept)
        self.keys = frozenset(key for key in self.keys if as_json(key) not in self.kept)

    def _note_keys(self) -> None:
        keys = self.events().values_list("object_id", "previous_object_id").distinct()
        found = {key for both in keys for key in both if key}
        self.keys = frozenset(key for key in found if not key.startswith(REPLACED))

    def _is_chosen(self, field: Field[Any, Any] | None, column: str, value: Any) -> bool:
        if self.named:
            names = {column} | ({field.name, field.attname, field.column} if field else set())
            return not names.isdisjoint(self.named)
        if field is None:
            return isinstance(value, str | dict | list)
        if field.is_relation or field.choices or field.get_internal_type() in _NO_TEXT:
            return False
        return isinstance(value, str | dict | list)

    def _stays(self, value: Any) -> bool:
        return value in (None, "") or erased_on(value) is not None or as_json(value) in self.kept

    def _check_names(self) -> None:
        fields = [field for part in self.parts if part.model for field in own_fields(part.model)]
        known = {name for f in fields for name in (f.name, f.attname, f.column)}
        held = self.events().order_by("-pk")[:1000] if self.named - known else ()
        known |= {column for event in held for column in event.row_data or ()}
        for name in sorted(self.named - known):
            raise ColumnUnknown(column=name, known=", ".join(sorted(known)))

    def __str__(self) -> str:
        return f"{self.table_name} {self.key}"


def _descendants(model: type[Model]) -> Iterator[type[Model]]:
    for child in children(model):
        yield child
        yield from _descendants(child)


def _pk_of(part: Part) -> Any:
    if part.model is not None and len(key_parts(part.model._meta.pk)) > 1:
        return json.loads(part.key)
    return part.key
