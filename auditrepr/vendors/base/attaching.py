"""The attach facet: another log's table, read in place of the log's own."""

from __future__ import annotations

from ...exceptions import NotAttachable
from ..attach_types import Attachment, Keys, LogView, ViewFacts
from .facet import Facet


class AttachFacet(Facet):
    """Attaches the log to another one. A database that cannot do it keeps these answers."""

    def attachment(self) -> Attachment | None:
        """Return to what the log is attached; None if it is our own. One query."""
        return None

    def schemas(self) -> list[str]:
        """Return the schemas whose tables are known by their names alone."""
        return []

    def attach(self, source: str, view: LogView, keys: Keys, version: int = 1) -> None:
        """Put a view of the other log in the place of the log, inside a transaction."""
        raise NotAttachable(source=source, reason="only PostgreSQL can attach a log")

    def view_digest(self, view: LogView, keys: Keys, version: int) -> str:
        """Return what differs after any change of the view: :attr:`Attachment.digest`."""
        raise NotImplementedError

    def create_keys(self, keys: Keys, version: int) -> None:
        """Create the functions that the indexes need; the same ones are left as they are."""
        raise NotImplementedError

    def view_facts(self, version: int) -> ViewFacts:
        """Return what the view that is in place reads, inside a transaction."""
        raise NotImplementedError

    def stop_writers(self) -> None:
        """Let nobody write to the other log until the transaction ends."""
        raise NotImplementedError

    def step_aside(self) -> None:
        """Put the log's own table in the place of the view, for a change of it."""
        raise NotImplementedError

    def detach(self) -> list[str]:
        """Put the log's own table back for good, inside a transaction.

        :returns: functions that stay, because indexes of the other log call them.
        """
        raise NotImplementedError
