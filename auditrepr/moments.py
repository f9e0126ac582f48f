"""Where in the log a time is: it has no index by time, but nearly its ids come in that order."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from .models import AuditLog


def first_id(log: QuerySet[AuditLog], when: datetime) -> int:
    """The events from this time on have this id or a greater one, nearly, and no others have.

    It is found by halving the range of the ids.
    """
    ids = log.order_by("pk").values_list("pk", "occurred_at")
    first, last = ids.first(), ids.last()
    if first is None or last is None:
        return 0
    low, high = first[0], last[0] + 1
    while low < high:
        middle = (low + high) // 2
        found = ids.filter(pk__gte=middle).first()
        if found is None or found[1] >= when:
            high = middle
        else:
            low = found[0] + 1
    return low
