"""SQLite's part of erasing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Q

from ..base import ErasingFacet
from ..sought import Sought
from . import naming
from .search import FTS, VALUES

# A patch would mix the digest with the object that a blob is: the column goes first.
REPLACE = """
UPDATE auditrepr_auditlog
SET row_data = json_patch(json_patch(row_data, %s), %s),
    changed_from = json_patch(json_patch(changed_from, %s), %s)
WHERE id = %s
"""
SEARCHED = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN (%s, %s)"


class Erasing(ErasingFacet):
    """Erases values of the log."""

    def guards_outdated(self) -> bool:
        return False  # whatever is there is dropped, and created again

    def naming(self, columns: Sequence[str], sought: Sought) -> Q:
        return Q(naming.Names(columns, sought)) if sought else Q(pk__in=())

    def replace_values(
        self, event: int, row: Collection[str], old: Collection[str], digest: Any
    ) -> None:
        patches = [
            json.dumps(dict.fromkeys(columns, value))
            for columns in (row, old)
            for value in (None, digest)
        ]
        with self.connection.cursor() as cursor:
            cursor.execute(REPLACE, [*patches, event])

    def tidy_search(self) -> None:
        # What is deleted stays in a part of the index until this part is merged with others.
        names = self.column(SEARCHED, [FTS, VALUES])
        self.execute(f"INSERT INTO {name} ({name}) VALUES ('optimize')" for name in names)
