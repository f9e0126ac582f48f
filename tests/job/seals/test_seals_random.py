"""Random histories of a sealed log: each single change is found and named, and no lawful one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditrepr.job.importing.chosen import last_id
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.retention import prune
from auditrepr.job.seals import chain, sealing, verifying
from auditrepr.job.seals.regions import Regions
from auditrepr.models import AuditLog, Checkpoint, Coverage, Import, SealEntry
from auditrepr.vendors.types import BEGINNING
from tests.sealing import ids, kept_now, swap, verify
from tests.sizes import examples

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sized]

START = datetime(2020, 1, 1, tzinfo=UTC)
TEXTS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
JSON = st.none() | st.dictionaries(st.sampled_from("ab"), st.integers() | st.booleans(), max_size=2)
WRITE = st.tuples(st.just("write"), st.lists(st.tuples(st.integers(1, 3), TEXTS, JSON), max_size=9))
SEAL = st.tuples(st.just("seal"), st.integers(0, 4))
PRUNE = st.tuples(st.just("prune"), st.integers(0, 100), st.booleans(), st.integers(1, 9))
IMPORT = st.tuples(st.just("import"), st.integers(1, 9), st.integers(0, 9))
HISTORY = st.lists(WRITE | SEAL | PRUNE | IMPORT, min_size=2, max_size=9)

COLUMNS: dict[str, Any] = {
    "table_name": "x",
    "object_id": "changed",
    "previous_object_id": "changed",
    "action": "T",
    "row_data": {"changed": 1},
    "changed_from": {"changed": 1},
    "context": {"user": "changed"},
    "writer": "changed",
    "transaction_id": 2**50,
    "snapshot": "9:9:",
    "statement_at": START - timedelta(1),
    "occurred_at": START - timedelta(1),
}


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "EVENTS", 4)
    monkeypatch.setattr(verifying, "EVENTS", 9)


class Log:
    """A log that is written, sealed, pruned, and imported into."""

    def __init__(self) -> None:
        for model in (AuditLog, SealEntry, Import, Checkpoint):
            model.objects.all().delete()
        Coverage.objects.update(since_event=0)  # what is imported comes before
        self.top = 0
        self.number = 0

    def event(self, pk: int, text: str | None, row: Any) -> AuditLog:
        self.number += 1
        at = START + timedelta(minutes=pk)
        return AuditLog(
            id=pk, table_name="t", object_id=f"{self.number % 5}", action="U", row_data=row,
            changed_from={"n": self.number}, writer=text, occurred_at=at,
        )  # fmt: skip

    def write(self, rows: Any) -> None:
        made = []
        for gap, text, row in rows:
            self.top += gap
            made.append(self.event(self.top, text, row))
        AuditLog.objects.bulk_create(made)

    def seal(self, unsettled: int) -> None:
        Checkpoint.objects.update_or_create(pk=1, defaults={"settled_id": self.top - unsettled})
        with DatabaseLock("default") as lock:
            sealing.seal("default", lock, lambda progress: None, lambda: False)

    def prune(self, share: int, keep_last: bool, size: int) -> None:
        if there := ids():
            upto = there[len(there) * share // 100 :][:1] or [there[-1] + 1]
            before = START + timedelta(minutes=upto[0])
            lock = DatabaseLock("default")
            prune.prune("default", before, lock=lock, keep_last=keep_last, batch_size=size)

    def import_(self, count: int, left: int) -> None:
        """Go on with the import that is unfinished, or begin one; leave so many events of it."""
        found = Import.objects.filter(finished_at=None).first()
        if found is None:
            last = last_id("default")
            found = Import.objects.create(
                sources=["s"], parts=[], until=START, first_id=last + 1 - count, last_id=last
            )
        upto = ids()[0] - 1 if ids() and ids()[0] <= found.last_id else found.last_id
        after = min(upto, found.first_id - 1 + left)
        AuditLog.objects.bulk_create(self.event(pk, None, {}) for pk in range(after + 1, upto + 1))
        Checkpoint.objects.update(settled_id=BEGINNING)
        if after < found.first_id:
            Import.objects.filter(pk=found.pk).update(finished_at=timezone.now())

    def live(self, history: Any) -> None:
        for what, *options in history:
            getattr(self, {"import": "import_"}.get(what, what))(*options)


def sealed_ids() -> list[int]:
    """The IDs that are sealed, whether or not there are events."""
    regions = Regions("default")
    entries = list(chain.ranges("default"))
    lowest = min([0, *ids()]) - 3
    return [
        pk
        for pk in range(lowest, chain.sealed_upto("default") + 1)
        if any(after < pk <= upto for entry in entries for after, upto in regions.of(entry))
    ]


def named() -> set[int]:
    """The events that a verification names."""
    found = verify()
    assert found.differing == len(found.differences)
    return {int(re.search(r": event (-?\d+) ", what)[1]) for what in found.differences}


@pytest.mark.proof
@settings(
    **examples(20, 1000, "SEAL_EXAMPLES"),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(HISTORY, st.data())
def test_each_change_is_found_and_named_and_no_lawful_one(history: Any, data: Any) -> None:
    log = Log()
    half = len(history) // 2
    log.live([("write", [(1, None, {})]), *history[:half], ("seal", 0)])
    kept = kept_now()
    log.live(history[half:])
    log.seal(0)
    if chain.last("default") is None:
        return  # an import was unfinished all the time
    assert verify(against=kept or None).differences == []
    places = sealed_ids()
    there = [pk for pk in ids() if pk in set(places)]
    gaps = [pk for pk in places if pk not in set(there)]
    expected = tamper(data, there, gaps)
    assert named() == expected


def tamper(data: Any, there: list[int], gaps: list[int]) -> set[int]:
    """Change the log in one way; gives the events that are to be named."""
    ways = ["insert"] if gaps else []
    ways += ["change", "delete"] if there else []
    ways += ["swap"] if len(there) > 1 else []
    if not ways:
        return set()
    way = data.draw(st.sampled_from(ways))
    if way == "insert":
        pk = data.draw(st.sampled_from(gaps))
        AuditLog.objects.create(id=pk, table_name="t", action="U", row_data={}, occurred_at=START)
        return {pk}
    pk = data.draw(st.sampled_from(there))
    if way == "swap":
        other = data.draw(st.sampled_from([one for one in there if one != pk]))
        swap(pk, other)
        return firsts({pk, other})
    if way == "delete":
        AuditLog.objects.filter(pk=pk).delete()
    else:
        column = data.draw(st.sampled_from(sorted(COLUMNS)))
        AuditLog.objects.filter(pk=pk).update(**{column: COLUMNS[column]})
    return {pk}


def firsts(events: set[int]) -> set[int]:
    """The first of these events in each range."""
    regions = Regions("default")
    found = set()
    for entry in chain.ranges("default"):
        within = [pk for pk in events for after, upto in regions.of(entry) if after < pk <= upto]
        found |= {min(within)} if within else set()
    return found
