"""Runs a story, and compares what the job stores with the text at each event."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.apps import apps
from django.core.management import call_command
from django.db.models import Model

from auditrepr.models import AuditLog, Fidelity, ReprFailure
from auditrepr.utils.table_names import log_name
from tests.oracle import Oracle


@dataclass(frozen=True)
class Told:
    """The representations and failures of a story."""

    events: int
    exact: int
    mixed: dict[str, set[str]]  # by table, why
    raised: dict[str, set[str]]  # by table, what ``__str__`` raised, which it did then too


def tell(story: Callable[[], None], others: Collection[str]) -> Told:
    """Run a story and the job; check every exact text, and every error, against the oracle.

    :param others: apps whose rows are not objects of the story.
    """
    AuditLog.objects.all().delete()
    models = _models(others)
    oracle = Oracle(models, rehearse=True)
    with oracle.listening():
        story()
    call_command("backfill_reprs", verbosity=0)
    assert not AuditLog.objects.pending().exists()
    tables = [log_name(model._meta.db_table) for model in models]
    events = list(AuditLog.objects.filter(table_name__in=tables).with_reprs())
    assert {event.pk for event in events} <= set(oracle.expected)  # some were rolled back
    raised = {
        failure.audit_log_id: failure.error_class.rpartition(".")[2]
        for failure in ReprFailure.objects.all()
    }
    stored = {event.pk: event.instance_repr for event in events if event.pk not in raised}
    exact = {pk: one.instance_repr for pk, one in stored.items() if one.fidelity == Fidelity.EXACT}
    differ = [
        (event, oracle.expected[event.pk], said)
        for event in events
        if (said := (exact | raised).get(event.pk)) not in (None, oracle.expected[event.pk])
    ]
    assert not differ, differ
    told = Told(len(events), len(exact), {}, {})
    for event in events:
        if event.pk in raised:
            told.raised.setdefault(event.table_name, set()).add(raised[event.pk])
        elif event.pk not in exact:
            told.mixed.setdefault(event.table_name, set()).add(stored[event.pk].reason)
    return told


def _models(others: Collection[str]) -> list[type[Model]]:
    found = [model for model in apps.get_models() if model._meta.app_label not in others]
    return [model for model in found if model._meta.managed and not model._meta.proxy]
