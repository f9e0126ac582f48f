"""SQLite: each module is one side of it."""

from __future__ import annotations

from .asof import Rebuilding
from .capture import Capturing
from .search import Searching
from .store import Storing


class SQLite(Capturing, Rebuilding, Storing, Searching):
    """All that auditrepr asks of SQLite."""
