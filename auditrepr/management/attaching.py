"""Attaches the log to another one, or detaches it, and says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..capture import attachment
from ..job import attaching, importing, logs
from ..job.attaching import Attached
from ..job.locks.lease import DatabaseLock
from ..utils.phrases import counted
from ..utils.text import visible
from ..vendors.attach_types import Attachment
from .dry_run import described, table
from .importing import about_erasures_elsewhere


def attach(using: str, source: str, *, dry_run: bool) -> Iterator[str]:
    """Attach the log, and yield lines that say so.

    :raises AuditReprError: if it cannot be done.
    """
    done = attaching.attach(using, source, lock=_lock(using), dry_run=dry_run)
    would = "Would attach" if dry_run else "Attached"
    yield f"{logs.named(using)}: {would} the audit log to {done.table} ({source})."
    if done.unaudited:
        removing = "Would remove" if dry_run else "Removed"
        yield f"{removing} auditrepr's own triggers of {counted(len(done.unaudited), 'table')}."
    if found := importing.erasures(using):
        yield about_erasures_elsewhere(found)
    yield from _built(using, done)


def detach(using: str) -> Iterator[str]:
    """Detach the log, and yield lines that say so.

    :raises AuditReprError: if it cannot be done.
    """
    done = attaching.detach(using, lock=_lock(using))
    yield (
        f"{logs.named(using)}: Detached the audit log from {done.source}, which stays as it is."
        f" Deleted {counted(done.representations, 'representation')} of its events. auditrepr's"
        f" triggers now record {counted(len(done.audited), 'table')}."
    )
    if done.functions:
        yield "Indexes of the other log still call these functions. Drop them together:"
        yield from (f"  {name}" for name in done.functions)


def check(using: str, found: Attachment, say: Callable[[str], None]) -> Iterator[str]:
    """Yield what is wrong with a log that is attached; say what it is attached to."""
    say(f"{using}: attached to {found.source}.")
    if problem := attachment.problem(using, found):
        yield str(problem)


def _built(using: str, done: Attached) -> Iterator[str]:
    if done.built:
        yield "\nThe latest events, as they would read:"
        rows = [described(one.event, one.outcome, using) for one in done.built]
        yield from map(visible, table(rows))


def _lock(using: str) -> DatabaseLock:
    return DatabaseLock(using, of_run=False)
