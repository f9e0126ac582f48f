"""Records who makes a change and why, as the application says."""

from __future__ import annotations

from .context import context
from .middleware import AuditContextMiddleware

__all__ = ["AuditContextMiddleware", "context"]
