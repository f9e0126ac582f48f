"""Moves recorded events to other IDs, such as those of another log's events, which are negative."""

from __future__ import annotations

from django.db.models import F, Max

from auditrepr.models import AuditLog, Coverage

#: So that the last event gets this ID: others have zero among them, or are all far below.
LAST_IDS = [1, 0, -1, -(10**9), -(2**62)]


def move(last_id: int) -> int:
    """Give the last event this ID, and all others the same distances; return by how much.

    Coverage begins right before the first of them, as if capture had recorded them there.
    """
    log = AuditLog.objects.order_by("pk")
    distance = last_id - (log.aggregate(last=Max("pk"))["last"] or 0)
    for pk in log.values_list("pk", flat=True) if distance < 0 else log.reverse():
        AuditLog.objects.filter(pk=int(pk)).update(id=F("id") + distance)
    first = log.values_list("pk", flat=True).first()
    Coverage.objects.update(since_event=None if first is None else first - 1)
    return distance
