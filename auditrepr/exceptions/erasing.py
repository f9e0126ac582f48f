"""Errors of erasing."""

from __future__ import annotations

from .base import AuditReprError


class MayNotErase(AuditReprError):
    """Raised when the connection lacks the rights to change events."""

    message = (
        'Role {role} may not change the events of the audit log in database "{alias}". Run the'
        " command as the role that owns the log."
    )


class GuardOutdated(AuditReprError):
    """Raised when triggers of an earlier version refuse each change of the log."""

    message = (
        'The append-only triggers in database "{alias}" are those of an earlier version, which'
        " refuse to erase. Run: manage.py audit_triggers install --append-only"
    )


class NothingToErase(AuditReprError):
    """Raised when the log has no event of what is to be erased."""

    message = "The audit log has no event of {what}."


class ColumnUnknown(AuditReprError):
    """Raised when a column is named that no event has."""

    message = "There is no column {column!r}. Known are: {known}."


class StillCurrent(AuditReprError):
    """Raised when the current row still holds what is to be erased."""

    message = (
        "The current row of {what} still holds text in {columns}, and its next event would bring it"
        " into the log again. Change or delete the row first. If its current values may stay, also"
        " in the log, add --keep-current: then only former values are erased."
    )


class EraseDuringImport(AuditReprError):
    """Raised when an import is unfinished, which may bring the same texts."""

    message = (
        "The import of {sources} is unfinished, and may bring what is erased. Finish it first, with"
        " import_audit_log, or end it there with --abandon."
    )
