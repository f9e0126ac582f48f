"""A log of the project's own, which a function of the project selects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.utils.module_loading import import_string

from ..exceptions import AuditReprError, SourceUnreadable
from ..utils.text import one_line
from .base import Facts, Order, Part, Source


class FunctionSource(Source):
    """The SELECT that a function returns: it takes the alias of the database.

    :param way: the function, or its dotted path.
    """

    # Whether each row is whole shows in the row; of the rest, nothing is concluded.
    facts = Facts(Order.WHOLE, deletes=True, before_images=True, whole_rows=True)

    def __init__(self, name: str, way: str | Callable[[str], str]) -> None:
        self.name = name
        self.way = way

    def parts(self, using: str, tables: Collection[str] | None = None) -> list[Part]:
        select = self._asked(using)
        if not isinstance(select, str) or not select.strip():
            raise SourceUnreadable(
                source=self.name, reason=f"it must return a SELECT as text, not {select!r}"
            )
        return [Part("", select.strip().rstrip(";"))]

    def _asked(self, using: str) -> Any:
        try:
            way = import_string(self.way) if isinstance(self.way, str) else self.way
            return way(using)
        except AuditReprError:
            raise
        except Exception as error:  # whatever the project's code raises
            raise SourceUnreadable(source=self.name, reason=one_line(error)) from error
