"""Keeps the triggers working across one change of the schema.

SQLite's triggers are part of the schema: a table that is rebuilt loses them, and a trigger that
names a dropped column makes other changes fail. PostgreSQL's stay in place, but may be outdated
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..models import AuditLog
from ..tracking import TrackedTable, tracked_tables
from ..utils.table_names import log_name
from ..vendors import Vendor
from ..vendors.capture_types import Capture, Kind, TableShape
from . import coverage

LOG = log_name(AuditLog._meta.db_table)


class SchemaChange:
    """One change of the schema, from the removal of the triggers until they are back."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        # Do not fix triggers that are broken already: that would hide a gap in coverage.
        self.before = self.vendor.installed()
        self.excluded = {name: set(i.excluded) for name, i in self.before.items() if i.fires}
        self.db_tables: dict[str, str] = {}
        self.renamed: list[tuple[str, str]] = []
        self.renamed_columns: list[tuple[str, str, str]] = []
        if self.vendor.triggers_block_schema_changes:
            self._remove(self.before)

    def rename_table(self, old: str, new: str) -> None:
        """Move the triggers of this table, as in ``db_table``, to the new name."""
        if log_name(old) in self.excluded and old != new:
            self.excluded[log_name(new)] = self.excluded.pop(log_name(old))
            self.db_tables[log_name(new)] = new
            self.renamed.append((log_name(old), log_name(new)))

    def rename_column(self, db_table: str, old: str, new: str) -> None:
        """Keep an excluded column excluded, and a known column known, under the new name."""
        if old != new:
            self.renamed_columns.append((log_name(db_table), old, new))
        columns = self.excluded.get(log_name(db_table), set())
        if old in columns:
            columns.add(new)

    def end(self) -> None:
        """Install the triggers that fit now on every table that had some."""
        names = [LOG, coverage.TABLE, *self.excluded]
        shapes = self.vendor.shapes(names) if self.excluded else {}
        if LOG not in shapes:
            self._remove(self.before)
            self.vendor.execute(self.vendor.remove_support_sql() if self.before else [])
            return
        tracked = {table.name: table for table in tracked_tables(self.vendor.using)}
        captures = [
            self._capture(name, shapes[name], tracked.get(name))
            for name in self.excluded
            if name in shapes and shapes[name].kind in (Kind.TABLE, Kind.PARTITIONED)
        ]
        self._remove(self.before.keys() - shapes.keys())
        using = self.vendor.using
        if coverage.TABLE in shapes:
            coverage.end(using, coverage.replaced(self.before, coverage.rows(using)))
        installed = self._install(captures)
        if coverage.TABLE in shapes:
            self.vendor.execute(self.vendor.seal_sql() if installed else [])
            now, new_names = self.vendor.installed(), dict(self.renamed)
            before = {new_names.get(name, name): one for name, one in self.before.items()}
            # No write came between: what captured the old name captures the new one.
            coverage.rename(using, self.renamed)
            coverage.rename_columns(using, self.renamed_columns)
            coverage.note_columns(using, shapes)
            coverage.end(using, coverage.repartitioned(before, now))
            coverage.note_triggers(using, now)

    def _capture(self, name: str, shape: TableShape, tracked: TrackedTable | None) -> Capture:
        columns = {column.name for column in shape.columns}
        excluded, key = self.excluded[name], shape.key_columns
        if tracked:
            excluded = excluded | tracked.excluded
            # Between two migrations the model's key may not exist yet, or no longer.
            key = tracked.key_columns if columns.issuperset(tracked.key_columns) else key
        db_table = tracked.db_table if tracked else name.replace(".", '"."', 1)
        db_table = self.db_tables.get(name, db_table)
        return Capture(name, db_table, shape, key, frozenset((excluded & columns) - set(key)))

    def _install(self, captures: Sequence[Capture]) -> bool:
        """Install outdated triggers, and return whether there were any."""
        now = self.vendor.installed()
        made_from = zip(captures, self.vendor.fingerprints(*captures), strict=True)
        outdated = [
            capture
            for capture, fingerprint in made_from
            if capture.name not in now or now[capture.name].fingerprint != fingerprint
        ]
        if outdated:
            self.vendor.execute(self.vendor.support_sql())
            self.vendor.execute(self.vendor.install_sql(*outdated))
        return bool(outdated)

    def _remove(self, names: Iterable[str]) -> None:
        self.vendor.execute(self.vendor.remove_sql(*sorted(names)))
