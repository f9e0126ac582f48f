"""Moves recorded events to other IDs, such as those of another log's events, which are negative."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Model

from auditrepr.models import (
    AuditLog,
    ChangedValues,
    Checkpoint,
    Coverage,
    InstanceRepr,
    RelatedObject,
    ReprFailure,
)
from auditrepr.vendors.types import BEGINNING

#: So that the last event gets this ID: others have zero among them, or are all far below.
LAST_IDS = [1, 0, -1, -(10**9), -(2**62)]
#: What refers to an event by its ID.
REFERRING: list[type[Model]] = [InstanceRepr, ReprFailure, RelatedObject, ChangedValues]


def move(last_id: int, apart: int = 1) -> None:
    """Give the last event this ID, and those before it lower ones, also where they are referred to.

    :param apart: the distance between two of them.

    Coverage begins right before the first of them, as if capture had recorded them there.
    """
    ids = list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))
    new = {pk: last_id - n * apart for n, pk in enumerate(reversed(ids))}
    with transaction.atomic():
        for pk in ids if last_id < ids[-1] else reversed(ids):
            AuditLog.objects.filter(pk=pk).update(id=new[pk])
            for model in REFERRING:
                model._base_manager.filter(audit_log_id=pk).update(audit_log_id=new[pk])
        for settled in Checkpoint.objects.exclude(settled_id=BEGINNING):
            ids_done = [pk for pk in ids if pk <= settled.settled_id]
            settled.settled_id = new[ids_done[-1]] if ids_done else BEGINNING
            settled.swept_id = BEGINNING
            settled.save()
        Coverage.objects.update(since_event=new[ids[0]] - 1)
