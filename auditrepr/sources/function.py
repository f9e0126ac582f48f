"""A log of the project's own, which a function of the project selects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.db import transaction
from django.utils.module_loading import import_string

from ..exceptions import AuditReprError, NotAttachable, SourceUnreadable
from ..utils.text import one_line
from ..vendors import get_vendor
from ..vendors.attach_types import LogView
from .base import Facts, Order, Part, Source
from .contract import REQUIRED, check_columns

#: The columns of a view, from those of the SELECT.
COLUMNS = {
    "id": "event.position",
    "table_name": "event.table_name::text",
    "object_id": "event.object_id::text",
    "previous_object_id": "event.previous_object_id::text",
    "action": "event.action::varchar(1)",
    "row_data": "event.row_data::jsonb",
    "changed_from": "event.changed_from::jsonb",
    "context": "event.context::jsonb",
    "occurred_at": "event.occurred_at",
}
#: Those that every SELECT has.
REQUIRED_HERE = ("id", *REQUIRED)


class FunctionSource(Source):
    """The SELECT that a function returns: it takes the alias of the database.

    :param way: the function, or its dotted path.
    """

    # Whether each row is whole shows in the row; of the rest, nothing is concluded.
    facts = Facts(Order.WHOLE, deletes=True, before_images=True, whole_rows=True)
    says_keys = True

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

    def view(self, using: str, known: Any = None) -> LogView:
        (part,) = self.parts(using)
        with transaction.atomic(using):
            has = check_columns(self.name, get_vendor(using).source_columns(part.select))
        if "text" in has:
            reason = "what it says itself of an object (text) is only read by an import"
            raise NotAttachable(source=self.name, reason=reason)
        return LogView(
            f"({part.select}\n) AS event",
            {ours: sql for ours, sql in COLUMNS.items() if ours in {*REQUIRED_HERE, *has}},
        )

    def _asked(self, using: str) -> Any:
        try:
            way = import_string(self.way) if isinstance(self.way, str) else self.way
            return way(using)
        except AuditReprError:
            raise
        except Exception as error:  # whatever the project's code raises
            reason = f"{type(error).__name__}: {one_line(error)}"
            raise SourceUnreadable(source=self.name, reason=reason) from error
