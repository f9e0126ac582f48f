"""Events as the pages show them, with the representation that is stored, or built for the page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..lineage import recent_renames
from ..models import AuditLog, Fidelity, ReprFailure
from ..reprs import Failure, Outcome
from ..vendors.types import Event
from .changes import model_label


@dataclass(frozen=True)
class Shown:
    """What is shown for an event's object: its representation, or why there is none."""

    text: str = ""
    mixed: bool = False
    failed: bool = False
    final: str = ""  # a sentence, if str() raised as of the event
    stored: bool = True
    built: bool = True  # or else there was no time for it
    reason: str = ""  # why it is mixed, or what failed


def is_pending(event: AuditLog) -> bool:
    """Return whether the event has neither a representation nor a failure."""
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


def built(event: Event, outcome: Outcome, using: str) -> Shown:
    """Return what is shown of an event's object that was built for the page."""
    if failure := outcome.failure:
        return _without_text(event, failure, using, stored=False)
    return of_outcome(outcome)


def stored(event: AuditLog, using: str) -> Shown:
    """Return what is shown of an event's object, from what is stored for the event."""
    if event.action == AuditLog.Action.TRUNCATE:
        return Shown(_("all rows"))
    if hasattr(event, "instance_repr"):
        found = event.instance_repr
        mixed = found.fidelity == Fidelity.MIXED
        return Shown(found.instance_repr, mixed=mixed, reason=found.reason)
    return _without_text(event, event.repr_failure, using)


def _without_text(
    event: AuditLog | Event, failure: Failure | ReprFailure, using: str, *, stored: bool = True
) -> Shown:
    reason = f"{failure.error_class}: {failure.message}".rstrip(": ")
    if not failure.final:
        return Shown(failed=True, stored=stored, reason=reason)
    table = recent_renames(using).shown_name(event.table_name, event.occurred_at)
    sentence = _("%(model)s %(key)s (str() raised %(error)s as of the event)") % {
        "model": model_label(table),
        "key": event.object_id,
        "error": failure.error_class.rpartition(".")[2],
    }
    return Shown(final=sentence, stored=stored, reason=reason)
