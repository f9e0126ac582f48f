"""PostgreSQL's part of erasing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import IRegex

from ..base import ErasingFacet
from . import catalog, trigger_templates

REPLACE = """
UPDATE auditrepr_auditlog
SET row_data = row_data || %s::jsonb, changed_from = changed_from || %s::jsonb WHERE id = %s
"""


#: Expressions in one condition; with more, each row is checked in Python.
MOST = 300


class Erasing(ErasingFacet):
    """Erases values of the log."""

    def guards_outdated(self) -> bool:
        return bool(self.value(catalog.GUARDS_OUTDATED, [trigger_templates.APPEND_ONLY_BODY]))

    def naming(self, columns: Sequence[str], patterns: Sequence[str]) -> Q:
        if len(columns) * len(patterns) > MOST:
            return Q()
        matches = (
            Q(IRegex(Cast(column, TextField()), pattern))
            for column in columns
            for pattern in patterns
        )
        return reduce(or_, matches, ~Q())

    def replace_values(
        self, event: int, row: Collection[str], old: Collection[str], digest: Any
    ) -> None:
        parts = (json.dumps(dict.fromkeys(columns, digest)) for columns in (row, old))
        with self.connection.cursor() as cursor:
            cursor.execute(REPLACE, [*parts, event])

    def tidy_search(self) -> None:
        """Do nothing: VACUUM does it."""
