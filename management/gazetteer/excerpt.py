"""An excerpt of the audit log for people, and the log in numbers."""

from __future__ import annotations

from collections.abc import Iterator

from auditrepr import as_of
from auditrepr.models import AuditLog, Fidelity, InstanceRepr, ReprFailure
from auditrepr.readers.actors import actor, reason
from auditrepr.readers.changes import changes, model_label
from auditrepr.readers.values import words
from auditrepr.utils.text import visible

from .models import Country, Organization

#: The events of the excerpt: how many of the newest, by table and action.
SHOWN = [
    ("gazetteer_country", AuditLog.Action.UPDATE, 14),
    ("gazetteer_country", AuditLog.Action.INSERT, 2),
    ("gazetteer_succession", AuditLog.Action.INSERT, 3),
    ("gazetteer_subdivision", AuditLog.Action.UPDATE, 3),
    ("gazetteer_subdivision", AuditLog.Action.DELETE, 2),
    ("gazetteer_language", AuditLog.Action.INSERT, 1),
    ("gazetteer_organization", AuditLog.Action.DELETE, 1),
    ("gazetteer_organization_members", AuditLog.Action.INSERT, 1),
    ("gazetteer_organization_members", AuditLog.Action.DELETE, 2),
    ("auth_user", AuditLog.Action.UPDATE, 1),
]


def lines() -> Iterator[str]:
    """Yield the excerpt, oldest first: each event's action and object, its author, its changes."""
    log = AuditLog.objects.select_related("instance_repr", "repr_failure")
    events = [
        event
        for table, action, count in SHOWN
        for event in log.filter(table_name=table, action=action).order_by("-id")[:count]
    ]
    events.sort(key=lambda event: event.pk)
    for event, said in zip(events, words(events, log.db), strict=True):
        what = f"{event.get_action_display()} {model_label(event.table_name).lower()}"
        yield f"{event.pk:>7}  {what:<20}  {_representation(event)}"
        yield f"{'':>31}by {': '.join(filter(None, [actor(event), reason(event)]))}"
        for change in changes(event, said):
            yield f"{'':>31}{change}"


def answers() -> Iterator[str]:
    """Yield what two countries were right before an event: their names, and where they belonged."""
    renamed = AuditLog.objects.for_model(Country).filter(changed_from__name="Turkey")
    left = AuditLog.objects.for_model(Organization.members.through).filter(action="D")
    for code, event in [("DE", left.earliest("pk")), ("TR", renamed.earliest("pk"))]:
        today = Country.objects.get(alpha_2=code, withdrawn="")
        then = as_of(today, event.pk - 1)
        names = [then.official_name, *map(str, then.organizations.all())]
        yield f"{event.pk - 1:>7}  {', '.join(names)}"


def _representation(event: AuditLog) -> str:
    if hasattr(event, "instance_repr"):
        stored = event.instance_repr
        mark = " (mixed)" if stored.fidelity == Fidelity.MIXED else ""
        return visible(stored.instance_repr) + mark
    if hasattr(event, "repr_failure"):
        return f"[{visible(event.repr_failure.error_class)}]"
    return f"[no representation yet: {event.object_id}]"


def numbers() -> dict[str, int]:
    """Return the numbers of events and of their representations."""
    represented = InstanceRepr.objects.all()
    return {
        "events": AuditLog.objects.count(),
        "represented": represented.count(),
        "mixed": represented.filter(fidelity=Fidelity.MIXED).count(),
        "failed": ReprFailure.objects.count(),
    }
