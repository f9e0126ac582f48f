"""What the events of a table have left in it, told without the table."""

from __future__ import annotations

from collections.abc import Iterable

from ...models import AuditLog
from .neighbors import Neighbor


def rows_left(events: Iterable[Neighbor]) -> dict[str, Neighbor]:
    """Return each row that these events have left in the table, with the last event of its key.

    :param events: in the order of their IDs.
    """
    rows: dict[str, Neighbor] = {}
    # Keys that an update gives to a row while another row, which the same one moves on, has them.
    shared: set[str] = set()
    for one in events:
        if one.action == AuditLog.Action.TRUNCATE:
            rows.clear()
            continue
        key, earlier = one.object_id or "", one.previous_object_id
        if earlier in shared:
            shared.discard(earlier)
        elif earlier is not None:
            rows.pop(earlier, None)
        if one.action == AuditLog.Action.DELETE:
            rows.pop(key, None)
            continue
        if earlier is not None and key in rows:
            shared.add(key)
        rows[key] = one
    return rows
