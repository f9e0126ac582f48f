"""How the triggers of one table are found: in order, or broken in which way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..vendors.types import Capture, Installed


class Status(Enum):
    """How a table and its triggers stand."""

    OK = "ok"
    OUTDATED = "outdated"
    DISABLED = "disabled"
    MISSING = "missing"
    ABSENT = "absent"  # the table itself is not there (yet)
    UNSUPPORTED = "unsupported"  # a view or a foreign table
    LEFTOVER = "left over"  # no longer tracked, it still has triggers
    WAITING = "waiting for migrate"  # a pending migration changes it: its triggers must stay


#: What install() mends.
BROKEN = frozenset({Status.MISSING, Status.OUTDATED, Status.DISABLED, Status.LEFTOVER})


@dataclass(frozen=True)
class State:
    """One table in one database."""

    name: str  # as the log names it
    status: Status
    capture: Capture | None = None  # what its triggers ought to be made from
    installed: Installed | None = None  # those that it has

    @property
    def waits(self) -> bool:
        """Must its triggers stay as they are until a pending migration is applied?"""
        return self.status is Status.WAITING

    @property
    def captured(self) -> bool:
        """Does every change to it reach the log now?"""
        working = self.status in (Status.OK, Status.OUTDATED)
        return working or (self.waits and self.capture is not None)
