"""Describes an event in one line of a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..lineage import recent_renames
from ..models import AuditLog
from ..readers.actors import actor
from ..readers.changes import FieldChange, changes
from ..readers.pairs import PairChange, pair
from ..readers.permissions import address_of
from ..readers.shown import Shown, shown
from ..readers.values import words
from ..utils.phrases import timestamp
from ..utils.text import visible
from ..utils.time_limit import PageTimeLimit, TimeLimit
from .values import change_line

LINE_BREAK = mark_safe("<br>")
SHOWN_CHANGES = 5
SHOWN_LENGTH = 120  # characters of a representation


def describe(events: Sequence[Any], using: str, limit: TimeLimit | None = None) -> None:
    """Give each event what stands for its object, who caused it, and its changes in words.

    And what its table is called today; a table that no longer exists keeps its name.

    :param limit: the time that building may take, by default that of one page.
    """
    limit = limit or PageTimeLimit.from_settings()
    what_stands = shown(events, using, limit)
    said = words(events, using, limit, changed_only=True)
    renames = recent_renames(using)
    whole = zip(events, what_stands, said, strict=True)
    for event, what, its_words in whole:
        event.shown = what
        event.who = actor(event)
        event.table_now = renames.table(event.table_name, event.occurred_at) or event.table_name
        fields = renames.fields(event)
        event.action_in_words = event.get_action_display()
        event.pair = pair(event, fields)
        event.changes_in_words = (
            [event.pair.change] if event.pair else changes(event, its_words, fields)
        )


def time_of(event: AuditLog) -> str:
    return clock(event.occurred_at)


def clock(when: datetime) -> str:
    """Return the time in the current time zone."""
    return timestamp(when)


def clocks(whens: Sequence[datetime]) -> list[str]:
    """Return these times; those that would read the same have microseconds."""
    counts = Counter(map(clock, whens))
    return [timestamp(when, precise=counts[clock(when)] > 1) for when in whens]


def representation(what: Shown) -> SafeString:
    text = what.reason if what.failed else what.text
    return format_html(
        '<bdi>{}</bdi> <span class="quiet" title="{}">{}</span>',
        visible(Truncator(text).chars(SHOWN_LENGTH)),
        visible(what.reason),
        _remark(what),
    )


def _remark(what: Shown) -> str:
    remarks = [
        (what.failed, _("failed")),
        (what.mixed, _("mixed")),
        (not what.stored, _("not stored yet")),
    ]
    words = ", ".join(remark for holds, remark in remarks if holds)
    return f"({words})" if words else ""


def what_changed(found: Sequence[FieldChange | PairChange]) -> SafeString:
    lines: list[tuple[str]] = [
        (change_line(change) if isinstance(change, FieldChange) else str(change),)
        for change in found[:SHOWN_CHANGES]
    ]
    if (more := len(found) - SHOWN_CHANGES) > 0:
        lines.append((ngettext("and %d more", "and %d more", more) % more,))
    return format_html_join(LINE_BREAK, "<bdi>{}</bdi>", lines)


def by_key(events: QuerySet[AuditLog], term: str) -> QuerySet[AuditLog]:
    """Filter events by object ID; a trailing ``*`` matches any ending."""
    kind, text = ("__startswith", term[:-1]) if term.endswith("*") else ("", term)
    return events.filter(Q(**{f"object_id{kind}": text}) | Q(**{f"previous_object_id{kind}": text}))


def query_of(using: str) -> str:
    """Return the query of an event page's URL that names its log; empty for the default one."""
    given = urlencode(address_of(using))
    return f"?{given}" if given else ""
