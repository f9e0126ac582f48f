"""The triggers that write the log, and how complete it is."""

from __future__ import annotations

from .inspection import databases, holds_log, inspect
from .state import BROKEN, State, Status
from .triggers import (
    covered,
    install,
    note_gaps,
    remove,
    script,
    standing,
)

__all__ = [
    "BROKEN",
    "State",
    "Status",
    "covered",
    "databases",
    "holds_log",
    "inspect",
    "install",
    "note_gaps",
    "remove",
    "script",
    "standing",
]
