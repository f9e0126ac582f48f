"""Events as the pages show them, with the representation that is stored, or built for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..models import AuditLog, Fidelity
from ..reprs import Outcome, build
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event


@dataclass(frozen=True)
class Shown:
    """What is shown for an event's object: its representation, or why there is none."""

    text: str = ""
    mixed: bool = False
    failed: bool = False
    stored: bool = True
    built: bool = True  # or else there was no time for it
    reason: str = ""  # why it is mixed, or what failed


def shown(events: Sequence[AuditLog], using: str, limit: TimeLimit | None = None) -> list[Shown]:
    """Return what stands for these events' objects, in order; pending ones are built, not stored.

    :param events: selected together with their representations and failures.
    :param limit: the time that this may take; for what is pending still, nothing stands there.
    """
    pending = [Event.of(event) for event in events if _is_pending(event)]
    built = (
        {one.id: of_outcome(one) for one in build(pending, using, limit=limit)} if pending else {}
    )
    not_built = {event.id: Shown(stored=False, built=False) for event in pending} | built
    return [not_built.get(event.pk) or _stored(event) for event in events]


def _is_pending(event: AuditLog) -> bool:
    return event.action != AuditLog.Action.TRUNCATE and not (
        hasattr(event, "instance_repr") or hasattr(event, "repr_failure")
    )


def of_outcome(outcome: Outcome) -> Shown:
    """Return what is shown for what was built, and not stored."""
    if failure := outcome.failure:
        reason = f"{failure.error_class}: {failure.message}"
        return Shown(failed=True, stored=False, reason=reason)
    mixed = outcome.fidelity == Fidelity.MIXED
    return Shown(outcome.text, mixed=mixed, stored=False, reason=outcome.reason)


def _stored(event: AuditLog) -> Shown:
    if event.action == AuditLog.Action.TRUNCATE:
        return Shown(_("all rows"))
    if hasattr(event, "instance_repr"):
        found = event.instance_repr
        mixed = found.fidelity == Fidelity.MIXED
        return Shown(found.instance_repr, mixed=mixed, reason=found.reason)
    failure = event.repr_failure
    return Shown(failed=True, reason=f"{failure.error_class}: {failure.message}")
