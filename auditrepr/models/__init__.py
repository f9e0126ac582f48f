"""The tables of auditrepr: the log, what is stored for its events, and what the job remembers."""

from __future__ import annotations

from .capture import Coverage
from .erasures import Erasure
from .imports import Import, PlannedEvent
from .job import BackfillRun, Checkpoint, KnownFinding, Lease, RebuildCursor, Share, StopReason
from .log import AuditLog
from .log_queryset import AuditLogQuerySet
from .related import RelatedObject
from .reprs import ChangedValues, Fidelity, InstanceRepr, ReprFailure, ReprFailureQuerySet
from .seals import SealEntry

__all__ = [
    "AuditLog",
    "AuditLogQuerySet",
    "BackfillRun",
    "ChangedValues",
    "Checkpoint",
    "Coverage",
    "Erasure",
    "Fidelity",
    "Import",
    "InstanceRepr",
    "KnownFinding",
    "Lease",
    "PlannedEvent",
    "RebuildCursor",
    "RelatedObject",
    "ReprFailure",
    "ReprFailureQuerySet",
    "SealEntry",
    "Share",
    "StopReason",
]
