"""How the triggers of one table are found: in order, or broken in which way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..vendors.capture_types import Capture, Installed
from . import partitions


class Status(Enum):
    """The state of a table's triggers."""

    OK = "ok"
    OUTDATED = "outdated"
    DISABLED = "disabled"
    MISSING = "missing"
    ABSENT = "absent"  # the table itself is not there (yet)
    UNSUPPORTED = "unsupported"  # a view or a foreign table
    UNGUARDED = "missing on a partition"  # it was made later: TRUNCATE by its name is unrecorded
    LEFTOVER = "left over"  # no longer audited, but still with triggers
    WAITING = "waiting for migrate"  # a pending migration changes it: its triggers must stay


#: The states that install() fixes.
BROKEN = frozenset(
    {Status.MISSING, Status.OUTDATED, Status.DISABLED, Status.UNGUARDED, Status.LEFTOVER}
)


@dataclass(frozen=True)
class State:
    """One table in one database."""

    name: str  # its name in the log
    status: Status
    capture: Capture | None = None  # what its triggers should be made from
    installed: Installed | None = None  # the triggers that it has

    @property
    def waits(self) -> bool:
        """Return whether its triggers must stay until a pending migration is applied."""
        return self.status is Status.WAITING

    @property
    def captured(self) -> bool:
        """Return whether every change to the table is recorded now."""
        if self.installed and (
            partitions.unrecorded(self.installed) or partitions.emptied(self.installed)
        ):
            return False
        working = self.status in (Status.OK, Status.OUTDATED, Status.UNGUARDED)
        return working or (self.waits and self.capture is not None)
