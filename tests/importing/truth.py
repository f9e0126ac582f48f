"""Tests that nothing exact differs from what ``str()`` said when django-pghistory recorded.

Both record the same random history; then auditrepr's log begins, and the history goes on.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from auditrepr.models import AuditLog, Import, InstanceRepr, ReprFailure
from tests.importing.models import Novel, Shop, Visit, Writer
from tests.importing.together import begin, switch
from tests.oracle import Oracle, Raised
from tests.sizes import tries

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = 40
HISTORIES = tries(quick=1, full=40, named="TRUTH_EXAMPLES")
MODELS: list[Any] = [Writer, Novel, Shop, Visit]
TITLES = {Novel: "title", Visit: "kind"}
EVENTS = (
    "importing_writerevent, importing_novelevent, importing_shopwhole, importing_shopname,"
    " importing_shopopened, importing_visitevent"
)


class Rolled(Exception):
    """Ends a transaction that is to leave no trace."""


@pytest.fixture
def oracle() -> Oracle:
    for model in reversed(MODELS):
        model.objects.all().delete()
    begin()
    Import.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {EVENTS}")
    return Oracle(MODELS)


def step(random: Random) -> None:
    """Change something, as applications do, often more in one transaction."""
    if random.random() < 0.3:
        try:
            with transaction.atomic():
                for _ in range(random.randint(2, 4)):
                    change(random)
                if random.random() < 0.3:
                    raise Rolled
        except Rolled:
            pass
    else:
        change(random)


def change(random: Random) -> None:
    word = random.choice(["a", "b", "ü", "", "'%", "short"]) * random.randint(1, 3)
    model: Any = random.choice(MODELS)
    one = random.choice([*model.objects.all(), None])
    name = TITLES.get(model, "name")
    match random.choice("+++~~~*-#") if one else "+":
        case "+":
            create(model, word)
        case "~":
            setattr(one, name, word)
            one.save()
        case "*":
            model.objects.filter(pk__lte=one.pk).update(**{name: Concat(F(name), Value(word[:2]))})
        case "-":
            one.delete()
        case "#" if isinstance(one, Shop):
            Shop.objects.update(is_open=random.choice([True, False]))
        case "#":
            refer(random)


def create(model: Any, word: str) -> None:
    if model is Novel:
        Novel.objects.create(title=word, writer=some(Writer, name=word))
    elif model is Visit:
        Visit.objects.create(kind=word, note=word, shop=some(Shop, name=word))
    else:
        model.objects.bulk_create([model(name=word), model(name=f"{word}2")])


def some(model: Any, **values: str) -> Any:
    return model.objects.first() or model.objects.create(**values)


def refer(random: Random) -> None:
    """Change what objects refer to, and in one of them the column that is not tracked."""
    Novel.objects.update(writer=random.choice(list(Writer.objects.all()) or [None]) or F("writer"))
    Visit.objects.filter(shop__isnull=False).update(note=random.choice("xyz"))


Said = dict[tuple[str, str | None], list[str]]


def by_object(oracle: Oracle) -> Said:
    """What was said at the events that django-pghistory has recorded, by their objects."""
    found: Said = defaultdict(list)
    for row in AuditLog.objects.order_by("pk"):
        if row.table_name == "importing_novel" and row.action == "D":
            continue  # not tracked
        if row.table_name == "importing_visit" and set(row.changed_from or ()) == {"note"}:
            continue  # likewise
        found[row.table_name, row.object_id].append(oracle.expected[row.pk])
    return found


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_nothing_exact_differs(seed: int, oracle: Oracle) -> None:
    random = Random(seed)
    with oracle.listening():
        for _ in range(STEPS):
            step(random)
        before = by_object(oracle)
        switch()
        oracle.expected.clear()
        for _ in range(STEPS // 4):
            step(random)
    said = dict(oracle.expected)
    call_command("import_audit_log", "pghistory", batch_size=random.randint(1, 50), verbosity=0)
    call_command("backfill_reprs", verbosity=0)
    found: Any = defaultdict(list)
    assert not ReprFailure.objects.exists()  # nothing that was referred to was missing
    for row in InstanceRepr.objects.select_related("audit_log").order_by("pk"):
        event = row.audit_log
        if "imported_from" in (event.context or {}):
            found[event.table_name, event.object_id].append((row.instance_repr, row.fidelity))
        else:
            assert (row.instance_repr, row.fidelity) == (said[event.pk], "E"), (seed, row.reason)
    assert found.keys() == before.keys()
    for key, texts in before.items():
        assert len(found[key]) == len(texts), (seed, key)
        for (text, fidelity), then in zip(found[key], texts, strict=True):
            assert not isinstance(then, Raised)
            assert text == then or fidelity == "M", (seed, key)
    exact = [text for of_one in found.values() for text, fidelity in of_one if fidelity == "E"]
    assert len(exact) > STEPS / 4
