"""How many partitions are ahead of a partitioned log, for monitoring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from django.db import Error
from django.utils.translation import gettext_noop as _

from ...utils.phrases import Sentence
from ...vendors import get_vendor
from ..reports import Finding

#: With fewer ahead, events would soon come into the open partition.
ENOUGH = 2
#: The kinds of findings.
FEW_AHEAD, BOUNDED = "few partitions", "bounded partition"

_FEW = _(
    'Database "%(database)s": only %(ahead)d partitions of the audit log are ahead of its events.'
    " No write fails, but events without a partition of their own come into the last one."
)
_BOUNDED = _(
    'Database "%(database)s": partition_audit_log was killed: from event %(event)d on, writes to'
    " audited tables would fail."
)
_RUN = _("Run: %(command)s")


@dataclass(frozen=True)
class PartitionState:
    """The partitions of the log."""

    count: int
    ahead: int  # that no event has reached, without the open one
    bounded_at: int | None = None  # from where on writes fail, if closing one was interrupted


def of(using: str) -> PartitionState | None:
    """Return the state of the log's partitions; None if it is not partitioned."""
    vendor = get_vendor(using)
    found = vendor.log_partitions()
    if not found:
        return None
    next_event = vendor.next_event()
    lower = [one.lower for one in found if one.lower is not None and one.upper is not None]
    ahead = sum(begin > next_event for begin in lower)
    return PartitionState(len(found), ahead, vendor.bounded_at())


def findings(using: str) -> Iterator[Finding]:
    """Yield what needs attention; nothing of a log that cannot be read now."""
    with suppress(Error):
        yield from judged(using, of(using))


def judged(using: str, state: PartitionState | None) -> Iterator[Finding]:
    """Yield what needs attention in this state."""
    if state is None:
        return
    remedy = Sentence(_RUN, command=f"manage.py partition_audit_log --database {using}")
    if state.bounded_at is not None:
        text = Sentence(_BOUNDED, database=using, event=state.bounded_at)
        yield Finding(BOUNDED, "", text, remedy)
    if state.ahead < ENOUGH:
        yield Finding(FEW_AHEAD, "", Sentence(_FEW, database=using, ahead=state.ahead), remedy)
