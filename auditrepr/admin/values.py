"""Values as HTML: lines as lines, blanks at the ends and changed ones visible, long ones folded.

What stands for no value looks unlike any value. A value of megabytes never gets into a page.
"""

from __future__ import annotations

import re
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from ..readers.changes import FieldChange, Nothing

#: Maximum number of characters of one value on the page; the raw data can be downloaded whole.
SHOWN = 10_000
#: A longer value opens in place.
FOLDED = 400
#: Characters of a folded value that are shown.
IN_BRIEF = 160

#: What is shown for a blank that could be missed.
MARKS = {" ": "·", "\t": "⇥", "\n": "↵", "\r": "␍", "\N{NO-BREAK SPACE}": "⍽"}
_ENDS = re.compile(r"^\s+|\s+$")
_BLANK = re.compile(r"\s")


def values_of(field: FieldChange) -> dict[str, Any]:
    """Return the field's label, and its two values as HTML."""
    marked = _differ_in_blanks(field.before, field.after)
    briefly = field.in_brief(IN_BRIEF)
    before, after = (
        _value(text, brief, marked)
        for text, brief in zip((field.before, field.after), briefly, strict=True)
    )
    return {"label": field.label, "before": before, "after": after}


def change_line(change: FieldChange) -> SafeString:
    """Return the change in one line; of an added or a deleted row, the value."""
    if not (change.before and change.after):
        before, after = change.in_brief()
        return format_html("{}: {}", change.label, _marked(before or after, marked=False))
    marked = _differ_in_blanks(change.before, change.after)
    before, after = (_marked(text, marked) for text in change.in_brief())
    return format_html("{}: {} → {}", change.label, before, after)


def cut(text: str) -> str:
    """Return the beginning of a long text, and how long it is."""
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]}… ({_length(text)})"


def _value(text: str, brief: str, marked: bool) -> SafeString:
    if isinstance(text, Nothing) or not text:
        return _nothing(text) if text else SafeString("")
    whole = format_html('<bdi class="value">{}</bdi>', _marked(cut(text), marked))
    if len(text) <= FOLDED:
        return whole
    return format_html(
        "<details><summary><bdi>{}</bdi> ({})</summary>{}</details>", brief, _length(text), whole
    )


def _nothing(text: str) -> SafeString:
    return format_html('<em class="quiet">{}</em>', text)


def _length(text: str) -> str:
    return _("%(number)d characters") % {"number": len(text)}


def _marked(text: str, marked: bool) -> SafeString:
    """Return the text with marks for the blanks at its ends, or for all of them."""
    if isinstance(text, Nothing):
        return _nothing(text)
    parts: list[SafeString] = []
    at = 0
    for found in (_BLANK if marked else _ENDS).finditer(text):
        parts += [format_html("{}", text[at : found.start()]), _marks(found[0])]
        at = found.end()
    return mark_safe("".join([*parts, format_html("{}", text[at:])]))  # noqa: S308 - all escaped


def _marks(blanks: str) -> SafeString:
    shown = ((_mark(one), one if one == "\n" else "") for one in blanks)
    return format_html_join("", '<span class="quiet">{}</span>{}', shown)


def _mark(blank: str) -> str:
    """Return what is shown for a blank; one of an unusual width is written out."""
    return MARKS.get(blank) or ascii(blank)[1:-1]


def _differ_in_blanks(one: str, other: str) -> bool:
    """Return whether only blanks or line ends differ, so that all of them must be visible."""
    return one != other and one.split() == other.split()
