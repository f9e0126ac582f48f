"""PostgreSQL's part of erasing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Q

from ..base import ErasingFacet
from ..sought import Sought
from . import catalog, naming, trigger_templates

REPLACE = """
UPDATE auditrepr_auditlog
SET row_data = row_data || %s::jsonb, changed_from = changed_from || %s::jsonb WHERE id = %s
"""


class Erasing(ErasingFacet):
    """Erases values of the log."""

    def guards_outdated(self) -> bool:
        return bool(self.value(catalog.GUARDS_OUTDATED, [trigger_templates.APPEND_ONLY_BODY]))

    def naming(self, columns: Sequence[str], sought: Sought) -> Q:
        if len(sought.stretches) > naming.MOST:
            return Q()
        return Q(naming.Names(columns, sought)) if sought else Q(pk__in=())

    def replace_values(
        self, event: int, row: Collection[str], old: Collection[str], digest: Any
    ) -> None:
        parts = (json.dumps(dict.fromkeys(columns, digest)) for columns in (row, old))
        with self.connection.cursor() as cursor:
            cursor.execute(REPLACE, [*parts, event])

    def tidy_search(self) -> None:
        """Do nothing: VACUUM does it."""
