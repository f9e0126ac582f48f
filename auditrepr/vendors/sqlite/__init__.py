"""The SQLite vendor; each module implements a part of it."""

from __future__ import annotations

from .asof import Rebuilding
from .capture import Capturing
from .search import Searching
from .store import Storing


class SQLite(Capturing, Rebuilding, Storing, Searching):
    """Everything that auditrepr needs from SQLite."""
