"""Who writes, and why: what the application says of itself."""

from __future__ import annotations

from .context import context
from .middleware import AuditContextMiddleware

__all__ = ["AuditContextMiddleware", "context"]
