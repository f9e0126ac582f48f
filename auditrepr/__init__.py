"""A readable audit log for Django, written by database triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .attribution import AuditContextMiddleware, context
from .isolation import past
from .tracking import track

if TYPE_CHECKING:
    from .asof import as_of, doubts
    from .restoration import restore

__version__ = "0.1.0"

__all__ = ["AuditContextMiddleware", "as_of", "context", "doubts", "past", "restore", "track"]


def __getattr__(name: str) -> Any:
    # These need the models; what a models module itself needs is above.
    if name in ("as_of", "doubts"):
        from .asof import api

        return getattr(api, name)
    if name == "restore":
        from .restoration.api import restore

        return restore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
