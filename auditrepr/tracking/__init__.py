"""Which tables are audited."""

from __future__ import annotations

from .decorator import track
from .registry import TrackedTable, tracked_tables

__all__ = ["TrackedTable", "track", "tracked_tables"]
