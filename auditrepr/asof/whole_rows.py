"""Rows by key as of a moment, with the columns that multi-table inheritance keeps elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from ..utils.model_meta import key_parts, own_fields, parent_links
from ..vendors.types import NOT_RECORDED, Found, Row
from .history import History
from .lookups import Lookup, Subject
from .placeholders import Unknown


class WholeRows:
    """The rows of models, of which each may be kept in the tables of several.

    :param history: reads the rows of one table.
    """

    def __init__(self, history: History) -> None:
        self.history = history

    def find(self, model: type[Model], lookups: Sequence[Lookup]) -> list[Found]:
        """Return the rows with these primary keys in the model's own table."""
        known = [lookup for lookup in lookups if not isinstance(lookup.key, Unknown)]
        wanted = [(lookup.subject.moment, lookup.key) for lookup in known]
        rows = iter(self.history.rows(model, wanted))
        return [
            Found(None, lookup.doubts)
            if isinstance(lookup.key, Unknown)
            else _doubted(_keyed(next(rows), model, lookup.key), lookup)
            for lookup in lookups
        ]

    def whole(
        self, model: type[Model], subjects: Sequence[Subject], found: Sequence[Found]
    ) -> Sequence[Found]:
        """Return the rows with the columns that multi-table inheritance keeps in other tables."""
        for parent, link in parent_links(model).items():
            found = self._joined(parent, link.attname, subjects, found)
        return found

    def _joined(
        self,
        parent: type[Model],
        link: str,
        subjects: Sequence[Subject],
        found: Sequence[Found],
    ) -> list[Found]:
        there = [(i, one.row) for i, one in enumerate(found) if isinstance(one.row, Row)]
        owners = [subjects[i] for i, _ in there]
        lookups = [Lookup(subjects[i], row.values.get(link, Unknown(link))) for i, row in there]
        parts = self.whole(parent, owners, [ended(one) for one in self.find(parent, lookups)])
        joined = list(found)
        for (i, row), part in zip(there, parts, strict=True):
            joined[i] = Found(
                _joined(parent, row, part),
                found[i].doubts + part.doubts,
                inherited=(*found[i].inherited, part.inserted, *part.inherited),
            )
        return joined


def _joined(parent: type[Model], row: Row, part: Found) -> Row | Exception:
    if isinstance(part.row, Exception):
        return part.row
    columns = {field.column: NOT_RECORDED for field in own_fields(parent)}
    inherited = part.row or Row({}, columns)
    lossy = inherited.lossy + row.lossy
    missing, unread = {**inherited.missing, **row.missing}, {**inherited.unread, **row.unread}
    return Row(inherited.values | row.values, missing, lossy, unread)


def _keyed(found: Found, model: type[Model], key: Any) -> Found:
    """Return the row with the key that it was found by: Django's deferred values need it."""
    name, row = model._meta.pk.attname, found.row
    if (
        not isinstance(row, Row)
        or row.values
        or not row.missing
        or len(key_parts(model._meta.pk)) > 1
    ):
        return found
    return found._replace(row=row._replace(values={name: key}))


def unless_gone(found: Found) -> Found:
    """Return the row, or none if it was deleted by then."""
    return Found(None, found.doubts) if found.gone else found


def ended(found: Found) -> Found:
    """Return the last state of a row that was deleted by then, with the reason."""
    return found._replace(doubts=(*found.doubts, found.gone)) if found.gone else found


def _doubted(found: Found, lookup: Lookup) -> Found:
    return found._replace(doubts=lookup.doubts + found.doubts) if lookup.doubts else found
