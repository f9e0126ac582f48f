"""The log, the failures, the erasures and the job's runs in Django's admin: only to be read."""

from __future__ import annotations

from .audit_log import AuditLogAdmin
from .erasures import ErasureAdmin
from .failures import ReprFailureAdmin
from .history_button import AuditHistoryMixin, for_every_model
from .runs import BackfillRunAdmin
from .user_page import for_users

for_every_model()
for_users()

__all__ = [
    "AuditHistoryMixin",
    "AuditLogAdmin",
    "BackfillRunAdmin",
    "ErasureAdmin",
    "ReprFailureAdmin",
]
