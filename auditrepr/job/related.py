"""Stores which objects events are about besides their own, with their representations."""

from __future__ import annotations

from collections.abc import Sequence

from ..asof.related_objects import Related
from ..models import RelatedObject
from ..vendors.types import Event

#: Rows that one statement inserts.
ROWS = 2_000


def store(using: str, events: Sequence[Event], found: Sequence[Related], *, again: bool) -> None:
    """Let these events be about these objects, and no others, within the caller's transaction.

    :param again: they may have been stored before; otherwise nothing is looked up in vain.
    """
    if not found and not again:
        return
    rows = RelatedObject.objects.using(using)
    wanted = {(one.event_id, one.table_name, one.object_id) for one in found}
    of_events = rows.filter(audit_log__in=[event.id for event in events])
    known = set(of_events.values_list("audit_log_id", "table_name", "object_id"))
    if stale := known - wanted:
        outdated = {pk for pk, _, _ in stale}
        rows.filter(audit_log__in=list(outdated))._raw_delete(using)
        known = {row for row in known if row[0] not in outdated}
    rows.bulk_create(
        [
            RelatedObject(audit_log_id=pk, table_name=table, object_id=key)
            for pk, table, key in sorted(wanted - known)
        ],
        batch_size=ROWS,
    )
