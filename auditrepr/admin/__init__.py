"""The log, the failures and the job's runs in Django's admin: to be read, never to be changed."""

from __future__ import annotations

from .audit_log import AuditLogAdmin
from .failures import ReprFailureAdmin
from .runs import BackfillRunAdmin
from .timeline import AuditHistoryMixin

__all__ = ["AuditHistoryMixin", "AuditLogAdmin", "BackfillRunAdmin", "ReprFailureAdmin"]
