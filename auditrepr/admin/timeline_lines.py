"""The lines of an object's history: its events, and the gaps in the recording between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext as _

from ..readers import recording
from ..readers.changes import model_label
from ..readers.object_events import Asked, ObjectEvents, its_changes, tables_of
from ..readers.pairs import together
from ..readers.permissions import may_read_log
from ..utils.text import visible
from .event_lines import clock, clocks, representation, what_changed, who_and_why
from .links import list_link, timeline_link
from .siblings import who_did


def lines_of(
    found: ObjectEvents, asked: Asked, site: admin.AdminSite, using: str
) -> Iterator[dict[str, Any]]:
    """Yield the events, and between them the gaps in the recording."""
    events = together(found.events)
    times = clocks([event.occurred_at for event in events])
    gaps = recording.gaps(using, tables_of(asked.table))
    placed = list(recording.placed(gaps, events, asked.after, found.more)) if events else []
    for n in range(len(events) + 1):
        yield from ({"gap": _gap(gap)} for before, gap in placed if before == n)
        if n < len(events):
            yield {**_line(events[n], asked, site, using), "when": times[n]}


def _gap(gap: recording.Gap) -> str:
    facts = {
        "model": model_label(gap.table),
        "begin": clock(gap.begin) if gap.begin else "",
        "end": clock(gap.end) if gap.end else "",
        "reason": gap.reason,
    }
    if gap.end is None:
        return (
            _(
                "Recording of %(model)s has been interrupted since %(begin)s (%(reason)s):"
                " changes may be missing here."
            )
            % facts
        )
    if gap.begin is None:
        return (
            _(
                "Recording of %(model)s was interrupted until %(end)s (%(reason)s): changes may be"
                " missing here."
            )
            % facts
        )
    return (
        _(
            "Recording of %(model)s was interrupted between %(begin)s and %(end)s (%(reason)s):"
            " changes may be missing here."
        )
        % facts
    )


def _line(event: Any, asked: Asked, site: admin.AdminSite, using: str) -> dict[str, Any]:
    own = is_own(event, asked)
    moved = own and event.previous_object_id is not None
    other = event.previous_object_id if event.object_id == asked.key else event.object_id
    another = not own and event.object_id is not None and event.pair is None
    return {
        "pk": event.pk,
        "action": event.action,
        "what": event.action_in_words,
        "who": who_and_why(event, _deeds(event, asked.user, site, using)),
        "kind": model_label(event.table_now) if another else "",
        "kind_link": timeline_link(site, using, event.table_now, event.object_id)
        if another
        else None,
        "representation": representation(event.shown),
        "changes": what_changed(event.changes_in_words if own else its_changes(event, asked)),
        "other_key": visible(other) if moved else "",
        "other_link": timeline_link(site, using, event.table_now, other) if moved else None,
    }


def _deeds(event: Any, user: Any, site: admin.AdminSite, using: str) -> str | None:
    """Return the link to what else this person, command or task did, if the user may read it."""
    lookups = who_did(event)
    return list_link(site, using, **lookups) if lookups and may_read_log(user) else None


def is_own(event: Any, asked: Asked) -> bool:
    """Return whether the event is of the object itself, and not of what belongs to it."""
    keys = (event.object_id, event.previous_object_id)
    return event.table_now in tables_of(asked.table) and asked.key in keys
