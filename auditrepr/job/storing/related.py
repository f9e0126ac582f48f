"""Stores which objects events are about besides their own, with their representations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Max

from ...asof.related_objects import Related
from ...lineage import recent_renames
from ...models import AuditLog, Checkpoint, InstanceRepr, RebuildCursor, RelatedObject, ReprFailure
from ...models.related import signature
from ...tracking.related import links
from ...vendors import get_vendor
from ...vendors.types import Event


def store(using: str, events: Sequence[Event], found: Sequence[Related], *, again: bool) -> None:
    """Let these events be about these objects, within the caller's transaction.

    :param again: they may have been stored before: what they are no longer about is deleted.
    """
    wanted = {(one.event_id, one.table_name, one.object_id) for one in found}
    if again:
        rows = RelatedObject.objects.using(using)
        of_events = rows.filter(audit_log__in=[event.id for event in events])
        known = set(of_events.values_list("audit_log_id", "table_name", "object_id"))
        if outdated := {pk for pk, _, _ in known - wanted}:
            rows.filter(audit_log__in=list(outdated))._raw_delete(using)
        wanted -= {row for row in known if row[0] not in outdated}
    if wanted:
        get_vendor(using).store_related(sorted(wanted))


def note_links(using: str) -> None:
    """Note for each table that has links from where on its events have their related objects.

    A table's links are new after an upgrade, or when the settings name a relation: what was stored
    before may lack them, until :func:`note_rebuilt`.
    """
    mark = Checkpoint.objects.using(using).get_or_create(pk=1)[0]
    noted: dict[str, Any] = mark.related or {}
    wanted = {table: signature(of_table) for table, of_table in links().items()}
    if {table: entry["links"] for table, entry in noted.items()} == wanted:
        return
    last, rebuild = _last_stored(using), RebuildCursor.objects.using(using).first()
    renames, log = recent_renames(using), AuditLog.objects.using(using)
    known: dict[str, Any] = {}
    for table, of_table in wanted.items():
        if noted.get(table, {}).get("links") == of_table:
            known[table] = noted[table]
            continue
        older = last is not None and (
            log.filter(renames.lineage(table).events(), pk__lte=last).exists()
        )
        known[table] = {"links": of_table, "until": last if older else None}
        if rebuild:  # which may have passed the table's events already
            known[table]["rebuild"] = rebuild.started_at.isoformat()
    Checkpoint.objects.using(using).filter(pk=1).update(related=known)


def note_rebuilt(using: str, rebuild: RebuildCursor, table_name: str) -> None:
    """Note that a rebuild has stored the related objects of all events, or of one table's."""
    mark = Checkpoint.objects.using(using).get(pk=1)
    started = rebuild.started_at.isoformat()
    noted: dict[str, Any] = mark.related or {}
    for table, entry in noted.items():
        if table_name in ("", table) and entry.pop("rebuild", None) != started:
            entry["until"] = None
    Checkpoint.objects.using(using).filter(pk=1).update(related=noted)


def _last_stored(using: str) -> int | None:
    """Return the ID of the last event that has a representation, or has failed."""
    lasts = (
        model._base_manager.using(using).aggregate(last=Max("pk"))["last"]
        for model in (InstanceRepr, ReprFailure)
    )
    return max((last for last in lasts if last is not None), default=None)
