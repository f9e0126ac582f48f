"""What an import would do: how many events of which tables, and what they would read like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from django.db import Error, transaction

from ...exceptions import AuditReprError
from ...models import AuditLog, Fidelity
from ...reprs import Outcome, build
from ...sources import Source
from ...utils.time_limit import JobTimeLimit
from ...vendors import get_vendor
from ...vendors.import_types import FoundTable
from ...vendors.types import Event
from .. import preflight
from . import chosen, refusals, running
from .chosen import Chosen, Request

#: Events that a dry run shows.
SHOWN = 10
#: Events of each table that it builds, to find out how certain they will be.
SAMPLE = 20

EXACT, MIXED, FINAL, FAILED = "exact", "mixed", "final", "failed"


#: Those that have events, by source.
Tables = Mapping[str, Sequence[FoundTable]]


class Built(NamedTuple):
    """An event of a source, and what would be stored for it."""

    source: str
    event: Event
    outcome: Outcome

    @property
    def fidelity(self) -> str:
        """Return how certain it would be."""
        if self.outcome.failure:
            return FINAL if self.outcome.failure.final else FAILED
        return EXACT if self.outcome.fidelity == Fidelity.EXACT else MIXED


@dataclass
class Forecast:
    """What an import would do, and why it cannot be done."""

    until: datetime
    sources: list[Source] = field(default_factory=list)
    tables: Tables = field(default_factory=dict)
    built: Sequence[Built] = ()  # the latest events of each table
    refusals: list[AuditReprError] = field(default_factory=list)
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by source
    left: int = 0  # events of the unfinished import, which would be continued

    @property
    def shown(self) -> Sequence[Built]:
        """Return the latest events of all."""
        return self.built[-SHOWN:]

    def fidelity(self, source: str, table: str) -> Counter[str]:
        """Return how many of the latest events of a table would be exact, mixed, and so on."""
        return Counter(
            one.fidelity
            for one in self.built
            if one.source == source and one.event.table_name == table
        )


def forecast(request: Request, *, sample: int = SAMPLE) -> Forecast:
    """Return what :func:`run` would do; nothing is stored.

    :param sample: how many of the latest events of each table are built.
    :raises ImportUnfinished: if another import is unfinished.
    :raises AuditReprError: if a source cannot be read at all.
    """
    preflight.check(request.using)
    with get_vendor(request.using).leaving_nothing():
        return _forecast(replace(request, trial=True), sample)


def _forecast(request: Request, sample: int) -> Forecast:
    alone = list(refusals.of_others(request.using))
    if unfinished := running.continued(request):
        return Forecast(unfinished.until, left=running.left(unfinished), refusals=alone)
    begins = chosen.beginning(request.using)
    found = Forecast(request.until or begins, refusals=alone)
    untimely = list(refusals.of_times(request, begins))
    found.refusals += untimely
    parts = chosen.choose(request, found.until)
    found.sources = list({one.source.name: one.source for one in parts}.values())
    with chosen.reading([source.name for source in found.sources], (Error,)):
        found.left_out = chosen.left_out(request)
        unfit = list(refusals.of_events(request.using, parts))
        found.refusals += unfit
        if not unfit:
            found.tables = chosen.tables(request.using, parts)
            if untimely:
                found.tables = _without_missed(found.tables)
            found.refusals += refusals.of_missed(request, begins, found.tables)
            found.built = _built(request, parts, found.until, sample)
    return found


def _without_missed(tables: Tables) -> Tables:
    """Return these without what the log has missed: the other times are not those of an import."""
    return {name: [one._replace(missed=0) for one in found] for name, found in tables.items()}


def _built(request: Request, parts: Sequence[Chosen], until: datetime, most: int) -> list[Built]:
    """Return the latest events as they would read: imported, built, and rolled back."""
    using = request.using
    built: list[Built] = []
    with transaction.atomic(using):
        # With the import itself, the reasons are those that the job will give.
        if planned := running.plan(request, parts, until, most=most):
            with get_vendor(using).pinned():
                running.import_range(using, parts, planned.first_id - 1, planned.last_id)
            rows = AuditLog.objects.using(using).filter(
                pk__gte=planned.first_id, pk__lte=planned.last_id
            )
            built = _outcomes(using, rows.exclude(action=AuditLog.Action.TRUNCATE).order_by("pk"))
        transaction.set_rollback(True, using)
    return built


def _outcomes(using: str, rows: Iterable[AuditLog]) -> list[Built]:
    represented = list(rows)
    sources = [str((row.context or {})["imported_from"]) for row in represented]
    events = [Event.of(row) for row in represented]
    outcomes = build(events, using, limit=JobTimeLimit.from_settings())
    return list(map(Built, sources, events, outcomes))
