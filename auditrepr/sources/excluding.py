"""What never comes from another log into ours."""

from __future__ import annotations

from ..lineage import recent_renames
from ..tracking import tracked_tables


def excluded_columns(using: str) -> dict[str, list[str]]:
    """Return the excluded columns of each table, all under all their names."""
    renames = recent_renames(using)
    found: dict[str, list[str]] = {}
    for table in tracked_tables(using):
        lineage = renames.lineage(table.name)
        columns = [name for one in sorted(table.excluded) for name in lineage.columns(one)]
        if columns:
            found |= {name.name: columns for name in lineage.names}
    return found
