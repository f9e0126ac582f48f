"""Errors of seals."""

from __future__ import annotations

from .base import AuditReprError


class NothingSealed(AuditReprError):
    """Raised when seals are to be verified or exported, and there are none."""

    message = (
        'The audit log in database "{alias}" is not sealed. Set AUDITREPR["SEAL"] to True, or run:'
        " manage.py seal_audit_log"
    )


class SealBroken(AuditReprError):
    """Raised when events are to be deleted, or erased in, that are no longer what was sealed."""

    message = (
        "The audit log differs from its seals: {difference}. Nothing of this range was touched,"
        " because that would remove the evidence. Keep a copy of the database, and find out more"
        " with verify_audit_log. Once the log is as it was sealed, for example from a backup,"
        " repeat the command. If that cannot be, add --ignore-seals."
    )


class SealUnknown(AuditReprError):
    """Raised when a seal is named that does not exist."""

    message = "There is no seal {number}: the last one is {last}."


class ExportBeginsLater(AuditReprError):
    """Raised when a copy of the log has none of the seals of the export to compare it with."""

    message = (
        "Nothing can be compared with this export: it begins with seal {first}, and the last one"
        " of the copy is {last}. Name an export that begins earlier."
    )


class ExportUnreadable(AuditReprError):
    """Raised when a file is not an export of seals."""

    message = "Could not read the seals in {path}: {reason}."
