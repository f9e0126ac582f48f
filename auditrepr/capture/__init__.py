"""The triggers that write the log, and how complete it is."""

from __future__ import annotations

from .state import BROKEN, State, Status
from .triggers import (
    covered,
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
    "databases",
    "holds_log",
    "inspect",
    "install",
    "note_gaps",
    "remove",
    "script",
]
