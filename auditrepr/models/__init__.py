"""The tables of auditrepr: the log, what is stored for its events, and what the job remembers."""

from __future__ import annotations

from .capture import Coverage
from .job import BackfillRun, Checkpoint, Lease, RebuildCursor, StopReason
from .log import AuditLog, AuditLogQuerySet
from .related import RelatedObject
from .reprs import Fidelity, InstanceRepr, ReprFailure

__all__ = [
    "AuditLog",
    "AuditLogQuerySet",
    "BackfillRun",
    "Checkpoint",
    "Coverage",
    "Fidelity",
    "InstanceRepr",
    "Lease",
    "RebuildCursor",
    "RelatedObject",
    "ReprFailure",
    "StopReason",
]
