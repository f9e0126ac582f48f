"""What histories of children say of the rows of their parents, as SQL about a row ``event``.

A child may be added to a parent that exists, and may be deleted without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Model

from ...utils.model_meta import key_parts
from ...utils.table_names import log_name
from ...vendors import get_vendor
from ...vendors.types import LAST_IMPORTED
from ..quoting import text
from .sql import column

_NEAREST = """
(SELECT told.kind FROM ({rows}) AS told
    ORDER BY told.moment {direction}, told.kind {direction} LIMIT 1)
"""
_ROWS = """
SELECT other.history_type AS kind, other.history_date AS moment FROM {history} AS other
WHERE other.history_date {compared} event.history_date
    AND other.history_type IN ({kinds}) AND {same}
"""
# The first event in our own log shows it, if there is one: since then, the table has changed.
_STAYED = """
coalesce((SELECT own.action <> 'I' FROM auditrepr_auditlog AS own
    WHERE own.table_name = {name} AND own.object_id = {key} AND own.id > {last}
    ORDER BY own.id LIMIT 1),
    EXISTS (SELECT 1 FROM {table} AS parent WHERE {same}))
"""


class Told(NamedTuple):
    """A history that says whether rows of a parent are there."""

    history: Any
    key: Sequence[Any]  # the fields of the history that have the parent's key
    ends: bool  # whether its deletions are the parent's, too


def existed(using: str, key: Sequence[Any], told: Sequence[Told]) -> str:
    """Return SQL for whether the parent was there before the event.

    :param key: the fields of the event that have its key.
    """
    return f"coalesce({_nearest(using, key, told, '<')} <> '-', false)"


def ended(using: str, model: type[Model], key: Sequence[Any], told: Sequence[Told]) -> str:
    """Return SQL for whether the parent was deleted together with its child, as far as is known.

    Then it was added again, or was not there when our own log began.

    :param model: the parent.
    :param key: likewise.
    """
    vendor, table = get_vendor(using), model._meta.db_table
    stayed = _STAYED.format(
        name=text(log_name(table)),
        key=vendor.key_text([column(using, "event", field) for field in key]),
        last=LAST_IMPORTED,
        table=connections[using].ops.quote_name(table),
        same=_same(using, "parent", key_parts(model._meta.pk), key),
    )
    later = _nearest(using, key, told, ">")
    return f"coalesce({later} = '+', NOT {stayed})"


def _nearest(using: str, key: Sequence[Any], told: Sequence[Told], compared: str) -> str:
    """Return SQL for what is recorded right before the event, or after it."""
    rows = " UNION ALL ".join(
        _ROWS.format(
            history=connections[using].ops.quote_name(one.history._meta.db_table),
            same=_same(using, "other", one.key, key),
            kinds="'+', '~', '-'" if one.ends else "'+', '~'",
            compared=compared,
        )
        for one in told
    )
    return _NEAREST.format(rows=rows, direction="DESC" if compared == "<" else "ASC")


def _same(using: str, row: str, fields: Sequence[Any], key: Sequence[Any]) -> str:
    return " AND ".join(
        f"{column(using, row, field)} = {column(using, 'event', other)}"
        for field, other in zip(fields, key, strict=True)
    )
