"""Errors of the export."""

from __future__ import annotations

from .base import AuditReprError


class BeyondTheLog(AuditReprError):
    """Raised when an export is to continue after an event that the log does not reach."""

    message = (
        'The log in database "{alias}" ends at event {top}, before event {id}: it was restored from'
        " an older backup, or it is another log. To continue without missing events, use"
        " --follow-from with the ID of the last event that both logs have, or start to send all"
        " events again."
    )


class PositionUnreadable(AuditReprError):
    """Raised when a file does not hold the ID from which an export continues."""

    message = (
        "Could not read where to continue from {path}: {reason}. Correct it: it holds the ID of the"
        " last exported event; without the file, the export starts with the first event."
    )


class OutputUnwritable(AuditReprError):
    """Raised when a file that a command writes cannot be written."""

    message = "Could not write {path}: {reason}."


class OutputBusy(AuditReprError):
    """Raised when another export writes to the same file."""

    message = "Another export is writing to {path}. Try again later."
