"""Determines which tables are captured without a gap. A run remembers it while nothing changes.

Surveying every audited table takes as long as building hundreds of representations, so the batches
of a run only ask whether anything has changed since the last survey.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from django.db import transaction

from ..models import Coverage
from ..tracking import TrackedTable, tracked_tables
from ..vendors import get_vendor
from . import coverage, sightings
from .inspection import inspect
from .state import State


class Standing(NamedTuple):
    """What the audited tables allow to conclude from the log."""

    covered: Mapping[str, Coverage]  # the tables that are captured without a gap
    keyless: frozenset[str]  # the tables in which several rows may have had the same key


class _Look(NamedTuple):
    """What a survey of every table has found."""

    connection: Any  # the open one; kept, so that none that is opened later is taken for it
    version: object
    standing: Standing


@dataclass
class _Memory:
    """What a run knows of one database."""

    using: str
    look: _Look | None = None
    sighted: sightings.Sightings = field(default_factory=dict)

    @cached_property
    def tables(self) -> list[TrackedTable]:
        return tracked_tables(self.using)

    def standing(self) -> Standing:
        vendor = get_vendor(self.using)
        # Asked first: what changes during the look shows in the next version.
        version = vendor.catalog_version([table.name for table in self.tables])
        known, raw = self.look, vendor.connection.connection
        if known is not None and known.connection is raw and known.version == version:
            return known.standing
        states, found, self.sighted = _look(self.using, self.tables)
        # Whether a table waits for a migration depends on more than its version.
        waits = any(state.waits and state.capture for state in states)
        self.look = None if waits else _Look(raw, version, found)
        return found


_memory: ContextVar[_Memory | None] = ContextVar("auditrepr_covered", default=None)


@contextmanager
def remembering(using: str) -> Iterator[None]:
    """Remember during the block what is audited and covered in this database.

    Inside a transaction, nothing is remembered: it may change tables, and roll that back.
    """
    within = get_vendor(using).connection.in_atomic_block
    token = _memory.set(None if within else _Memory(using))
    try:
        yield
    finally:
        _memory.reset(token)


def note_sightings(using: str) -> None:
    """Record the partitions that this run has seen, if there are others than it has recorded.

    Call this in the transaction that stores what rests on them.
    """
    memory = _remembered(using)
    if memory and memory.sighted:
        sightings.note(using, memory.sighted)
        transaction.on_commit(memory.sighted.clear, using=using)


def standing(using: str) -> Standing:
    """Return what the audited tables allow to conclude now.

    Call this after reading the current rows that depend on it, so that a gap in between is noticed.
    """
    memory = _remembered(using)
    return memory.standing() if memory else _look(using, tracked_tables(using))[1]


def covered(using: str) -> Mapping[str, Coverage]:
    """Return the coverage of each table that is captured without a gap, by table name."""
    return standing(using).covered


def audited(using: str) -> frozenset[str]:
    """Return the names of the audited tables."""
    memory = _remembered(using)
    return frozenset(table.name for table in (memory.tables if memory else tracked_tables(using)))


def _remembered(using: str) -> _Memory | None:
    memory = _memory.get()
    return memory if memory and memory.using == using else None


def _look(
    using: str, tables: list[TrackedTable]
) -> tuple[list[State], Standing, sightings.Sightings]:
    """Return the states of these tables, what they allow to conclude, and their partitions."""
    states = inspect(using, tables, outdated=False)
    captured = [state for state in states if state.captured]
    known = coverage.rows(using) if captured else {}
    without_gap = {
        state.name: known[state.name]
        for state in captured
        if coverage.restart(state, known.get(state.name)) is None
    }
    # One that has a primary key by now may have had none at an event.
    keyless = {s.name for s in captured if s.capture and not s.capture.keeps_keys_unique}
    keyless |= {name for name, row in known.items() if coverage.KEYLESS in row.columns}
    seen = sightings.of(states, known)
    return states, Standing(without_gap, frozenset(keyless)), seen
