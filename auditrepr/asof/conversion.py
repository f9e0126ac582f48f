"""Converts what the driver returns as Django's own query does, with the code of the fields.

A field's ``from_db_value`` may send queries: a key that decrypts the value, say. Rows are converted
together, for all events that see them, so such a field has no answer yet: its values stay
:class:`Unread` until an instance is made of the row, for one subject.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, NamedTuple, Protocol

from django.db import Error
from django.db.models import Field, Model

from ..utils.model_meta import key_parts
from ..utils.time_limit import TimeLimit
from ..vendors import Vendor
from ..vendors.types import Row
from .phases import QueryRefused

#: Why the value of a column may have been another one.
READ_WITH_QUERIES = "{} is read with queries"


class ModelRaised(Exception):
    """An exception raised by a model's own code that is unsafe to raise again as it is.

    It is not an error at all, such as SystemExit, or one that Django takes for an empty cache (and
    then reads the current row).
    """

    @classmethod
    def of(cls, error: BaseException) -> Exception:
        """Return the error itself, if it can be raised again anywhere."""
        if isinstance(error, Exception) and not isinstance(error, KeyError):
            return error
        raised = cls(type(error).__qualname__)
        raised.__cause__ = error
        return raised


class Unread(NamedTuple):
    """A value that its field reads with queries: they belong to the subject that needs it."""

    field: Any
    raw: Any  # as the driver returned it
    vendor: Vendor

    def read(self) -> Any:
        """Return the value as the code of its field makes it now."""
        ((value,),) = self.vendor.converted([self.field], [[self.raw]])
        return value


class Watched(Protocol):
    """What is known of code that ran: whether it would have sent a query."""

    @property
    def asked(self) -> bool: ...


class _Unwatched:
    """Stands for code whose queries are sent."""

    asked = False


def unwatched() -> AbstractContextManager[Watched]:
    """Return a watch that never says that a query was sent."""
    return nullcontext(_Unwatched())


class Conversion(NamedTuple):
    """Converts rows.

    :param watched: lets no code inside send a query, and returns whether it would have. Without
        it, queries read current rows.
    """

    vendor: Vendor
    limit: TimeLimit
    watched: Callable[[], AbstractContextManager[Watched]] = unwatched

    def rows(
        self,
        fields: Sequence[Field[Any, Any]],
        rows: Sequence[Any],
        unread: frozenset[int] = frozenset(),
    ) -> Sequence[Any]:
        """Return the values that Django makes of each of these rows, or the error that this raises.

        A field that would send a query has :class:`Unread` values, in each row.

        :param unread: the numbers of fields that are known to send queries.
        """
        others = [n for n in range(len(fields)) if n not in unread]
        with self.watched() as code, suppress(QueryRefused):
            converted = self._some(others, fields, rows)
        if not code.asked:
            return self._with(unread, converted, fields, rows) if unread else converted
        # Whether a field sends one may depend on anything: if none does alone, all may.
        return self.rows(fields, rows, unread.union(self._asking(others, fields, rows) or others))

    def _some(
        self, numbers: Sequence[int], fields: Sequence[Field[Any, Any]], rows: Sequence[Any]
    ) -> Sequence[Any]:
        """Return the converted values of the fields with these numbers only."""
        if not numbers:
            return [[] for _ in rows]
        if len(numbers) < len(fields):
            fields, rows = [fields[n] for n in numbers], [[row[n] for n in numbers] for row in rows]
        return self._together(fields, rows)

    def _together(self, fields: Sequence[Field[Any, Any]], rows: Sequence[Any]) -> Sequence[Any]:
        """Return the rows, all of whose fields convert their values now.

        A field's ``from_db_value`` may raise anything, or hang: then each row gets its own time
        limit.
        """
        try:
            with self.limit.row():
                return list(self.limit.each(self.vendor.converted(fields, rows)))
        except (Error, MemoryError, QueryRefused):
            raise  # a field's own query may have cost the transaction; or the rows are too large
        except BaseException as error:
            if self.limit.ends_work(error):
                raise
            if len(rows) == 1:
                return [ModelRaised.of(error)]
        return [one for row in rows for one in self._together(fields, [row])]

    def _asking(
        self, numbers: Sequence[int], fields: Sequence[Field[Any, Any]], rows: Sequence[Any]
    ) -> list[int]:
        """Return which of the fields with these numbers would send a query."""
        asking = []
        for n in numbers:
            with self.watched() as code, suppress(QueryRefused):
                self._together([fields[n]], [[row[n]] for row in rows])
            if code.asked:
                asking.append(n)
        return asking

    def _with(
        self,
        unread: Collection[int],
        converted: Sequence[Any],
        fields: Sequence[Field[Any, Any]],
        rows: Sequence[Any],
    ) -> Sequence[Any]:
        """Return the converted rows with the unread values of the other fields in their places."""
        for row, values in zip(rows, converted, strict=True):
            for n in sorted(unread) if not isinstance(values, Exception) else ():
                values.insert(n, Unread(fields[n], row[n], self.vendor))
        return converted


def apart(row: Row, model: type[Model]) -> Row:
    """Return the row with its unread values apart from the others; its key is read at once."""
    unread = {name: one for name, one in row.values.items() if isinstance(one, Unread)}
    there = {name: one for name, one in row.values.items() if name not in unread}
    keys = {field.attname for field in key_parts(model._meta.pk)} & unread.keys()
    found = row._replace(values=there, unread=unread)
    return read_now(found, keys) if keys else found


def read_now(row: Row, names: Collection[str]) -> Row:
    """Return the row with these values, read with the queries of the moment that this is called."""
    lossy = [READ_WITH_QUERIES.format(row.unread[name].field.column) for name in sorted(names)]
    return row._replace(
        values=row.values | {name: row.unread[name].read() for name in names},
        lossy=(*row.lossy, *lossy),
        unread={name: one for name, one in row.unread.items() if name not in names},
    )
