"""The round of a rebuild, which is in the way of one of ``backfill_reprs``."""

from __future__ import annotations

import logging

from ..locks.process import Process
from . import shares, workers

logger = logging.getLogger("auditrepr.rounds")

MADE_ROOM = (
    "%s: No process worked on the round of rebuild_reprs, so it made room for one of"
    " backfill_reprs. To continue the rebuild: manage.py rebuild_reprs --resume"
)


class Obstacle:
    """The round of a rebuild, as a run of ``backfill_reprs`` sees it under the run's lock."""

    def __init__(self, using: str) -> None:
        self.using = using
        self._stays = False

    def workers(self) -> list[Process]:
        """Return the processes that work on it."""
        return workers.at_work(self.using, shares.REBUILD)

    def make_room(self, *, rescan: bool) -> bool:
        """Void it if no process works on it and the backlog needs a round; return whether it was.

        The rebuild keeps its cursor, so that it can be continued.
        """
        self._stays = False
        if not shares.exist(self.using, shares.REBUILD):
            return False
        if not shares.is_large(self.using, rescan=rescan):
            return False
        self._stays = bool(self.workers())
        if self._stays:
            return False
        shares.void(self.using, shares.REBUILD)
        logger.info(MADE_ROOM, self.using, extra={"database": self.using})
        return True

    def has_gone(self) -> bool:
        """Return whether it prevented a round, and no process works on it now."""
        return self._stays and not self.workers()
