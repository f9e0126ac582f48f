"""Describes events in words, for the admin and for terminals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import Field, JSONField
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..models import AuditLog
from ..utils.table_names import model_for_table
from ..utils.text import visible, visible_lines
from ..vendors.types import erased_on
from .labels import label_of, text_of
from .lookalikes import told_apart

#: A longer value is cut around its first difference from the other one.
VALUE_LENGTH = 60
#: Number of common characters shown before the first difference.
LEAD = 15

#: Texts for the values of an event, by column and whether before it.
Words = Mapping[tuple[str, bool], str]
NO_WORDS: Words = {}
#: The current field for each column, by its name at the event.
Fields = Mapping[str, "Field[Any, Any]"]


class Nothing(str):
    """The words that stand for a value that is none: NULL, the empty text, or an erased one."""


@dataclass(frozen=True)
class FieldChange:
    """One field of one event: its value before and after, as text."""

    label: str
    before: str
    after: str
    changed: bool

    def __str__(self) -> str:
        if not (self.before and self.after):  # of an added or a deleted row
            return f"{self.label}: {_cut(self.before or self.after, 0)}"
        before, after = self.in_brief()
        return f"{self.label}: {before} → {after}"

    def in_brief(self, length: int = VALUE_LENGTH) -> tuple[str, str]:
        """Return both values in one line each; long ones are cut around their difference."""
        both = _around_difference(self.before, self.after, length)
        before, after = map(_in_one_line, both)
        if before == after and self.before != self.after:  # one has a line end, the other "\\n"
            before, after = (_in_one_line(text, backslash="\\\\") for text in both)
        return before, after


def model_label(table_name: str) -> str:
    """Return the model's verbose name for this table, or the table's name if it has no model."""
    model = model_for_table(table_name)
    return str(capfirst(model._meta.verbose_name)) if model else visible(table_name)


def changes(
    event: AuditLog, words: Words = NO_WORDS, known: Fields | None = None
) -> list[FieldChange]:
    """Return what an update changed, in the order of the model's fields."""
    if not event.changed_from:
        return []
    return [change for change in fields(event, words, known) if change.changed]


def fields(
    event: AuditLog, words: Words = NO_WORDS, known: Fields | None = None
) -> list[FieldChange]:
    """Return every field of the event's row; fields of an added row have no value before.

    :param words: what stands for its values (``readers.values``); else they show as logged.
    :param known: the current fields for its columns, if the caller has them.
    """
    row: Mapping[str, Any] = event.row_data or {}
    old: Mapping[str, Any] = event.changed_from or {}
    known = event.recorded_fields() if known is None else known
    columns = [*(c for c in known if c in row or c in old), *(c for c in row if c not in known)]
    columns += [column for column in old if column not in known and column not in row]
    return [_field_change(event, column, known.get(column), words) for column in columns]


def _field_change(
    event: AuditLog, column: str, field: Field[Any, Any] | None, words: Words
) -> FieldChange:
    row, old = event.row_data or {}, event.changed_from or {}
    now = words.get((column, False)) or _value(field, row.get(column))
    before = now
    if column in old:
        before = words.get((column, True)) or _value(field, old[column])
        alike = isinstance(field, JSONField) and _sorted(old[column]) == _sorted(row.get(column))
        if erased_on(old[column]) and erased_on(row.get(column)):
            pass  # nothing tells them apart
        elif alike and before != now:
            now = _("the same, keys in another order")
        else:
            before, now = apart((before, now), (old[column], row.get(column)))
    return FieldChange(
        label=str(field.verbose_name) if field else visible(column),
        before="" if event.action == AuditLog.Action.INSERT else before,
        after="" if event.action == AuditLog.Action.DELETE else now,
        changed=column in old or event.action != AuditLog.Action.UPDATE,
    )


def apart(texts: tuple[str, str], values: tuple[Any, Any]) -> tuple[str, str]:
    """Return the texts of two values so that a reader can tell them apart.

    If they read the same, as two objects of the same name do, the values stand next to them.
    """
    shown = texts
    for way in (partial(_value, None), _escaped):
        if shown[0] != shown[1]:
            return told_apart(*shown)
        shown = f"{texts[0]} ({way(values[0])})", f"{texts[1]} ({way(values[1])})"
    return shown if shown[0] != shown[1] else texts


def _value(field: Field[Any, Any] | None, value: Any) -> str:
    if value is None:
        return no_value(value)
    if day := erased_on(value):
        return Nothing(_("[erased on %(day)s]") % {"day": day})
    return in_lines(text_of(label_of(field, value)))


def _escaped(value: Any) -> str:
    try:
        return ascii(value)
    except Exception:  # the code of the value's type may raise anything
        return ascii(text_of(value))


def no_value(value: Any) -> Nothing:
    """Return the words for NULL, or for the empty text."""
    return Nothing(_("(none)") if value is None else _("(empty)"))


def in_lines(text: str) -> str:
    """Return a value's text, with what cannot be seen written out, but for its line ends.

    A text that reads as the words for no value is put in quotation marks.
    """
    if not text:
        return no_value(text)
    return f"“{text}”" if text in (_("(none)"), _("(empty)")) else visible_lines(text)


def _in_one_line(text: str, backslash: str = "\\") -> str:
    return text if isinstance(text, Nothing) else visible(text.replace("\\", backslash))


def _sorted(value: Any) -> str:
    """Return a JSON value with its keys in order, and everything else as it is.

    The log of SQLite holds it as the table does: as text, in which `str()` may show their order.
    """
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    try:
        return repr(json.loads(text, object_pairs_hook=_in_order, parse_float=str))
    except ValueError:
        return text


def _in_order(pairs: list[tuple[str, Any]]) -> list[Any]:
    return ["{}", *sorted((key, repr(value)) for key, value in pairs)]


def _around_difference(before: str, after: str, length: int = VALUE_LENGTH) -> tuple[str, str]:
    if max(len(before), len(after)) <= length:
        return before, after
    pairs = zip(before, after, strict=False)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(before), len(after)))
    start = max(0, same - LEAD)
    return _cut(before, start, length), _cut(after, start, length)


def _cut(text: str, start: int, length: int = VALUE_LENGTH) -> str:
    if isinstance(text, Nothing):
        return text
    end = start + length
    return f"{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}"
