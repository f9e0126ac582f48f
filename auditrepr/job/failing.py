"""Counts the events that failed in a run, by model, with the first error of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..lineage import recent_renames
from ..reprs import Outcome
from ..vendors.types import Event
from .reports import Finding


class First(NamedTuple):
    """The first event of a table that failed, and why."""

    event: Event
    error_class: str
    message: str


@dataclass
class Failing:
    """The events that a run tried, and those that failed, by their tables in the log."""

    tried: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    still: Counter[str] = field(default_factory=Counter)  # failed before, and again
    first: dict[str, First] = field(default_factory=dict)

    def count(self, events: Sequence[Event], failed: Sequence[Outcome]) -> None:
        """Count the events of a batch, and the outcomes of those that failed."""
        self.tried.update(event.table_name for event in events)
        self._count(self.failed, events, failed)

    def count_again(self, events: Sequence[Event], failed: Sequence[Outcome]) -> None:
        """Count those that failed of events that had failed before."""
        self._count(self.still, events, failed)

    def _count(
        self, counter: Counter[str], events: Sequence[Event], failed: Sequence[Outcome]
    ) -> None:
        by_id = {event.id: event for event in events} if failed else {}
        for outcome in failed:
            event, failure = by_id[outcome.id], outcome.failure
            counter[event.table_name] += 1
            if failure and event.table_name not in self.first:
                self.first[event.table_name] = First(event, failure.error_class, failure.message)

    def add(self, later: Failing) -> None:
        """Add what a later turn counted."""
        self.tried.update(later.tried)
        self.failed.update(later.failed)
        self.still.update(later.still)
        self.first = later.first | self.first


def findings(using: str, failing: Failing) -> Iterator[Finding]:
    """Yield a finding for each model whose events failed.

    A model of which a run could build no event is a finding of its own: it is reported even if
    another one about the same model was reported within the hour.
    """
    for table, first in failing.first.items():
        model = recent_renames(using).model(first.event)
        label = model._meta.label if model else table
        said = f"{first.error_class}: {first.message}".rstrip(": ")
        counts = _counts(label, failing.tried[table], failing.failed[table], failing.still[table])
        subject = f"{label} {first.error_class}"
        text = f"{counts}: {said} (event {first.event.id})"
        yield Finding("failing", subject, text)
        if 0 < failing.tried[table] == failing.failed[table]:
            yield Finding("all-failing", subject, text)


def _counts(label: str, tried: int, failed: int, still: int) -> str:
    again = "fails still" if still == 1 else "fail still"
    if not failed:
        return f"{still:,} {'event' if still == 1 else 'events'} of {label} {again}"
    if failed < tried:
        events = f"{failed:,} of {tried:,} events"
    else:
        events = f"All {failed:,} events" if failed > 1 else "The only event"
    return f"{events} of {label} failed" + (f", and {still:,} {again}" if still else "")
