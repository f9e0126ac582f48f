"""The loader of an instance that the log knows incompletely: unknown columns get placeholders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from django.db.models import Model

from .attributes import Hidden
from .lookups import AsOfReader, Subject
from .placeholders import unknown


class Loader(Hidden):
    """A ``refresh_from_db`` that fills an attribute without a value with a placeholder.

    Django calls it for such an attribute: the current row must not provide the value.

    :param missing: why columns have no known value, by column.
    """

    def __init__(
        self, instance: Model, subject: Subject, missing: Mapping[str, str], reader: AsOfReader
    ) -> None:
        self.instance = instance
        self.subject = subject
        self.missing = missing
        self.reader = reader

    @property
    def names(self) -> list[str]:
        """The attnames of all fields, in their order."""
        return [field.attname for field in type(self.instance)._meta.concrete_fields]

    def __call__(
        self, using: str | None = None, fields: Iterable[str] | None = None, **options: Any
    ) -> None:
        """Fill the fields without a value; read those that have one as of the moment."""
        wanted = list(fields or ())
        self.fill(name for name in wanted if name in self.without_value)
        known = [name for name in wanted if name not in self.without_value]
        if known or not wanted:
            refresh = type(self.instance).refresh_from_db
            with self.reader.asking(self.subject):
                refresh(self.instance, using=using, fields=known or None, **options)

    @cached_property
    def without_value(self) -> dict[str, Any]:
        """The fields whose columns have no known value, by each of their names."""
        fields = type(self.instance)._meta.concrete_fields
        unvalued = [field for field in fields if field.column in self.missing]
        return {name: field for field in unvalued for name in (field.name, field.attname)}

    def lacks(self, name: Any) -> bool:
        """Return whether this is the attname of a field that has no value yet."""
        field = self.without_value.get(name)
        return (
            field is not None
            and field.attname == name
            and not dict.__contains__(self.instance.__dict__, name)
        )

    def fill(self, names: Iterable[str]) -> None:
        """Give the fields with these names placeholders."""
        for field in (self.without_value[name] for name in names):
            why = self.missing[field.column]
            self.instance.__dict__[field.attname] = self.reader.placeholder(field, why)
            self.subject.note(unknown(field.column, why))

    def __deepcopy__(self, memo: dict[int, Any]) -> Loader:
        """Return the loader of the copy that is being made of the instance."""
        copied = memo.get(id(self.instance), self.instance)
        return Loader(copied, self.subject, self.missing, self.reader)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave behind what reads the log: the copy has the method of its class."""
        return getattr, (self.instance, "refresh_from_db")
