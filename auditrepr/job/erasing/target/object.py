"""An object, in whose events values are erased: its tables, its keys, and the columns chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, reduce
from operator import or_
from typing import Any

from django.db import connections
from django.db.models import CharField, Field, Model, Q, QuerySet, TextField

from ....asof.asked import checked_key
from ....exceptions import ColumnUnknown
from ....lineage.table_lineage import Lineage
from ....models import AuditLog, Erasure, InstanceRepr
from ....tracking import tracked_tables
from ....utils.model_meta import key_parts, own_fields
from ....vendors import get_vendor
from ....vendors.sought import Sought
from ....vendors.types import erased_on
from ..needles import MARK, texts_in
from .base import REPLACED, ROWS, Chosen, Target, as_json
from .family import Family, Part

#: Values of which nothing can be erased.
EMPTY: tuple[Any, ...] = (None, "", {}, [])
#: Types of fields whose values do not count as text, although JSON writes some as such.
_NO_TEXT = frozenset(
    {
        "AutoField", "BigAutoField", "BigIntegerField", "BinaryField", "BooleanField", "DateField",
        "DateTimeField", "DecimalField", "DurationField", "FloatField", "IntegerField",
        "PositiveBigIntegerField", "PositiveIntegerField", "PositiveSmallIntegerField",
        "SmallAutoField", "SmallIntegerField", "TimeField", "UUIDField",
    }
)  # fmt: skip


class ObjectTarget(Target):
    """An object: its rows in all tables of its model, under all keys and names that they had."""

    subject = Erasure.Subject.OBJECT

    def __init__(self, using: str, parts: Collection[Part], named: Collection[str] = ()) -> None:
        super().__init__(using, named)
        self.parts = tuple(parts)
        self.table_name = self.parts[0].table
        self.asked = self.parts[0].key
        self.family = Family(using)
        self.renames = self.family.renames
        self._keys: dict[Part, frozenset[str]] = {}

    @classmethod
    def of(cls, using: str, model: type[Model], pk: Any, named: Collection[str]) -> ObjectTarget:
        """Return the object of this model with this key.

        :raises TypeError: if the key lacks a column.
        :raises ValidationError: if it cannot be a key of this model.
        """
        model = model._meta.concrete_model or model
        key = checked_key(model, pk, using, "--object")
        [text] = get_vendor(using).key_texts(model._meta.pk, [key])
        found = cls(using, Family(using).parts(model, text), named)
        found.asked = text
        found.check_names()
        found._note_keys()
        return found

    def identity(self) -> str:
        return json.dumps([self.table_name, self.asked])

    @property
    def key(self) -> str:
        return self.parts[0].key

    def events(self) -> QuerySet[AuditLog]:
        return self.log.filter(reduce(or_, self._conditions))

    @cached_property
    def _conditions(self) -> list[Q]:
        return [one for part in self.parts for one in self.family.conditions(part)]

    def replaced(self, replacement: Callable[[str], str]) -> set[int]:
        """Return the events whose keys were replaced, also by earlier runs."""
        found: set[int] = set()
        for part in self.parts:
            key = self.family.latest(part.table, replacement(part.key))
            found.update(self.family.events(part._replace(key=key)).values_list("pk", flat=True))
        return found

    def keys_by_tables(self) -> Iterator[tuple[set[str], frozenset[str]]]:
        """Yield the keys that are replaced, with all names of the table that has them."""
        for part, keys in self._keys.items():
            names = {name.name for name in self.renames.lineage(part.table).names}
            yield names, keys & self.keys

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
        fields = self.renames.fields(event)
        for row, columns in ((event.row_data, chosen.row), (event.changed_from, chosen.old)):
            for column in columns:
                value = (row or {})[column]
                yield from texts_in(value)
                yield from texts_in(self._shown(fields.get(column), value))

    def of_others(self, sought: Sought) -> Iterator[AuditLog]:
        condition = get_vendor(self.using).naming(("row_data", "changed_from"), sought)
        for table in self._tables:
            events = self.log.filter(table.events(), condition)
            events = events.exclude(pk__in=self.events().values("pk"))
            yield from events.iterator(chunk_size=ROWS)

    def shown(self) -> QuerySet[InstanceRepr]:
        return InstanceRepr.objects.using(self.using).filter(audit_log__in=self.events())

    def shown_of_others(self, sought: Sought) -> Iterator[InstanceRepr]:
        condition = get_vendor(self.using).naming(("instance_repr",), sought)
        every = InstanceRepr.objects.using(self.using).select_related("audit_log")
        for table in self._tables:
            rows = every.filter(table.events("audit_log__"), condition)
            rows = rows.exclude(audit_log__in=self.events().values("pk"))
            yield from rows.iterator(chunk_size=ROWS)

    @cached_property
    def _tables(self) -> list[Lineage]:
        return [self.renames.lineage(part.table) for part in self.parts]

    def _shown(self, field: Any, value: Any) -> Any:
        """Return what Python shows of a text, such as what an encrypted field decrypts."""
        if isinstance(value, str) and hasattr(field, "from_db_value"):
            with suppress(Exception):  # the project's code, and perhaps a key that is gone
                return field.from_db_value(value, None, connections[self.using])
        return None

    def current(self) -> dict[str, Any]:
        """Return the values of the columns that the object's current rows have, none of them empty.

        A value is as the last event of the row recorded it, and as the table has it. No event
        brings back what is excluded.
        """
        found: dict[str, Any] = {}
        excluded = {table.name: table.excluded for table in tracked_tables(self.using)}
        for part in self.parts:
            out = excluded.get(part.table, frozenset())
            recorded = (field for field in own_fields(part.model) if field.column not in out)
            fields = [f for f in recorded if self._is_chosen(f, f.column, "")]
            rows = self.family.current(part)
            for row in rows.values(*(field.attname for field in fields)) if fields else ():
                found |= {str(name): value for name, value in row.items() if value not in EMPTY}
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
        """Note the keys that are texts, of the tables in which they are chosen."""
        for part in self.parts:
            if self._has_chosen_key(part):
                events = self.family.events(part)
                pairs = events.values_list("object_id", "previous_object_id").distinct()
                found = {key for both in pairs for key in both if key}
                self._keys[part] = frozenset(k for k in found if not k.startswith(REPLACED))
        self.keys = frozenset().union(*self._keys.values())

    def _has_chosen_key(self, part: Part) -> bool:
        """Return whether the key of a part is a text that is erased; a link's is its parent's."""
        ends = ((str(f.column), _end_of(f)) for f in key_parts(part.model._meta.pk))
        texts = ((name, end) for name, end in ends if isinstance(end, CharField | TextField))
        return any(self._is_chosen(end, name, part.key) for name, end in texts)

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
        return value in EMPTY or erased_on(value) is not None or as_json(value) in self.kept

    def check_names(self) -> None:
        fields = [field for part in self.parts for field in own_fields(part.model)]
        known = {name for f in fields for name in (f.name, f.attname, f.column)}
        held = self.events().order_by("-pk")[:1000] if self.named - known else ()
        known |= {column for event in held for column in event.row_data or ()}
        for name in sorted(self.named - known):
            raise ColumnUnknown(column=name, known=", ".join(sorted(known)))

    def __str__(self) -> str:
        return f"{self.table_name} {self.key}"


def _end_of(field: Any) -> Any:
    """Return the field whose values a link to a parent has."""
    while field.remote_field and field.remote_field.parent_link:
        field = field.target_field
    return field
