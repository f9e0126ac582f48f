"""The events that are about an object besides their own, as a history shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..lineage import recent_renames
from ..models import AuditLog, AuditLogQuerySet, RelatedObject
from ..models.related import links_to, missing_until, pending_events
from ..tracking.related import Link
from .permissions import readable_tables


def events_about(
    log: AuditLogQuerySet,
    keys: Mapping[str, str],
    user: Any,
    *,
    after: int,
    most: int,
    related: bool = False,
) -> list[AuditLog]:
    """Return the events after this ID that are about an object besides their own, oldest first.

    Only those that the user may see, and at most this number. Each part is read from an index in
    its order, or is bounded.

    :param keys: the object's keys in its tables, by their current names.
    :param most: the maximum number of events.
    :param related: also the events of what belongs to the object, and not only changes of its
        many-to-many fields.
    """
    chosen = _readable(links_to(keys, related=related), user)
    if not chosen:
        return []
    about = RelatedObject.objects.using(log.db).filter(audit_log__gt=after)
    found: set[int] = set()
    for table, key in keys.items():
        if of_table := [link for link in chosen if link.target == table]:
            rows = about.of(table, key).by(of_table).order_by("audit_log_id")
            found.update(rows.values_list("audit_log_id", flat=True)[:most])
    every = log.model.objects.using(log.db)
    first, *others = [
        pending_events(every, link, keys[link.target]).filter(pk__gt=after).values_list("pk")
        for link in chosen
    ]
    found.update(pk for (pk,) in (first.union(*others) if others else first))
    emptied = every.filter(
        recent_renames(log.db).events({link.table for link in chosen}),
        object_id=None,
        action=AuditLog.Action.TRUNCATE,
        pk__gt=after,
    )
    found.update(emptied.order_by("pk").values_list("pk", flat=True)[:most])
    return list(log.filter(pk__in=sorted(found)[:most]).order_by("pk"))


def _readable(chosen: Iterable[Link], user: Any) -> list[Link]:
    tables = readable_tables(user)
    return [link for link in chosen if tables is None or link.table in tables]


def lacking(
    using: str, tables: Collection[str], user: Any, *, related: bool = False
) -> dict[str, int]:
    """Return the tables of which a history of these tables' objects may lack older events.

    :returns: the ID of the last of those events, for each table.
    """
    return missing_until(using, _readable(links_to(tables, related=related), user))
