"""Errors about a log in partitions."""

from __future__ import annotations

from .base import AuditReprError


class NoPartitions(AuditReprError):
    message = 'Database "{alias}" ({vendor}) cannot partition the audit log: only PostgreSQL can.'


class MayNotPartition(AuditReprError):
    message = (
        'The role of database "{alias}" may not partition the audit log: run this as the role that'
        " owns it."
    )


class NotPartitionable(AuditReprError):
    message = (
        'The audit log in database "{alias}" cannot be partitioned, because this would refer to its'
        " first partition only: {found}. Drop it first, and create it again afterwards."
    )


class LogBusy(AuditReprError):
    message = (
        'The audit log in database "{alias}" could not be locked for {seconds} seconds, because'
        " long transactions use it; what is done stays done. Try again when they have ended"
        " (pg_stat_activity shows them)."
    )


class WaitStopped(LogBusy):
    """Raised when a signal ends the wait for the log."""

    message = (
        'Stopped while waiting for the audit log in database "{alias}"; what is done stays done.'
    )
