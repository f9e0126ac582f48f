"""Tests that nothing exact differs from what ``str()`` said when django-simple-history recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.core.management import call_command
from simple_history.signals import post_create_historical_record
from simple_history.utils import bulk_create_with_history

from auditrepr.models import InstanceRepr
from tests.capturing import next_moment
from tests.importing.historical.models import Novel, Place, Restaurant, Tag, Visit, Writer
from tests.importing.together import begin, switch
from tests.sizes import tries

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = 40
HISTORIES = tries(quick=1, full=40, named="TRUTH_EXAMPLES")


@pytest.fixture
def said() -> Iterator[dict[str, list[str]]]:
    """What was said at each row of a history, by the table."""
    found: dict[str, list[str]] = defaultdict(list)

    def listen(sender: Any, instance: Any, **rest: Any) -> None:
        found[type(instance)._meta.db_table].append(str(instance))

    post_create_historical_record.connect(listen)
    begin()
    yield found
    post_create_historical_record.disconnect(listen)


def step(random: Random, said: dict[str, list[str]]) -> None:
    """Change something, as applications do."""
    word = random.choice(["a", "b", "ü", "", "'%"]) * random.randint(1, 3)
    model = random.choice([Writer, Novel, Novel, Visit, Tag, Place, Restaurant])
    one = random.choice([*model.objects.all(), None])
    action = random.choice("+~~~-")
    if one is None or action == "+":
        _create(model, word, random, said)
    elif action == "-":
        one.delete()
    else:
        _change(one, word, random)
    next_moment()


def _create(model: Any, word: str, random: Random, said: dict[str, list[str]]) -> None:
    if model is Writer and random.random() < 0.3:
        bulk_create_with_history([Writer(name=word), Writer(name=f"{word}2")], Writer)
        said["historical_writer"] += [word, f"{word}2"]  # it sends no signal
    elif model is Novel:
        writer = Writer.objects.first() or Writer.objects.create(name=word)
        Novel.objects.create(title=word, writer=writer, price=Decimal("1.50"))
    elif model is Visit:
        Visit.objects.create(kind=random.choice(["short", "long"]) + word, note=word)
    elif model is Tag:
        Tag.objects.get_or_create(word=word or "x")
    elif model is Place:
        Place.objects.create(name=word)
    else:
        Restaurant.objects.create(name=word, stars=random.randint(0, 5))


def _change(one: Any, word: str, random: Random) -> None:
    if isinstance(one, Novel):
        one.price = Decimal(f"{random.randint(0, 999)}.{random.randint(10, 99)}")
        one.tags.set(Tag.objects.all()[: random.randint(0, 2)])
    if isinstance(one, Restaurant):
        one.stars = random.randint(0, 5)
    name = {Novel: "title", Visit: "note", Tag: "word"}.get(type(one), "name")
    setattr(one, name, word or "x")  # of a tag, that is the key
    one.save()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_nothing_exact_differs(seed: int, said: dict[str, list[str]]) -> None:
    random = Random(seed)
    for _ in range(STEPS):
        step(random, said)
    switch()
    batch_size = random.randint(1, 50)
    call_command("import_audit_log", "simple_history", batch_size=batch_size, verbosity=0)
    call_command("backfill_reprs", verbosity=0)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    rows = InstanceRepr.objects.order_by("pk")
    for table, *stored in rows.values_list("audit_log__table_name", "instance_repr", "fidelity"):
        found[table].append((stored[0], stored[1]))
    for table in said.keys() - {"historical_place"}:  # which has two histories
        assert len(found[table]) == len(said[table])
        for (text, fidelity), then in zip(found[table], said[table], strict=True):
            assert text == then or fidelity == "M", (seed, table)
    exact = [text for of_table in found.values() for text, fidelity in of_table if fidelity == "E"]
    assert len(exact) > STEPS / 3
