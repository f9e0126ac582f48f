"""Finds the rows that make up one object, in all tables of its model, and their keys.

With multi-table inheritance an object has a row in each table. They have the same key as long as
the link to the parent is the child's primary key; if it is not, the links say which rows belong
together: those in the log, and those of the current rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from ....asof.asked import checked_key, key_of
from ....asof.former import children
from ....lineage import get_renames
from ....models import AuditLog
from ....utils.model_meta import key_parts, parent_links
from ....utils.table_names import log_name
from ....vendors import get_vendor
from ....vendors.types import erased_on


class Part(NamedTuple):
    """One table that holds rows of the object."""

    table: str  # its current name
    key: str  # as the log has it, the latest one
    model: type[Model]


class Family:
    """The tables of a model in one database, and what their events say of keys."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.log = AuditLog.objects.using(using)
        self.renames = get_renames(using)

    def parts(self, model: type[Model], key: str) -> list[Part]:
        """Return the object's rows: its own, those of its parents, and those of its children."""
        found = {self._part(model, key): None}
        for step in (self._parents, self._children):
            left = [next(iter(found))]
            while left:
                new = [part for part in step(left.pop()) if part not in found]
                found |= dict.fromkeys(new)
                left += new
        return list(found)

    def events(self, part: Part) -> QuerySet[AuditLog]:
        """Return the events of a part."""
        return self.log.filter(reduce(or_, self.conditions(part)))

    def conditions(self, part: Part) -> Iterator[Q]:
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

    def latest(self, table: str, key: str) -> str:
        """Return the key that a row of this table had last, by one that it had before."""
        log = self.log.filter(self.renames.lineage(table).events()).order_by("-pk")
        seen = {key}
        while (moved := log.filter(previous_object_id=key).first()) is not None:
            taken = log.filter(object_id=key, pk__gt=moved.pk)  # by another object
            if not moved.object_id or moved.object_id in seen or taken.exists():
                break
            key = moved.object_id
            seen.add(key)
        return key

    def current(self, part: Part) -> Any:
        """Return the current row of a part, as a query; of a key that cannot exist there is none.

        It reads the part's own model, whatever the model's manager hides.
        """
        rows: Any = QuerySet(part.model, using=self.using)
        found = self._key(part)
        return rows.none() if found is None else rows.filter(pk=found)

    def _key(self, part: Part) -> Any:
        """Return the key as its field has it; None if no row can have it now."""
        several = len(key_parts(part.model._meta.pk)) > 1
        try:
            key = json.loads(part.key) if several else part.key
            return checked_key(part.model, key, self.using)
        except (ValidationError, ValueError, TypeError):
            return None

    def _part(self, model: type[Model], key: str) -> Part:
        table = log_name(model._meta.db_table)
        return Part(table, self.latest(table, key), model)

    def _parents(self, part: Part) -> Iterator[Part]:
        for parent, link in parent_links(part.model).items():
            keys = {part.key} if link.primary_key else self._keys_of_parents(part, parent, link)
            for key in sorted(keys):
                yield self._part(parent, key)

    def _children(self, part: Part) -> Iterator[Part]:
        for child in children(part.model):
            link = parent_links(child)[part.model]
            keys = {part.key} if link.primary_key else self._keys_of_children(part, child, link)
            for key in sorted(keys):
                yield self._part(child, key)

    def _keys_of_parents(self, part: Part, parent: type[Model], link: Any) -> set[str]:
        """Return the keys that the link of a child has, or had."""
        found = set(self.current(part).values_list(link.attname, flat=True))
        for event in self.events(part).iterator():
            columns = [name for name, own in self.renames.fields(event).items() if own == link]
            rows = (event.row_data or {}, event.changed_from or {})
            found |= {row[name] for row in rows for name in columns if name in row}
        left = (value for value in found if value is not None and erased_on(value) is None)
        return {self._text(parent, value) for value in left}

    def _keys_of_children(self, part: Part, child: type[Model], link: Any) -> set[str]:
        """Return the keys of the children whose link has, or had, the key of their parent."""
        key = self._key(part)
        found: set[str | None] = set()
        if key is not None:
            rows: Any = QuerySet(child, using=self.using).filter(**{link.attname: key})
            found = {self._text(child, pk) for pk in rows.values_list("pk", flat=True)}
        lineage = self.renames.lineage(log_name(child._meta.db_table))
        log = self.log.filter(lineage.events())
        for column in lineage.columns(link.column):
            for row in ("row_data", "changed_from"):
                linked = Cast(KeyTextTransform(column, row), TextField())
                events = log.annotate(linked=linked).filter(linked=part.key)
                found |= set(events.values_list("object_id", flat=True))
        return {key for key in found if key}

    def _text(self, model: type[Model], value: Any) -> str:
        """Return a key as the log writes it."""
        try:
            [text] = get_vendor(self.using).key_texts(model._meta.pk, [key_of(model, value)])
        except (ValidationError, ValueError, TypeError):
            return str(value)
        return text
