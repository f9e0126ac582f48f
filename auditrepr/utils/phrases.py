from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches

from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext


class Sentence(str):
    """A sentence in English, as commands print it, that pages can show in the reader's language.

    :param template: marked for translation, with ``%(name)s`` for each fact.
    """

    template: str
    facts: dict[str, object]

    def __new__(cls, template: str, **facts: object) -> Sentence:
        self = super().__new__(cls, template % facts)
        self.template, self.facts = template, facts
        return self

    def translated(self) -> str:
        """Return the sentence in the active language."""
        return gettext(self.template) % self.facts


def noun(number: int, one: str, many: str = "") -> str:
    """Return the noun in the form that goes with the number.

    >>> noun(2, "batch", "batches")
    'batches'
    """
    return one if number == 1 else many or one + "s"


def counted(number: int, one: str, many: str = "") -> str:
    """Return the number and the noun.

    >>> counted(1, "event"), counted(2000, "event")
    ('1 event', '2,000 events')
    """
    return f"{number:,} {noun(number, one, many)}"


def suggested(names: Collection[str], like: str, most: int = 10) -> str:
    """Return which of these names may be meant, in a sentence for an error.

    >>> suggested(["shop.Order", "shop.Line"], "shop.order", most=1)
    'Did you mean shop.Order?'
    """
    if len(names) <= most:
        return f"Audited models: {', '.join(sorted(names)) or 'none'}."
    lower = {name.lower(): name for name in names}
    close = [lower[name] for name in get_close_matches(like.lower(), sorted(lower), 3, cutoff=0.8)]
    if close:
        return f"Did you mean {' or '.join(close)}?"
    first = ", ".join(sorted(names)[:most])
    return f"Audited models: {first} and {len(names) - most:,} more."


def span(seconds: float) -> str:
    """Return a duration in its two largest units: ``"2 h 5 min"``."""
    rest = int(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def timestamp(moment: datetime, *, precise: bool = False) -> str:
    """Return ``2026-01-31 12:00:00+01:00``: ISO 8601 with a space, in the current time zone.

    A naive time, as with ``USE_TZ = False``, has no offset to show.

    :param precise: with its microseconds, where two times are of the same second.
    """
    local = localtime(moment) if is_aware(moment) else moment
    return local.isoformat(sep=" ", timespec="microseconds" if precise else "seconds")
