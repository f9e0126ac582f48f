"""The context of events: who writes, and why, as the application says."""

from __future__ import annotations

from .context import context
from .middleware import AuditContextMiddleware

__all__ = ["AuditContextMiddleware", "context"]
