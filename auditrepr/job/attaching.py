"""Attaches the log to another one, and detaches it: each is one transaction, or nothing.

What the job remembers is of the events of one log, by their IDs. So it starts over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from django.db import Error, connections, transaction
from django.utils import timezone

from .. import capture
from ..capture import attachment, search_index
from ..exceptions import (
    AuditReprError,
    LogAttached,
    LogInUse,
    LogNotAttached,
    MayNotReadLog,
    NotAttachable,
    RoundUnfinished,
    SettingsOfOwnLog,
    SourceUnreadable,
)
from ..models import (
    AuditLog,
    Checkpoint,
    InstanceRepr,
    PlannedEvent,
    RebuildCursor,
    SealEntry,
)
from ..reprs import Outcome, build
from ..sources import Source, find
from ..sources.function import FunctionSource
from ..sources.tables.attached_keys import check_tables, find_keys
from ..utils.text import one_line
from ..utils.time_limit import JobTimeLimit
from ..vendors import get_vendor
from ..vendors.attach_types import Keys, LogView, ViewFacts
from ..vendors.types import Event
from . import preflight
from .gone import STORED
from .importing import Request, chosen, refusals
from .locks.base import Lock
from .rounds import shares

#: Events that a dry run shows.
SHOWN = 10
#: All that the job keeps about the events of a log.
REMEMBERED = (*STORED, Checkpoint, RebuildCursor)


class Built(NamedTuple):
    """An event of the other log, and what would be stored for it."""

    event: Event
    outcome: Outcome


@dataclass
class Attached:
    """What was attached, or would be."""

    table: str = ""
    unaudited: list[str] = field(default_factory=list)  # tables that had triggers of ours
    built: Sequence[Built] = ()


@dataclass
class Detached:
    """What was detached."""

    source: str
    representations: int
    functions: list[str]  # that indexes of the other log call
    audited: list[str]


class _Undo(Exception):
    """Raised to roll a dry run back."""


def attach(using: str, name: str, *, lock: Lock, dry_run: bool = False) -> Attached:
    """Make the log a view of another log's table.

    :param lock: the job's lock: a run could store what belongs to the log that is there now.
    :param dry_run: find out what prevents it, and how it would read; change nothing.
    :raises AuditReprError: if it cannot be done; the message says what to do.
    """
    preflight.check(using)
    source = find(name)
    if not get_vendor(using).attachable:
        raise NotAttachable(source=name, reason="only a log in PostgreSQL can be attached to")
    types = _view(using, source).key_types
    with _reading(using, source):
        tables = source.tables(using)
    check_tables(using, name, tables, types)
    keys = find_keys(using, tables, types=types)
    with _alone(using, lock):
        for refusal in _refusals(using, source):
            raise refusal
        if not dry_run:
            with transaction.atomic(using):
                get_vendor(using).create_keys(keys, 1)
        done = Attached()
        try:
            with transaction.atomic(using):
                _attach(using, source, keys, done)
                if dry_run:
                    done.built = _built(using)
                    raise _Undo
        except _Undo:
            pass
    return done


def detach(using: str, *, lock: Lock) -> Detached:
    """Make the log an empty one of our own again; triggers of ours write it from now on.

    Representations go: events of our own get the IDs that those of the other log have.

    :raises LogNotAttached: if it is our own.
    """
    preflight.commits(using)
    preflight.check_own_tables(using)
    found = attachment.attached(using)
    if found is None:
        raise LogNotAttached(alias=using)
    with _alone(using, lock), transaction.atomic(using):
        stored = InstanceRepr.objects.using(using).count()
        functions = get_vendor(using).detach()
        _start_over(using)
        search_index.install(using)
        audited = [state.name for state in capture.install(using)]
    return Detached(found.source, stored, functions, audited)


@contextmanager
def _alone(using: str, lock: Lock) -> Iterator[None]:
    with lock.held():
        if shares.exist(using):
            raise RoundUnfinished
        yield


def _view(using: str, source: Source) -> LogView:
    with _reading(using, source):
        return attachment.view_of(using, source)


@contextmanager
def _reading(using: str, source: Source) -> Iterator[None]:
    """Say of an error in the database what was read, and which right is missing."""
    try:
        with transaction.atomic(using):
            yield
    except (Error, SourceUnreadable) as error:
        cause = error if isinstance(error, Error) else error.__cause__
        said = one_line(cause or error)
        if isinstance(cause, Error) and get_vendor(using).refuses_access(cause):
            role = connections[using].settings_dict["USER"]
            values = {"alias": using, "role": role, "reason": said.rstrip(".")}
            raise MayNotReadLog(source=source.name, **values) from error
        if isinstance(error, SourceUnreadable):
            raise
        raise SourceUnreadable(source=source.name, reason=said) from error


def _refusals(using: str, source: Source) -> Iterator[AuditReprError]:
    """Yield why the log cannot be attached."""
    if found := attachment.attached(using):
        what = "it cannot be attached to two logs"
        yield LogAttached(alias=using, source=found.source, what=what)
    if named := attachment.own_settings():
        yield SettingsOfOwnLog(alias=using, source=source.name, settings=named)
    for what, model in {
        "events": AuditLog, "seals": SealEntry, "an unfinished import": PlannedEvent,
    }.items():  # fmt: skip
        if model._base_manager.using(using).exists():
            yield LogInUse(alias=using, what=what, source=source.name)
    if isinstance(source, FunctionSource):
        until = timezone.now() + timedelta(days=1)
        parts = chosen.choose(Request(using, [source.name]), until)
        yield from refusals.of_events(using, parts)


def _attach(using: str, source: Source, keys: Keys, done: Attached) -> None:
    vendor = get_vendor(using)
    done.unaudited = capture.remove(using)
    # Not earlier: with the triggers, every function of auditrepr goes.
    vendor.attach(source.name, _view(using, source), keys)
    _start_over(using)
    search_index.install(using)
    facts = vendor.view_facts(1)
    if problem := _problem(facts):
        raise NotAttachable(source=source.name, reason=problem)
    (done.table,) = facts.tables
    if facts.indexes and AuditLog.objects.using(using).exists():
        raise attachment.lacking(facts)


def _problem(facts: ViewFacts) -> str:
    """Return why the log would not be true, or would stop, if it were this view."""
    if len(facts.tables) != 1:
        return f"it reads {', '.join(facts.tables) or 'no table'}, and must read one"
    (table,) = facts.tables
    if facts.kind not in ("r", "p"):
        return f"{table} is not a table; select from the one that it reads"
    if not facts.id:
        return (
            f"{table} is read by more than a scan, such as a join, a group, a UNION or tables that"
            " inherit from it"
        )
    if facts.key is None or facts.id != facts.key:
        return f"its position must be the primary key of {table}, as it is"
    if facts.sequence is None:
        return f"the primary key of {table} does not come from a sequence"
    if facts.cache > 1:
        return (
            f"{facts.sequence} has CACHE {facts.cache}, so IDs do not show the order of events"
            f" (ALTER SEQUENCE {facts.sequence} CACHE 1)"
        )
    if not facts.rising:
        return (
            f"{facts.sequence} has a negative INCREMENT or CYCLE, so IDs do not show the order of"
            " events"
        )
    if facts.unindexable:
        return f"no index can have its {facts.unindexable}"
    if facts.hidden:
        return f"row-level security hides rows of {table} from this role"
    return ""


def _start_over(using: str) -> None:
    tables = ", ".join(model._meta.db_table for model in REMEMBERED)
    get_vendor(using).execute([f"TRUNCATE {tables}"])


def _built(using: str) -> list[Built]:
    """Return the latest events as they would read."""
    rows = AuditLog.objects.using(using).exclude(action=AuditLog.Action.TRUNCATE)
    events = [Event.of(row) for row in rows.order_by("-pk")[:SHOWN]][::-1]
    outcomes = build(events, using, limit=JobTimeLimit.from_settings())
    return list(map(Built, events, outcomes))
