"""Events as the pages show them, with the representation that is stored, or built for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..models import AuditLog, Fidelity
from ..reprs import Outcome, build
from ..vendors.types import Event


@dataclass(frozen=True)
class Shown:
    """What is shown for an event's object: its representation, or why there is none."""

    text: str = ""
    mixed: bool = False
    failed: bool = False
    stored: bool = True
    reason: str = ""  # why it is mixed, or what failed


def shown(events: Sequence[AuditLog], using: str) -> list[Shown]:
    """Return what is shown for these events, in their order; pending ones are built, not stored.

    :param events: selected together with their representations and failures.
    """
    pending = [Event.of(event) for event in events if _is_pending(event)]
    built = {outcome.id: outcome for outcome in build(pending, using)} if pending else {}
    return [_built(built[event.pk]) if event.pk in built else _stored(event) for event in events]


def _is_pending(event: AuditLog) -> bool:
    return event.action != AuditLog.Action.TRUNCATE and not (
        hasattr(event, "instance_repr") or hasattr(event, "repr_failure")
    )


def _built(outcome: Outcome) -> Shown:
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
