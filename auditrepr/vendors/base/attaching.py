"""The attach facet: another log's table, read in place of the log's own."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..attach_types import Attachment, Keys, LogView, ViewFacts
from .facet import Facet


class AttachFacet(Facet, ABC):
    """Attaches the log to another one. What changes anything is called inside a transaction."""

    # Whether the log can be attached to another one; if not, only `attachment` is called.
    attachable: bool

    @abstractmethod
    def attachment(self) -> Attachment | None:
        """Return to what the log is attached; None if it is our own. One query."""

    @abstractmethod
    def schemas(self) -> list[str]:
        """Return the schemas whose tables are known by their names alone."""

    @abstractmethod
    def attach(self, source: str, view: LogView, keys: Keys, version: int = 1) -> None:
        """Put a view of the other log in the place of the log, or of the view that is there."""

    @abstractmethod
    def view_digest(self, view: LogView, keys: Keys, version: int) -> str:
        """Return what differs after any change of the view: :attr:`Attachment.digest`."""

    @abstractmethod
    def create_keys(self, keys: Keys, version: int) -> None:
        """Create the functions that the indexes need; the same ones are left as they are."""

    @abstractmethod
    def view_facts(self, version: int) -> ViewFacts:
        """Return what the view that is in place reads."""

    @abstractmethod
    def refused_reader(self) -> str | None:
        """Return the role with whose rights the view reads the other log, if it may not."""

    @abstractmethod
    def last_id_given(self) -> int | None:
        """Return the last ID that the other log has given; None if this role may not know."""

    @abstractmethod
    def stop_writers(self) -> None:
        """Let no other transaction write to the other log until this one ends."""

    @abstractmethod
    def set_view_aside(self) -> None:
        """Put the log's own table in the place of the view, for a change of it."""

    @abstractmethod
    def detach(self) -> list[str]:
        """Put the log's own table in the place of the view for good.

        :returns: functions that stay, because indexes of the other log call them.
        """
