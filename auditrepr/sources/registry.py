"""The sources by their names: those that auditrepr knows, and the project's own."""

from __future__ import annotations

from ..conf import get_settings
from ..exceptions import UnknownSource
from .base import Source
from .function import FunctionSource
from .packages.auditlog import Auditlog
from .packages.pghistory import Pghistory
from .packages.simple_history import SimpleHistory
from .tables.logged_actions import LoggedActions
from .tables.supa_audit import SupaAudit

#: Sources that need no setting, by name.
BUILT_IN: dict[str, type[Source]] = {
    source.name: source for source in (Auditlog, LoggedActions, Pghistory, SimpleHistory, SupaAudit)
}


def names() -> list[str]:
    """Return the names of all sources, sorted."""
    return sorted({*BUILT_IN, *get_settings().SOURCES})


def title(name: str) -> str:
    """Return what the makers of the source with this name call it."""
    return (name in BUILT_IN and BUILT_IN[name].title) or name


def find(name: str, *, trial: bool = False) -> Source:
    """Return the source with this name; the project's own come first.

    :param trial: whether what it creates in the database, to be read, must be temporary.
    :raises UnknownSource: if there is none.
    """
    own = get_settings().SOURCES
    if name in own:
        return FunctionSource(name, own[name])
    if name in BUILT_IN:
        source = BUILT_IN[name]()
        source.trial = trial
        return source
    raise UnknownSource(name=name, known=", ".join(names()) or "none")
