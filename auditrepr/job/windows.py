"""Bounded ranges of ids: no query reads more of the log than one of them."""

from __future__ import annotations

from collections.abc import Iterator

from ..models import AuditLog
from ..vendors.types import BEGINNING

#: Maximum number of IDs that one query covers.
WINDOW = 50_000
#: Windows searched in one turn, so that a run can stop, and renew its lock, in between.
TURN = 20


def windows(
    using: str, after: int, upto: int, width: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield a bounded number of parts of ``(after, upto]`` that contain its events.

    :param width: size of the first part, in IDs; the next ones grow. By default all are ``WINDOW``
        wide.
    """
    for doubled in range(TURN):
        end = min(after + min((width or WINDOW) << doubled, WINDOW), upto)
        yield after, end
        if end == upto:
            return
        # Over a gap in one step, however wide it is.
        later = next_id(using, end, upto)
        after = (upto if later is None else later) - 1


def start_of(using: str, upto: int, after: int = BEGINNING) -> int:
    """Return the ID right before the first event in ``(after, upto]``; `upto` if there is none."""
    first = next_id(using, after, upto)
    return upto if first is None else first - 1


def next_id(using: str, after: int, upto: int) -> int | None:
    """Return the lowest event ID in ``(after, upto]``."""
    rows = AuditLog.objects.using(using).filter(pk__gt=after, pk__lte=upto)
    return rows.order_by("pk").values_list("pk", flat=True).first()
