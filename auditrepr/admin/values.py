"""Values on pages: long ones open in place, and those of megabytes never get there."""

from __future__ import annotations

from dataclasses import replace

from django.utils.translation import gettext as _

from ..readers.changes import FieldChange

#: Maximum number of characters of one value on the page; the raw data can be downloaded whole.
SHOWN = 10_000


def shortened(field: FieldChange) -> FieldChange:
    return replace(field, before=cut(field.before), after=cut(field.after))


def cut(text: str) -> str:
    """Return the beginning of a long text, and how long it is."""
    if len(text) <= SHOWN:
        return text
    length = _("%(number)d characters") % {"number": len(text)}
    return f"{text[:SHOWN]}… ({length})"
