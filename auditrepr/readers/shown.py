"""Events as the pages show them, with the representation that is stored, or built for the page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..models import AuditLog, Fidelity
from ..reprs import Outcome


@dataclass(frozen=True)
class Shown:
    """What is shown for an event's object: its representation, or why there is none."""

    text: str = ""
    mixed: bool = False
    failed: bool = False
    stored: bool = True
    built: bool = True  # or else there was no time for it
    reason: str = ""  # why it is mixed, or what failed


def is_pending(event: AuditLog) -> bool:
    """Return whether the event has neither a representation nor a failure."""
    return event.action != AuditLog.Action.TRUNCATE and not (
        hasattr(event, "instance_repr") or hasattr(event, "repr_failure")
    )


def built(outcome: Outcome) -> Shown:
    """Return what is shown of an object that was built for the page."""
    if failure := outcome.failure:
        reason = f"{failure.error_class}: {failure.message}"
        return Shown(failed=True, stored=False, reason=reason)
    mixed = outcome.fidelity == Fidelity.MIXED
    return Shown(outcome.text, mixed=mixed, stored=False, reason=outcome.reason)


def stored(event: AuditLog) -> Shown:
    """Return what is shown of an event's object, from what is stored for the event."""
    if event.action == AuditLog.Action.TRUNCATE:
        return Shown(_("all rows"))
    if hasattr(event, "instance_repr"):
        found = event.instance_repr
        mixed = found.fidelity == Fidelity.MIXED
        return Shown(found.instance_repr, mixed=mixed, reason=found.reason)
    failure = event.repr_failure
    return Shown(failed=True, reason=f"{failure.error_class}: {failure.message}")
