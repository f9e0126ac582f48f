"""SQLite's part of attaching: it refuses. Other logs in one table are logs of PostgreSQL."""

from __future__ import annotations

from typing import NoReturn

from ...exceptions import NotAttachable
from ..attach_types import Attachment, Keys, LogView, ViewFacts
from ..base import AttachFacet


class Attaching(AttachFacet):
    """Never attached."""

    attachable = False

    def attachment(self) -> Attachment | None:
        return None

    def schemas(self) -> list[str]:
        return []

    def attach(self, source: str, view: LogView, keys: Keys, version: int = 1) -> None:
        self._refuse()

    def view_digest(self, view: LogView, keys: Keys, version: int) -> str:
        self._refuse()

    def create_keys(self, keys: Keys, version: int) -> None:
        self._refuse()

    def view_facts(self, version: int) -> ViewFacts:
        self._refuse()

    def refused_reader(self) -> str | None:
        self._refuse()

    def last_id_given(self) -> int | None:
        self._refuse()

    def stop_writers(self) -> None:
        self._refuse()

    def set_view_aside(self) -> None:
        self._refuse()

    def detach(self) -> list[str]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotAttachable(source="", reason="only a log in PostgreSQL can be attached to")
