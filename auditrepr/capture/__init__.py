"""The triggers that write the log, and how complete it is."""

from __future__ import annotations

from .covered_tables import Standing, audited, covered, note_sightings, remembering, standing
from .inspection import databases, holds_log, inspect
from .state import BROKEN, State, Status
from .triggers import (
    install,
    note_gaps,
    remove,
    script,
)

__all__ = [
    "BROKEN",
    "Standing",
    "State",
    "Status",
    "audited",
    "covered",
    "databases",
    "holds_log",
    "inspect",
    "install",
    "note_gaps",
    "note_sightings",
    "remembering",
    "remove",
    "script",
    "standing",
]
