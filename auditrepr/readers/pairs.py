"""Shows changes of many-to-many fields: what pairs have in common is said once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import translation
from django.utils.translation import ngettext

from ..asof.pairs import GAINED, LOST
from ..conf import get_settings
from ..models import AuditLog
from ..tracking.related import pair_field
from ..utils.table_names import model_for_table
from ..utils.text import visible
from .changes import Fields

#: Objects that a line names; of the others it says how many there are.
NAMED = 10


@dataclass(frozen=True)
class PairChange:
    """What happened to a many-to-many field, in place of the changes of a row's fields."""

    field: str
    signed: Sequence[str]  # such as "+ vip"

    def __str__(self) -> str:
        named = [unbroken(one) for one in self.signed[:NAMED]]
        if (more := len(self.signed) - NAMED) > 0:
            named.append(ngettext("and %d more", "and %d more", more) % more)
        return f"{self.field}: {', '.join(named)}"


def unbroken(signed: str) -> str:
    """Return the text so that no line ends between the sign and what it stands for."""
    return visible(signed).replace(" ", "\N{NO-BREAK SPACE}", 1)


class Pair(NamedTuple):
    """An event of an automatic many-to-many table: its representation, in parts."""

    of: tuple[Any, ...]  # the same for events that are shown as one
    owner: str  # "Chloé Martin: tags"
    change: PairChange

    def text(self, signed: Sequence[str] = ()) -> str:
        """Return the representation with these changes, by default its own."""
        return f"{self.owner} {', '.join(map(unbroken, signed or self.change.signed))}"


def pair(event: Any, fields: Fields) -> Pair | None:
    """Return the parts of the event's representation, if it is one of a many-to-many field.

    The text was made in the language of representations; if it has another form, as with the
    setting ``REPR``, its parts are unknown.

    :param event: described, with ``shown`` and ``table_now``.
    :param fields: today's fields for the columns of its row.
    """
    model = model_for_table(event.table_now)
    field = pair_field(model) if model else None
    if field is None:
        return None
    label = str(field.verbose_name)
    if event.action == AuditLog.Action.TRUNCATE:
        return Pair((event.pk,), "", PairChange(label, [event.get_action_display()]))
    with translation.override(get_settings().LANGUAGE or settings.LANGUAGE_CODE):
        parts = _split(event.shown.text, str(field.verbose_name))
    if not parts:
        return None
    owner, signed = parts
    (key,) = [c for c, one in fields.items() if one.name == field.m2m_field_name()] or [""]
    alone = event.pk if event.action == AuditLog.Action.UPDATE else None
    of = (event.table_now, (event.row_data or {}).get(key), owner, _at_once(event), alone)
    return Pair(of, owner, PairChange(label, [signed]))


def _split(text: str, label: str) -> tuple[str, str] | None:
    places = [text.find(f": {label} {sign} ") for sign in (GAINED, LOST)]
    found = min((place for place in places if place >= 0), default=None)
    if found is None:
        return None
    end = found + len(label) + 2
    return text[:end], text[end + 1 :]


def _at_once(event: AuditLog) -> Any:
    """Return what the events of one transaction, or else request or statement, have in common."""
    context = event.context if isinstance(event.context, dict) else {}
    return event.transaction_id or context.get("request_id") or event.occurred_at


def together(events: Sequence[Any]) -> list[Any]:
    """Return the events, with adjacent ones of one object's field as one.

    It is the first of them, and shows what all of them did, in their order.

    :param events: described, with ``pair``.
    """
    groups: list[list[Any]] = []
    for event in events:
        last = groups[-1][-1].pair if groups else None
        if last and event.pair and last.of == event.pair.of:
            groups[-1].append(event)
        else:
            groups.append([event])
    return [_joined(group) if len(group) > 1 else group[0] for group in groups]


def _joined(group: Sequence[Any]) -> Any:
    event, in_order = group[0], sorted(group, key=lambda one: one.pk)
    pairs: list[Pair] = [one.pair for one in in_order]
    signed = [part for one in pairs for part in one.change.signed]
    what = [one.shown for one in in_order]
    event.shown = replace(
        event.shown,
        text=event.pair.text(signed),
        mixed=any(one.mixed for one in what),
        stored=all(one.stored for one in what),
        reason="\n".join(dict.fromkeys(one.reason for one in what if one.reason)),
    )
    event.changes_in_words = [replace(event.pair.change, signed=signed)]
    if len({one.action for one in group}) > 1:
        event.action_in_words = AuditLog.Action.UPDATE.label
    return event
