"""Tests that nothing exact differs from what ``str()`` said when django-auditlog logged."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command

from auditrepr.models import InstanceRepr
from tests.capturing import next_moment
from tests.importing.logged.models import Novel, Parcel, Tag, Writer
from tests.importing.together import begin, switch
from tests.sizes import tries

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = 40
HISTORIES = tries(quick=1, full=40, named="TRUTH_EXAMPLES")


@pytest.fixture(autouse=True)
def empty() -> None:
    begin()
    LogEntry.objects.all().delete()


def step(random: Random) -> None:
    """Change something, as applications do."""
    word = random.choice(["a", "b", "ü", "", "'%", "*"]) * random.randint(1, 3)
    model: Any = random.choice([Writer, Novel, Novel, Parcel, Tag])
    one = random.choice([*model.objects.all(), None])
    action = random.choice("+~~~-")
    if one is None or action == "+":
        _create(model, word)
    elif action == "-":
        one.delete()
    else:
        _change(one, word, random)
    next_moment()


def _create(model: Any, word: str) -> None:
    if model is Novel:
        Novel.objects.create(title=word, writer=Writer.objects.first(), price=Decimal("1.50"))
    elif model is Tag:
        Tag.objects.get_or_create(word=word or "x")
    elif model is Parcel:
        Parcel.objects.create(label=word, pin="1234")
    else:
        Writer.objects.create(name=word)


def _change(one: Any, word: str, random: Random) -> None:
    if isinstance(one, Novel):
        one.price = Decimal(f"{random.randint(0, 999)}.{random.randint(10, 99)}")
        one.tags.set(Tag.objects.all()[: random.randint(0, 2)])
    elif isinstance(one, Parcel):
        one.weight = random.randint(0, 5)
    name = {Novel: "title", Parcel: "label", Tag: "word"}.get(type(one), "name")
    setattr(one, name, word or "x")  # of a tag, that is the key
    one.save()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_nothing_differs(seed: int) -> None:
    random = Random(seed)
    for _ in range(STEPS):
        step(random)
    switch()
    batch_size = random.randint(1, 50)
    call_command("import_audit_log", "auditlog", batch_size=batch_size, verbosity=0)
    call_command("backfill_reprs", verbosity=0)
    rows = InstanceRepr.objects.order_by("pk")
    stored = list(
        rows.values_list("audit_log__table_name", "audit_log__object_id", "instance_repr")
    )
    tables = {
        kind.pk: kind.model_class()._meta.db_table
        for kind in ContentType.objects.filter(app_label="logged")
    }
    said = [
        (tables[kind], key, text)
        for kind, key, text in LogEntry.objects.order_by("pk").values_list(
            "content_type_id", "object_pk", "object_repr"
        )
    ]
    assert [(table, text) for table, _, text in stored] == [
        (table, text) for table, _, text in said
    ]
    assert [key.replace("-", "") for _, key, _ in stored] == [
        key.replace("-", "") for _, key, _ in said
    ]
    fidelities = set(rows.values_list("fidelity", flat=True))
    assert fidelities == {"E", "M"}
