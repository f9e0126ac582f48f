"""Imports events that say otherwise which row they are of, or come from several event models.

tests/job/importing/test_import_pghistory.py runs it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction

from auditrepr.exceptions import SourceUnavailable
from auditrepr.models import AuditLog
from auditrepr.sources import find
from tests.importing.keys import (
    Instant,
    Jumbled,
    Kept,
    Nameplate,
    Otherwise,
    Scattered,
    Split,
    Unreferred,
)
from tests.importing.models import Novel
from tests.importing.together import Event, begin, recorded, switch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty() -> None:
    begin()
    tables = [
        model._meta.db_table
        for model in apps.get_models()
        if getattr(model, "pgh_tracked_model", Novel).__module__ == Kept.__module__
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)}")


def both(model: Any) -> tuple[list[Event], list[Event]]:
    """Return what our triggers have recorded of the model, and what was imported."""
    seen = switch()[model._meta.model_name]
    call_command("import_audit_log", "pghistory", verbosity=0, models=[model._meta.label])
    return seen, recorded()[model._meta.model_name]


def test_events_of_a_deleted_object_have_its_key() -> None:
    """The reference to the object is null by then."""
    ann, _ = Kept.objects.create(name="Ann"), Kept.objects.create(name="Bea")
    ann.name = "Eve"
    ann.save()
    ann.delete()
    seen, found = both(Kept)
    assert found == seen
    assert len({key for key, *_ in found}) == 2


def test_events_that_have_lost_the_key_are_left_out_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ann, bea = Nameplate.objects.create(name="Ann"), Nameplate.objects.create(name="Bea")
    key = str(ann.pk)
    ann.name = "Eve"
    ann.save()
    ann.delete()
    switch()
    call_command("import_audit_log", "pghistory", dry_run=True, models=[Nameplate._meta.label])
    out = capsys.readouterr().out
    assert "  Left out: 2 events of importing_plateevent, without the key of the object" in out
    call_command("import_audit_log", "pghistory", verbosity=0, models=[Nameplate._meta.label])
    # The deletion was recorded afterwards.
    assert recorded()["nameplate"] == [
        (str(bea.pk), "I", {"name": "Bea"}, None), (key, "D", {"name": "Eve"}, None),
    ]  # fmt: skip


def test_a_key_is_written_as_our_triggers_write_it() -> None:
    instant = datetime(2020, 1, 1, 12, 0, 0, 5000, tzinfo=UTC)
    Instant.objects.create(at=instant, name="Ann")
    Instant.objects.update(name="Bea")
    seen, found = both(Instant)
    assert found == seen
    assert found[0][0] == "2020-01-01T12:00:00.005+00:00"


def test_events_without_a_reference_have_the_key_too() -> None:
    Unreferred.objects.create(name="Ann").delete()
    seen, found = both(Unreferred)
    assert found == seen


def test_the_column_that_orders_events_may_have_another_name() -> None:
    Otherwise.objects.create(name="Ann")
    Otherwise.objects.update(name="Bea")
    Otherwise.objects.get().delete()
    seen, found = both(Otherwise)
    assert found == seen


def test_actions_of_several_event_models_are_one_history() -> None:
    ann = Split.objects.create(name="Ann")
    Split.objects.update(name="Bea")
    Split.objects.create(name="Cid").delete()
    ann.delete()
    seen, found = both(Split)
    assert found == seen
    assert [action for _, action, *_ in found] == ["I", "U", "I", "D", "D"]


def replaced() -> None:
    """Write a row again under its key, in one transaction."""
    old = Split.objects.create(id=5, name="Old")
    with transaction.atomic():
        old.delete()
        with transaction.atomic():
            new = Split.objects.create(id=5, name="New")
        new.name = "Newer"
        new.save()
    Split.objects.create(id=6, name="Six").delete()


def test_what_one_transaction_has_done_is_in_its_order() -> None:
    replaced()
    seen, found = both(Split)
    assert found == seen
    assert [action for _, action, *_ in found] == ["I", "D", "I", "U", "I", "D"]


def test_in_a_restored_database_it_is_in_the_usual_order() -> None:
    replaced()
    for model in ("splitevent", "splitgone"):
        table = f"importing_{model}"
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE dump AS TABLE {table}")
            cursor.execute(f"TRUNCATE {table}")
            cursor.execute(f"INSERT INTO {table} SELECT * FROM dump ORDER BY pgh_id")
            cursor.execute("DROP TABLE dump")
    _, found = both(Split)
    assert [action for _, action, *_ in found] == ["I", "I", "U", "D", "I", "D"]


def test_events_of_several_tables_are_in_the_order_of_their_transaction() -> None:
    with transaction.atomic():
        Unreferred.objects.create(name="first")
        Kept.objects.create(name="second")
        Unreferred.objects.update(name="third")
        Unreferred.objects.all().delete()
        Kept.objects.update(name="last")
    seen = [name for (name,) in AuditLog.objects.order_by("pk").values_list("table_name")]
    switch()
    models = [Kept._meta.label, Unreferred._meta.label]
    call_command("import_audit_log", "pghistory", verbosity=0, models=models)
    found = [name for (name,) in AuditLog.objects.order_by("pk").values_list("table_name")]
    assert found == seen
    assert len(set(seen)) == 2


def test_what_was_added_changed_and_deleted_in_one_transaction() -> None:
    with transaction.atomic():
        one = Scattered.objects.create(name="Ann")
        one.name = "Bea"
        one.save()
        ends = {"id": one.pk}
        one.delete()
    seen, found = both(Scattered)
    assert [event[:2] for event in found] == [event[:2] for event in seen]
    assert [event[2] for event in found] == [ends, seen[1][2], ends]
    # What the row was before has fewer columns.
    assert found[1][3] is None


def test_each_action_is_read_once_of_the_event_model_with_the_most_columns() -> None:
    one = Scattered.objects.create(name="Ann")
    one.name = "Bea"
    one.save()
    names = [part.name for part in find("pghistory").parts("default", ["importing_scattered"])]
    assert names == [
        "importing_scatteredends, insert",
        "importing_scatteredchanges",
        "importing_scatteredends, delete",
    ]
    left = find("pghistory").left_out("default", ["importing_scattered"])
    assert left == {"importing_scatterednames, named": 1}
    seen, found = both(Scattered)
    assert [event[1] for event in found] == ["I", "U"]
    assert found[1][2] == seen[1][2]


def test_events_without_an_order_are_left_out_and_it_says_why() -> None:
    Jumbled.objects.create(name="Ann")
    (left,) = find("pghistory").left_out("default", ["importing_jumbled"]).items()
    assert left == (
        "importing_jumbledunnumbered, insert, in no order: their key is not a number",
        1,
    )
    with pytest.raises(SourceUnavailable, match="no model has a tracker"):
        find("pghistory").parts("default", ["importing_jumbled"])
