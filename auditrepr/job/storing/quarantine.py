"""Stores failed events, and finds those that are due for a retry."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import QuerySet
from django.db.models.functions import Now

from ...models import ReprFailure
from ...reprs import Outcome
from ...vendors import get_vendor
from ...vendors.types import Event
from . import store

#: Seconds until the second attempt; each further delay is twice as long, up to the longest.
FIRST_DELAY = 300
LONGEST_DELAY = 86_400
#: Maximum number of failures retried in one batch.
MOST = 1000


def delay(attempts: int) -> int:
    """Return the seconds until an event with this many failed attempts may be retried."""
    doubled = min(attempts - 1, LONGEST_DELAY.bit_length())
    return min(FIRST_DELAY << doubled, LONGEST_DELAY)


def due(using: str, size: int) -> list[Event]:
    """Return the failed events that are due for a retry, the longest overdue first."""
    # Now(), not the vendor's clock: that is volatile, so no index could be used.
    entries = ReprFailure.objects.using(using).filter(next_attempt_at__lte=Now())
    return _events(entries.order_by("next_attempt_at"), size)


def after(using: str, pk: int, size: int) -> list[Event]:
    """Return the next failed events in the order of their IDs, due or not."""
    return _events(ReprFailure.objects.using(using).filter(pk__gt=pk).order_by("pk"), size)


def add(using: str, outcomes: Sequence[Outcome]) -> None:
    """Record the failures among these outcomes; a known one counts another attempt.

    A final one is never due.
    """
    entries = ReprFailure.objects.using(using)
    vendor = get_vendor(using)
    failed = {outcome.id: outcome.failure for outcome in outcomes if outcome.failure}
    known = entries.only("attempts").in_bulk(list(failed)) if failed else {}
    attempts = {pk: known[pk].attempts + 1 if pk in known else 1 for pk in failed}
    entries.bulk_create(
        [
            ReprFailure(
                audit_log_id=pk,
                error_class=failure.error_class,
                message=failure.message,
                traceback=failure.traceback,
                attempts=attempts[pk],
                last_failed_at=vendor.clock(),
                next_attempt_at=None if failure.final else vendor.clock(delay(attempts[pk])),
            )
            for pk, failure in failed.items()
        ],
        update_conflicts=True,
        unique_fields=["audit_log"],
        update_fields=[
            "error_class", "message", "traceback", "attempts", "last_failed_at", "next_attempt_at",
        ],
    )  # fmt: skip


def store_again(using: str, outcomes: Sequence[Outcome]) -> tuple[int, list[Outcome]]:
    """Store what has become of failed events; return the number of rows written, and all outcomes.

    What has a text is no longer a failure. Works within the caller's transaction.
    """
    rows, stored = store.store(using, outcomes, get_vendor(using).store)
    release(using, [outcome.id for outcome in stored if outcome.failure is None])
    add(using, stored)
    return rows, stored


def release(using: str, ids: Collection[int]) -> None:
    """Delete the failures of these events, which have a representation now."""
    ReprFailure.objects.using(using).filter(pk__in=ids).delete()


def _events(entries: QuerySet[ReprFailure], size: int) -> list[Event]:
    columns = (f"audit_log__{name}" for name in Event._fields)
    return [Event(*row) for row in entries.values_list(*columns)[:size]]
