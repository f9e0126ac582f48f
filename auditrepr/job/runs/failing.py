"""Counts the events that failed in a run, by model, with the first error of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...lineage import recent_renames
from ...reprs import Outcome
from ...vendors.types import Event
from .. import reports
from ..reports import Finding


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
    final: Counter[str] = field(default_factory=Counter)
    first: dict[str, First] = field(default_factory=dict)
    first_final: dict[str, First] = field(default_factory=dict)

    def count(
        self, events: Sequence[Event], failed: Sequence[Outcome], final: Sequence[Outcome] = ()
    ) -> None:
        """Count the events of a batch, and the outcomes of those that failed or are final."""
        self.tried.update(event.table_name for event in events)
        self._count(self.failed, events, failed)
        self._count(self.final, events, final, self.first_final)

    def count_again(self, events: Sequence[Event], failed: Sequence[Outcome]) -> None:
        """Count those that failed of events that had failed before."""
        self._count(self.still, events, failed)

    def _count(
        self,
        counter: Counter[str],
        events: Sequence[Event],
        failed: Sequence[Outcome],
        known: dict[str, First] | None = None,
    ) -> None:
        first = self.first if known is None else known
        by_id = {event.id: event for event in events} if failed else {}
        for outcome in failed:
            event, failure = by_id[outcome.id], outcome.failure
            counter[event.table_name] += 1
            if failure and event.table_name not in first:
                first[event.table_name] = First(event, failure.error_class, failure.message)

    def add(self, later: Failing) -> None:
        """Add what a later turn counted."""
        self.tried.update(later.tried)
        self.failed.update(later.failed)
        self.still.update(later.still)
        self.final.update(later.final)
        self.first = later.first | self.first
        self.first_final = later.first_final | self.first_final

    def to_report(self) -> Iterator[tuple[str, First, bool]]:
        """Yield the tables to report: the first event of each, and whether none was built.

        Final events are not failures, unless they are all that there was of their table.
        """
        for table, first in (self.first_final | self.first).items():
            none_built = 0 < self.tried[table] == self.failed[table] + self.final[table]
            if none_built or table in self.first:
                yield table, first, none_built


def to_tell(using: str, failing: Failing) -> list[str]:
    """Return what to report now of the models whose events failed, each text once."""
    found = list(findings(using, failing))
    told = reports.to_tell(using, {reports.FAILURES: found}) if found else []
    return list(dict.fromkeys(finding.text for finding in told))


def findings(using: str, failing: Failing) -> Iterator[Finding]:
    """Yield a finding for each model whose events failed.

    A model of which a run could build no event is a finding of its own: it is reported even if
    another one about the same model was reported within the hour, and even if all are final.
    """
    for table, first, none_built in failing.to_report():
        model = recent_renames(using).model(first.event)
        label = model._meta.label if model else table
        said = f"{first.error_class}: {first.message}".rstrip(": ")
        failed = failing.failed[table] + (failing.final[table] if none_built else 0)
        counts = _counts(label, failing.tried[table], failed, failing.still[table])
        subject = f"{label} {first.error_class}"
        text = f"{counts}: {said} (event {first.event.id})"
        yield Finding("failing", subject, text)
        if none_built:
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
