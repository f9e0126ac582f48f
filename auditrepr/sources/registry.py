"""The sources by their names: those that auditrepr knows, and the project's own."""

from __future__ import annotations

from ..conf import get_settings
from ..exceptions import UnknownSource
from .base import Source
from .function import FunctionSource
from .logged_actions import LoggedActions
from .pghistory import Pghistory
from .supa_audit import SupaAudit

#: Sources that need no setting, by name.
BUILT_IN: dict[str, type[Source]] = {
    source.name: source for source in (Pghistory, SupaAudit, LoggedActions)
}


def names() -> list[str]:
    """Return the names of all sources, sorted."""
    return sorted({*BUILT_IN, *get_settings().SOURCES})


def find(name: str) -> Source:
    """Return the source with this name; the project's own come first.

    :raises UnknownSource: if there is none.
    """
    own = get_settings().SOURCES
    if name in own:
        return FunctionSource(name, own[name])
    if name in BUILT_IN:
        return BUILT_IN[name]()
    raise UnknownSource(name=name, known=", ".join(names()) or "none")
