"""Searches the representations of events that are still pending: they are built for the search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..models import AuditLog, Checkpoint
from ..reprs import build
from ..utils.time_limit import TimeLimit
from ..vendors.types import BEGINNING, Event, Window, id_before

#: Pending events that a search builds, the newest first, as far as there is time.
MOST = 200
#: If more are left, a page does not say how many.
COUNTED = 1_000


class Pending(NamedTuple):
    """The matches among pending events; and how many of them were not searched."""

    ids: Sequence[int]
    left: int
    counted: bool  # or else there are more


def find(using: str, text: str, window: Window, limit: TimeLimit) -> Pending:
    """Return the newest pending events of the window whose representation has the text."""
    mark = Checkpoint.of(using, "settled_id")
    after = mark.settled_id if mark else BEGINNING
    after = after if window.after is None else max(after, window.after)
    log = AuditLog.objects.using(using)
    upto = log.order_by("-pk").values_list("pk", flat=True).first()
    if upto is None or upto <= after:
        return Pending([], 0, True)
    upto = upto if window.before is None else min(upto, id_before(window.before))
    ids = list(
        log.pending(after=after, upto=upto)
        .order_by("-pk")
        .values_list("pk", flat=True)[: MOST + COUNTED + 1]
    )
    rows = log.filter(pk__in=ids[:MOST]).defer("row_data", "changed_from", "context")
    events = [Event.of(row) for row in rows.order_by("-pk")]
    built = build(events, using, limit=limit) if events else []
    wanted = text.casefold()
    found = [one.id for one in built if wanted in one.text.casefold()]
    left = len(ids) - len(built)
    return Pending(found, min(left, COUNTED), len(ids) <= MOST + COUNTED)
