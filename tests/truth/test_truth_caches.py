"""Tests random histories whose ``__str__`` uses a cache that live code shares."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from auditrepr.asof.states.states import BESIDE, UNCLEAR
from auditrepr.models import AuditLog, Checkpoint, Fidelity, InstanceRepr, ReprFailure
from tests.app.cached import Item, Shelf
from tests.oracle import HISTORIES, Oracle
from tests.sizes import examples
from tests.truth.world import NAME, NUMBER, any_of, seen

#: What live code may read of a cache that has only today's values.
Stored = dict[str, Any]


class Forgetful(Oracle):
    """Live code: whatever changes, what is cached of it is dropped."""

    def _said(self, wanted: Any = None) -> Any:
        cache.clear()
        return super()._said(wanted)


class Reader(threading.Thread):
    """A thread of live code that looks into the cache while the job runs."""

    def __init__(self, today: Stored) -> None:
        super().__init__(daemon=True)
        self.today = today
        self.ends = threading.Event()
        self.looks = 0
        self.strange: list[Stored] = []

    def run(self) -> None:
        while not self.ends.is_set():
            found = cache.get_many(self.today)
            if found != self.today:
                self.strange.append(found)
            self.looks += 1
            self.ends.wait(0.001)

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.set()
        self.join()


class Cached(RuleBasedStateMachine):
    """Shelves and their items, whose texts live code has cached."""

    def __init__(self) -> None:
        super().__init__()
        for model in (Item, Shelf):
            QuerySet(model).delete()
        for model in (AuditLog, InstanceRepr, ReprFailure, Checkpoint):
            model.objects.all().delete()
        self.oracle = Forgetful([Item, Shelf])
        self.listening = self.oracle.listening()
        self.listening.__enter__()

    @initialize(number=NUMBER)
    def populate(self, number: int) -> None:
        for name in "ab":
            Shelf.objects.create(name=name)
        for n in range(number + 1):
            Item.objects.create(name="c", shelf=any_of(Shelf, n))

    @rule(name=NAME, number=NUMBER)
    def new_item(self, name: str, number: int) -> None:
        Item.objects.create(name=name, shelf=any_of(Shelf, number))

    @rule(name=NAME)
    def new_shelf(self, name: str) -> None:
        Shelf.objects.create(name=name)

    @rule(name=NAME, number=NUMBER, model=st.sampled_from([Item, Shelf]))
    def rename(self, name: str, number: int, model: type[Model]) -> None:
        if one := any_of(model, number):
            one.name = name
            one.save()

    @rule(name=NAME, number=NUMBER)
    def move_and_rename_all(self, name: str, number: int) -> None:
        with transaction.atomic():
            Item.objects.update(name=name, shelf=any_of(Shelf, number))
            Shelf.objects.update(name=name)

    @rule(number=NUMBER, model=st.sampled_from([Item, Shelf]))
    def remove(self, number: int, model: type[Model]) -> None:
        if one := any_of(model, number):
            one.delete()

    @rule()
    def run_the_job(self) -> None:
        today = self.warm()
        held = dict(live()._cache)
        self.listening.__exit__(None, None, None)
        with Reader(today) as reader:
            call_command("backfill_reprs", verbosity=0)
        self.listening = self.oracle.listening()
        self.listening.__enter__()
        assert reader.strange == []
        assert dict(live()._cache) == held
        seen["looks"] += reader.looks

    def warm(self) -> Stored:
        """Live code has said all that there is: the cache is full of today."""
        cache.clear()
        rows = [one for model in (Item, Shelf) for one in QuerySet(model)]
        seen["texts"] += len(list(map(str, rows)))
        return cache.get_many(f"{type(row).__name__.lower()}-{row.pk}" for row in rows)

    def teardown(self) -> None:
        self.run_the_job()
        self.listening.__exit__(None, None, None)
        assert not ReprFailure.objects.exists()
        for one in InstanceRepr.objects.select_related("audit_log"):
            if one.fidelity == Fidelity.EXACT:
                assert one.instance_repr == self.oracle.expected[one.pk], one.audit_log
            else:
                assert set(one.reason.splitlines()) <= DOUBTS[connection.vendor], one.reason
            seen[one.get_fidelity_display()] += 1
        seen["examples"] += 1


#: What SQLite cannot tell apart; and a related set is counted here, so that its order is no doubt.
DOUBTS = {"sqlite": {BESIDE, UNCLEAR}, "postgresql": set()}


def live() -> Any:
    """The backend itself, with what it holds."""
    return caches["default"]


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_what_is_cached_is_the_events_own_and_live_code_never_sees_it() -> None:
    seen.clear()
    run_state_machine_as_test(
        Cached,
        settings=settings(HISTORIES, **examples(quick=2, full=20, named="TRUTH_EXAMPLES")),
    )
    cache.clear()
    sys.stderr.write(f"\n{connection.display_name}, cached: {dict(seen)}\n")
    assert seen["exact"] > 5 * seen["examples"]
    assert seen["looks"] > seen["examples"]
    assert seen["texts"] > seen["examples"]
