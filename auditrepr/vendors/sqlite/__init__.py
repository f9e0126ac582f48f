"""The SQLite vendor; each module implements a part of it."""

from __future__ import annotations

from ..base import Vendor
from .asof import Reconstructing
from .attaching import Attaching
from .capture import Capturing
from .erasing import Erasing
from .imports import Importing
from .partitions import Partitioning
from .seal import Sealing
from .search import Searching
from .store import Storing


class SQLite(
    Capturing,
    Reconstructing,
    Storing,
    Searching,
    Importing,
    Sealing,
    Erasing,
    Partitioning,
    Attaching,
    Vendor,
):
    """All that auditrepr asks of SQLite."""
