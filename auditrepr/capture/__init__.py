"""The triggers that write the log, and how complete it is."""

from __future__ import annotations

from .state import BROKEN, State, Status
from .triggers import (
    covered,
    covered_since,
    databases,
    holds_log,
    inspect,
    install,
    note_gaps,
    remove,
    script,
)

__all__ = [
    "BROKEN",
    "State",
    "Status",
    "covered",
    "covered_since",
    "databases",
    "holds_log",
    "inspect",
    "install",
    "note_gaps",
    "remove",
    "script",
]
