"""The PostgreSQL vendor; each module implements a part of it."""

from __future__ import annotations

from .asof import Rebuilding
from .capture import Capturing
from .search import Searching
from .store import Storing


class PostgreSQL(Capturing, Rebuilding, Storing, Searching):
    """Everything that auditrepr needs from PostgreSQL."""
