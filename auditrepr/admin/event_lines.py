"""Describes an event in one line of a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
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
from ..readers.actors import actor, reason
from ..readers.changes import FieldChange, Fields, Words, changes, model_label
from ..readers.labels import choices_asked_once
from ..readers.lines import lines
from ..readers.pairs import PairChange, pair
from ..readers.permissions import address_of
from ..readers.shown import Shown
from ..readers.telling import telling, telling_columns
from ..utils.phrases import timestamp
from ..utils.text import visible
from ..utils.time_limit import PageTimeLimit, TimeLimit
from .values import change_line

LINE_BREAK = mark_safe("<br>")
MINUS = mark_safe('<span class="nowrap">-\N{NO-BREAK SPACE}</span>')
SHOWN_CHANGES = 5
SHOWN_LENGTH = 120  # characters of a representation


@choices_asked_once()
def describe(events: Sequence[Any], using: str, limit: TimeLimit | None = None) -> None:
    """Give each event what stands for its object, who caused it and why, and its changes in words.

    Also set the current name of its table; a table that no longer exists keeps its name.

    :param limit: the time that building may take, by default that of one page.
    """
    limit = limit or PageTimeLimit.from_settings()
    renames = recent_renames(using)
    known = {event.pk: renames.fields(event) for event in events}
    columns = {event.pk: telling_columns(event, known[event.pk]) for event in events}
    whole = zip(events, lines(events, columns, using, limit), strict=True)
    for event, (what, its_words) in whole:
        event.shown = what
        event.who = actor(event)
        event.why = reason(event)
        event.table_now = renames.shown_name(event.table_name, event.occurred_at)
        event.action_in_words = event.get_action_display()
        event.pair = pair(event, known[event.pk])
        if event.pair and event.pair.owner:
            event.shown = replace(event.shown, text=event.pair.text())
        event.changes_in_words = _changes(event, its_words, known[event.pk])


def _changes(event: Any, its_words: Words, known: Fields) -> Sequence[FieldChange | PairChange]:
    if event.pair:
        return [event.pair.change]
    if event.action == AuditLog.Action.UPDATE:
        return changes(event, its_words, known)
    return telling(event, its_words, known, event.shown.text)


def time_of(event: AuditLog) -> str:
    return clock(event.occurred_at)


def time_of_id(using: str, pk: int | None) -> str:
    """Return when the event with this ID occurred; empty if there is none."""
    log = AuditLog.objects.using(using)
    found = None if pk is None else log.filter(pk=pk).only("occurred_at").first()
    return time_of(found) if found else ""


def clock(when: datetime) -> str:
    """Return the time in the current time zone."""
    return timestamp(when)


def clocks(whens: Sequence[datetime]) -> list[str]:
    """Return these times; those that would read the same have microseconds."""
    counts = Counter(map(clock, whens))
    return [timestamp(when, precise=counts[clock(when)] > 1) for when in whens]


def representation(what: Shown, link: str | None = None) -> SafeString:
    """Return the text that stands for an object, with its link, and how far to trust it."""
    whole = what.reason if what.failed else what.final or what.text
    text = visible(Truncator(whole).chars(SHOWN_LENGTH))
    said = format_html("<bdi>{}</bdi>", with_signs(text))
    return format_html(
        '{} <span class="quiet" title="{}">{}</span>',
        format_html('<a href="{}">{}</a>', link, said) if link and text else said,
        visible(what.reason),
        _remark(what),
    )


def with_signs(text: str) -> SafeString:
    """Return the text so that no line ends after a minus sign; a fixed blank does not suffice."""
    return format_html_join(MINUS, "{}", ((part,) for part in text.split("-\N{NO-BREAK SPACE}")))


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
        (change_line(change) if isinstance(change, FieldChange) else with_signs(str(change)),)
        for change in found[:SHOWN_CHANGES]
    ]
    if (more := len(found) - SHOWN_CHANGES) > 0:
        lines.append((ngettext("and %d more", "and %d more", more) % more,))
    return format_html_join(LINE_BREAK, "<bdi>{}</bdi>", lines)


def who_and_why(event: Any, link: str | None) -> SafeString:
    """Return who caused the event, with a link to what else they did, and why."""
    who = format_html('<a href="{}"><bdi>{}</bdi></a>', link, event.who) if link else event.who
    why = format_html('<div class="quiet"><bdi>{}</bdi></div>', _short(event.why))
    return format_html("<bdi>{}</bdi>{}", who, why if event.why else "")


def which(event: Any, model_link: str | None, object_link: str | None) -> SafeString:
    """Return what the event is about: model, object ID and representation, with links."""
    key = visible(Truncator(event.object_id or "").chars(40))
    label = model_label(event.table_now)
    model = format_html('<a href="{}">{}</a>', model_link, label) if model_link else label
    said = representation(event.shown, object_link)
    return format_html('<div class="quiet">{} <bdi>{}</bdi></div>{}', model, key, said)


def _short(text: str) -> str:
    return Truncator(text).chars(SHOWN_LENGTH)


def by_key(events: QuerySet[AuditLog], term: str) -> QuerySet[AuditLog]:
    """Filter events by object ID; a trailing ``*`` matches any ending."""
    kind, text = ("__startswith", term[:-1]) if term.endswith("*") else ("", term)
    return events.filter(Q(**{f"object_id{kind}": text}) | Q(**{f"previous_object_id{kind}": text}))


def query_of(using: str, **more: str) -> str:
    """Return the query of a page's URL that names its log; nothing for the default one."""
    given = urlencode(address_of(using) | more)
    return f"?{given}" if given else ""
