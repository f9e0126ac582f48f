"""What stands in for a value that the log does not hold."""

from __future__ import annotations

from typing import Any

from django.db.models import Value
from django.db.models.fields import NOT_PROVIDED


class Unknown:
    """A visible placeholder, whatever ``__str__`` does with it."""

    def __init__(self, column: str) -> None:
        self.column = column

    def __str__(self) -> str:
        return f"[{self.column}: not recorded]"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **options: Any) -> Unknown:
        return self

    def __getitem__(self, key: Any) -> Unknown:
        return self


def placeholder(field: Any, excluded: bool) -> Any:
    """What a column without a value reads as: what the migration that added it wrote, if known.

    :param excluded: whether the column is left out of the log on purpose.
    """
    if excluded or field.generated:
        return Unknown(field.column)
    default = getattr(field, "db_default", NOT_PROVIDED)
    if default is not NOT_PROVIDED:
        return default.value if isinstance(default, Value) else Unknown(field.column)
    if field.has_default():
        return field.get_default()
    return None if field.null else Unknown(field.column)
