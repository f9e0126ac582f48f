"""Moves recorded events to other IDs, such as those of another log's events, which are negative."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Max, Model

from auditrepr.models import (
    AuditLog,
    ChangedValues,
    Checkpoint,
    Coverage,
    InstanceRepr,
    RelatedObject,
    ReprFailure,
)

#: So that the last event gets this ID: others have zero among them, or are all far below.
LAST_IDS = [1, 0, -1, -(10**9), -(2**62)]
#: What refers to an event by its ID.
REFERRING: list[type[Model]] = [InstanceRepr, ReprFailure, RelatedObject, ChangedValues]


def move(last_id: int) -> None:
    """Give the last event this ID, and all others, and what refers to them, the same distances.

    Coverage begins right before the first of them, as if capture had recorded them there.
    """
    ids = list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))
    distance = last_id - AuditLog.objects.aggregate(last=Max("pk"))["last"]
    with transaction.atomic():
        for pk in ids if distance < 0 else reversed(ids):
            AuditLog.objects.filter(pk=pk).update(id=pk + distance)
            for model in REFERRING:
                rows = model._base_manager.filter(audit_log_id=pk)
                rows.update(audit_log_id=pk + distance)
        Checkpoint.objects.update(settled_id=F("settled_id") + distance, swept_id=None)
        Coverage.objects.update(since_event=ids[0] + distance - 1)
