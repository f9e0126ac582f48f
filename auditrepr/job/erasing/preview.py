"""What an erasure would touch; nothing is changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from django.apps import apps
from django.contrib.auth import get_user_model

from ...capture import attachment
from ...models import AuditLog, Checkpoint, InstanceRepr, ReprFailure
from ...models.log_queryset import ACTOR_LENGTH
from ...vendors import get_vendor
from .. import preflight
from . import records, texts
from .changes import change_of, of_others
from .checking import NOT_OURS, check_target
from .known import Known, known
from .needles import MARK
from .run import Asked, parts
from .target import ActorTarget, ObjectTarget


@dataclass
class Preview:
    """What would be touched."""

    known: Known
    own: int = 0  # its own events whose values or keys would be erased
    columns: Counter[str] = field(default_factory=Counter)  # of its own events, by table
    elsewhere: Counter[str] = field(default_factory=Counter)  # columns of other events, by table
    contexts: int = 0
    keys: int = 0  # of its own that would be replaced
    representations: int = 0
    own_representations: int = 0  # that may be built again
    failures: int = 0
    others: Counter[str] = field(default_factory=Counter)  # rows that are about no event, by model
    current: list[str] = field(default_factory=list)  # columns that the current row still fills
    keeps_current: bool = False
    open_transactions: int = 0
    unsettled: int = 0  # events above the watermark
    as_actor: int = 0  # events that the object made, if it is a user
    as_object: str = ""  # the actor's row, if the log has events of it


def preview(asked: Asked) -> Preview:
    """Return what :func:`.run.erase` would touch now.

    :raises MigrationsPending: if one of auditrepr's own migrations is not applied.
    :raises NothingToErase: if the log has no event of the target.
    :raises ColumnUnknown: if no event of it has what is named.
    """
    target = asked.target
    preflight.check_own_tables(target.using)
    attachment.refuse(target.using, NOT_OURS)
    check_target(target)
    found = Preview(known(target, also=set(asked.also), but=set(asked.but)))
    own = set(target.events().values_list("pk", flat=True))
    _count_own(found, asked)
    _count_elsewhere(found, asked, own)
    _note_to_come(found, asked)
    return found


def _count_own(found: Preview, asked: Asked) -> None:
    target = asked.target
    for event in target.events().order_by("pk").iterator(chunk_size=200):
        change = change_of(event, target, found.known.needles, lambda key: MARK)
        found.own += bool(change.chosen or change.keys)
        found.contexts += bool(change.said)
        for column in {*change.chosen.row, *change.chosen.old}:
            found.columns[f"{event.table_name}.{column}"] += 1
    found.keys = len(target.keys)


def _count_elsewhere(found: Preview, asked: Asked, own: set[int]) -> None:
    target, using, needles = asked.target, asked.target.using, found.known.needles
    is_object = isinstance(target, ObjectTarget)
    for after, upto in parts(using, get_vendor(using).reach().visible):
        window = {"audit_log_id__gt": after, "audit_log_id__lte": upto}
        said = InstanceRepr.objects.using(using).filter(**window)
        failed = ReprFailure.objects.using(using).filter(**window)
        found.representations += len(set(texts.representations(said, needles)) - own)
        found.failures += len(set(texts.failures(failed, needles)) - own)
        for change in of_others(target, needles, own, after, upto):
            found.contexts += bool(change.said)
            for column in {*change.chosen.row, *change.chosen.old}:
                found.elsewhere[f"{change.event.table_name}.{column}"] += 1
    if is_object:
        mine = target.events().values("pk")
        rows = InstanceRepr.objects.using(using).filter(audit_log__in=mine)
        found.own_representations = rows.count()
        failures = ReprFailure.objects.using(using).filter(audit_log__in=mine)
        found.failures += len(texts.own_failures(failures))
    for row in texts.others(using, needles, records.unfinished(target)):
        found.others[str(row._meta.verbose_name)] += 1


def _note_to_come(found: Preview, asked: Asked) -> None:
    """Note what may yet bring the same."""
    target, using = asked.target, asked.target.using
    found.open_transactions = len(get_vendor(using).writers().names)
    mark = Checkpoint.of(using, "settled_id") or Checkpoint()
    log = AuditLog.objects.using(using)
    found.unsettled = log.filter(pk__gt=mark.settled_id).count()
    if isinstance(target, ObjectTarget):
        found.current, found.keeps_current = sorted(target.current()), target.keeps_current
        model = target.parts[0].model
        if model is not None and hasattr(model, "get_username"):
            found.as_actor = log.filter(actor=target.key[:ACTOR_LENGTH]).count()
    elif isinstance(target, ActorTarget) and apps.is_installed("django.contrib.auth"):
        user = get_user_model()
        if log.for_model(user).filter(object_id=target.actor).exists():
            found.as_object = f"{user._meta.label}:{target.actor}"
