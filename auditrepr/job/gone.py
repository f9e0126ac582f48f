"""Deletes what is stored for events of an attached log that its owner has deleted.

Without it, a representation would outlive the event of a person, and a failure would be counted
forever. If IDs are given again, as after ``TRUNCATE … RESTART IDENTITY``, a new event would have
the representation of an old one. So a few events are noted: if one of them has another time, or
the sequence is before them, all that is stored is of other events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, Min, OuterRef

from ..capture import attachment
from ..models import (
    AuditLog,
    ChangedValues,
    Checkpoint,
    InstanceRepr,
    RebuildCursor,
    RelatedObject,
    ReprFailure,
    StopReason,
)
from ..utils.phrases import counted
from ..vendors import get_vendor
from ..vendors.attach_types import Attachment
from ..vendors.types import BEGINNING
from .locks.base import Lock
from .rounds import shares

logger = logging.getLogger("auditrepr.gone")

#: What is stored for events, by their IDs; representations last, so that they show what is left.
STORED = (ChangedValues, RelatedObject, ReprFailure, InstanceRepr)
#: Representations that are checked, or deleted, in one short transaction.
ROWS = 10_000
GIVEN_AGAIN = (
    "%(source)s gives IDs again that other events have had: its table was emptied, or restored."
    " What was stored for %(events)s is deleted, and all of them are represented again"
)
DELETED = "Deleted what was stored for %(events)s that %(source)s no longer has"

#: Events that are noted at each end of the log. Of one alone, the ID might be given to none again:
#: that of a transaction that is rolled back is lost.
WITNESSES = 5
#: The only fields of the checkpoint that are not about events that the job has seen.
LASTING = ("id", "voided_at")

Reached = Callable[[], StopReason | None]


class Gone:
    """What is stored for events of the other log that are no longer there."""

    def __init__(self, using: str, lock: Lock) -> None:
        self.using = using
        self.lock = lock
        self.count = 0  # events whose representation or failure was deleted

    def start_over(self, reached: Reached) -> StopReason | None:
        """Delete all that is stored if the other log has given its IDs again.

        Call this before anything is stored: one that is interrupted is repeated.

        :returns: the reason to end the run, if there is one.
        """
        found = self._attached()
        mark = Checkpoint.of(self.using, "other_log") if found else None
        if found is None or mark is None or not self._are_others(found, mark.other_log or {}):
            return None
        shares.void(self.using)
        before = self.count
        while self._delete_all():
            if reason := reached():
                return reason
        with transaction.atomic(self.using):
            RebuildCursor.objects.using(self.using).all().delete()
            Checkpoint.objects.using(self.using).filter(pk=1).update(**_afresh())
            self.lock.renew()
        fields = self._fields(self.count - before, found)
        logger.warning(GIVEN_AGAIN, fields, extra=fields)
        return None

    def clean(self, reached: Reached) -> StopReason | None:
        """Delete what is stored for events that are gone, as far as this run goes.

        From the first of them on if the log's beginning was deleted, which is the usual case; and
        besides, one part of the log in each run.
        """
        found = self._attached()
        if found is None:
            return None
        mark = Checkpoint.objects.using(self.using).get_or_create(pk=1)[0]
        before, after = self.count, (mark.other_log or {}).get("checked", BEGINNING)
        after = BEGINNING if self._begins_later() else after
        while True:
            deleted, after = self._clean(after)
            if not deleted:
                break
            if reason := reached():
                return reason
        if self.count > before:
            fields = self._fields(self.count - before, found)
            logger.info(DELETED, fields, extra=fields)
        noted = {**self._witnesses(found, mark), "checked": after}
        if noted != mark.other_log:
            with transaction.atomic(self.using):
                Checkpoint.objects.using(self.using).filter(pk=1).update(other_log=noted)
                self.lock.renew()
        return None

    def _attached(self) -> Attachment | None:
        """Return to what the log is attached; None if its view is not there."""
        if not get_vendor(self.using).attachable:
            return None
        found = attachment.attached(self.using)
        return found if found is not None and found.in_place else None

    def _begins_later(self) -> bool:
        """Return whether something is stored for events from before the first one."""
        first = AuditLog.objects.using(self.using).order_by("pk").values_list("pk", flat=True)[:1]
        begins = next(iter(first), None)
        stored = [
            model._base_manager.using(self.using).aggregate(first=Min("audit_log_id"))["first"]
            for model in (InstanceRepr, ReprFailure)
        ]
        return any(pk is not None and (begins is None or pk < begins) for pk in stored)

    def _clean(self, after: int) -> tuple[bool, int]:
        """Check the next part; return whether something was deleted, and its end."""
        rows = InstanceRepr.objects.using(self.using).filter(audit_log_id__gt=after)
        last = rows.order_by("audit_log_id").values_list("audit_log_id", flat=True)
        upto = last[ROWS - 1 : ROWS].first()
        window = {"audit_log_id__gt": after}
        bounds = {"pk__gt": after}
        if upto is not None:
            window["audit_log_id__lte"] = bounds["pk__lte"] = upto
        # Each part has the bounds: a planner does not pass them on.
        events = AuditLog.objects.using(self.using).filter(pk=OuterRef("audit_log_id"), **bounds)
        with transaction.atomic(self.using):
            # Locks the view until the end; reads no event.
            AuditLog.objects.using(self.using).filter(pk=BEGINNING).exists()
            if self._attached() is None:
                return False, after  # a migration has put it aside: its events are not gone
            deleted = 0
            for model in STORED:
                gone = model._base_manager.using(self.using).filter(~Exists(events), **window)
                deleted += self._delete(model, gone)
            self.lock.renew()
        return bool(deleted), BEGINNING if upto is None else upto

    def _delete_all(self) -> bool:
        """Delete a part of what is stored; return whether there was any."""
        with transaction.atomic(self.using):
            deleted = 0
            for model in STORED:
                rows: Any = model._base_manager.using(self.using)
                some = rows.order_by("audit_log_id").values("audit_log_id")[:ROWS]
                deleted += self._delete(model, rows.filter(audit_log_id__in=some))
            self.lock.renew()
        return bool(deleted)

    def _delete(self, model: Any, rows: Any) -> int:
        deleted: int = rows._raw_delete(self.using)
        if model in (InstanceRepr, ReprFailure):
            self.count += deleted
        return deleted

    def _are_others(self, found: Attachment, noted: dict[str, Any]) -> bool:
        """Return whether the events that were noted are others now."""
        if noted.get("view") != found.digest:
            return False  # by another view, times may differ
        events = {int(pk): at for pk, at in noted["events"].items()}
        rows = AuditLog.objects.using(self.using).filter(pk__in=list(events))
        times = rows.values_list("pk", "occurred_at")
        if any(_text(at) != events[pk] for pk, at in times):
            return True
        last = get_vendor(self.using).last_id_given()
        return last is not None and last < max(events)

    def _witnesses(self, found: Attachment, mark: Checkpoint) -> dict[str, Any]:
        """Return the first and last settled events, by which IDs that are given again are known.

        If there is none, those that were noted before stay.
        """
        log = AuditLog.objects.using(self.using).filter(pk__lte=mark.settled_id)
        rows = log.values_list("pk", "occurred_at")
        ends = [*rows.order_by("pk")[:WITNESSES], *rows.order_by("-pk")[:WITNESSES]]
        if not ends:
            return mark.other_log or {}
        return {"view": found.digest, "events": {str(pk): _text(at) for pk, at in ends}}

    def _fields(self, count: int, found: Attachment) -> dict[str, Any]:
        """Return what a line of the log says of this many deleted representations and failures."""
        said = {"database": self.using, "rows": count, "source": found.source}
        return {**said, "events": counted(count, "event")}


def _afresh() -> dict[str, Any]:
    """Return the checkpoint of a job that has not seen any event yet."""
    fields = Checkpoint._meta.concrete_fields
    return {field.name: field.get_default() for field in fields if field.name not in LASTING}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
