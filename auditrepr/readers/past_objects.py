"""One object as of a moment, in words: its fields, its representation, and how certain they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import Error
from django.db.models import Model
from django.utils.translation import gettext as _

from ..asof.api import doubts, past_instance
from ..asof.asked import moment_of
from ..asof.former import Absence, Asked, FormerRow, former_row
from ..asof.lookups import Itself, Point, Reference
from ..reprs import Outcome, build_related
from ..utils.text import one_line, visible
from ..utils.time_limit import OutOfTime, TimeLimit
from .changes import FieldChange, apart
from .shown import Shown, of_outcome
from .values import said, said_apart

#: Maximum number of objects of one many-to-many field that are named.
MOST = 50


class PastField(NamedTuple):
    """One field as of a moment, in words."""

    label: str = ""
    text: str = ""
    field: Any = None  # None: there is no value
    value: Any = None


@dataclass(frozen=True)
class PastObject:
    """An object as of a moment, or why there was none."""

    exists: bool
    absence: str = ""  # why there was none
    what: Shown = field(default_factory=Shown)
    fields: dict[str, PastField] = field(default_factory=dict)  # by name, in the model's order
    reasons: tuple[str, ...] = ()  # why it is not certain
    event: int | None = None  # that added it later, or had deleted it

    @property
    def exact(self) -> bool:
        """Return whether all of it is data as of the moment."""
        return self.exists and not self.reasons and not (self.what.mixed or self.what.failed)


def past_object(asked: Asked, using: str, limit: TimeLimit) -> PastObject:
    """Return the object as of the moment; what there is no time for goes by its keys.

    :raises OutOfTime: if there is no time to read its row.
    """
    row = former_row(asked, using, limit)
    moment = moment_of(asked.when, using, before=asked.before)
    if not row.exists:
        why = Absence(asked.model, asked.key, moment, using)
        event = why.deleted_before or why.added_later
        return PastObject(False, _why(why), event=event.pk if event else None)
    point = Point(moment)
    own = Reference(point, Itself(asked.model), asked.key)
    led = _references(asked.model, row, point)
    outcomes = build_related([own, *(reference for _, reference in led)], using, limit=limit)
    names = dict(zip((name for name, _ in led), outcomes[1:], strict=False))
    texts = dict(_texts(asked.model, row, names))
    sets, reasons = _sets(asked, point, using, limit)
    if len(outcomes) <= len(led):
        reasons.append(_in_time())
    return PastObject(
        True,
        what=of_outcome(outcomes[0]) if outcomes else Shown(stored=False, built=False),
        fields=texts | sets,
        reasons=tuple(dict.fromkeys([*_doubts(row), *reasons, *_mixed(led, outcomes[1:])])),
    )


def compared(one: PastObject, other: PastObject) -> list[FieldChange]:
    """Return the fields of both side by side, those of an object that was not there as empty."""
    found = []
    for name, known in (other.fields | one.fields).items():
        left, right = (past.fields.get(name, PastField()) for past in (one, other))
        before, after = _apart(left, right)
        found.append(FieldChange(known.label, before, after, before != after))
    return found


def _apart(one: PastField, other: PastField) -> tuple[str, str]:
    if one.field is None or other.field is None:
        return one.text, other.text
    if one.field.is_relation:
        return apart((one.text, other.text), (one.value, other.value))
    return said_apart(one.field, one.value, other.value)


def _why(why: Absence) -> str:
    if event := why.deleted_before:
        return _("It had been deleted by event %(event)s.") % {"event": event.pk}
    if event := why.added_later:
        return _("It did not exist yet: event %(event)s added it.") % {"event": event.pk}
    return _("The log has no event of this object.")


def _references(model: type[Model], row: FormerRow, point: Point) -> list[tuple[str, Reference]]:
    """Return where the row's foreign keys lead, by the names of their columns' attributes."""
    return [
        (field.attname, Reference(point, field, value))
        for field in model._meta.concrete_fields
        if (field.many_to_one or field.one_to_one)
        and (value := row.values.get(field.attname)) is not None
    ]


def _texts(
    model: type[Model], row: FormerRow, names: dict[str, Outcome]
) -> Iterator[tuple[str, PastField]]:
    for one in model._meta.concrete_fields:
        if one.attname not in row.values:
            yield one.name, PastField(str(one.verbose_name), _("(not recorded)"))
            continue
        named = names.get(one.attname)
        known = named is not None and named.failure is None
        value = row.values[one.attname]
        text = visible(named.text) if named and known else said(one, value)
        yield one.name, PastField(str(one.verbose_name), text, one, value)


def _doubts(row: FormerRow) -> Iterator[str]:
    yield from row.doubts
    yield from map(one_line, row.errors)
    yield from (f"{column}: {why}" for column, why in row.missing.items())


def _mixed(led: Iterable[tuple[str, Reference]], outcomes: Sequence[Outcome]) -> Iterator[str]:
    for (name, _reference), outcome in zip(led, outcomes, strict=False):
        for reason in outcome.reason.splitlines():
            yield f"{name}: {reason}"


def _sets(
    asked: Asked, point: Point, using: str, limit: TimeLimit
) -> tuple[dict[str, PastField], list[str]]:
    """Return the objects of the many-to-many fields by their names, and the reasons for doubt."""
    fields = asked.model._meta.many_to_many
    texts: dict[str, PastField] = {}
    reasons: list[str] = []
    if not fields:
        return texts, reasons
    named = True
    with suppress(OutOfTime, Error):
        old = past_instance(asked.model, asked.key, point.moment, using, limit)
        for one in fields:
            members = list(getattr(old, one.name).all())
            shown = members[:MOST]
            wanted = [Reference(point, Itself(one.related_model), it.pk) for it in shown]
            outcomes = build_related(wanted, using, limit=limit) if wanted else []
            names = [visible(outcome.text) for outcome in outcomes if outcome.failure is None]
            names += ["…"] * (len(names) < len(members))
            text = ", ".join(names) or _("(none)")
            keys = ", ".join(sorted(str(it.pk) for it in members))
            texts[one.name] = PastField(str(one.verbose_name), text, one, keys)
            reasons += (f"{one.name}: {r}" for o in outcomes for r in o.reason.splitlines())
            named = named and len(outcomes) == len(shown)
        reasons += doubts(old)
    if len(texts) < len(fields) or not named:
        reasons.append(_in_time())
    return texts, reasons


def _in_time() -> str:
    return _("There was not enough time to read all of it.")
