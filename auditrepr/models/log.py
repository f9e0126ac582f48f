"""The log: one row for each change of an audited row, written by the triggers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models, router
from django.db.models import Exists, Field, OuterRef, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Left, Now
from django.utils.translation import gettext_lazy as _

from ..fields import RowField
from ..isolation.query_caches import Afresh
from ..lineage import recent_renames
from ..utils.table_names import log_name
from ..vendors import get_vendor
from ..vendors.types import Event
from .reprs import InstanceRepr, ReprFailure

if TYPE_CHECKING:
    from ..reprs import Outcome


#: Characters by which a user's events are found: an index of PostgreSQL takes some 2 700 bytes.
ACTOR_LENGTH = 200


class AuditLogQuerySet(models.QuerySet["AuditLog"]):
    """Selections of audit rows, in the words of the domain."""

    def for_object(self, instance: models.Model) -> AuditLogQuerySet:
        """The events of this object; those of its parents' tables, too, if it inherits from them.

        An update that took the object's key away, and gave it another, is among them.
        """
        renames = recent_renames(self.db)
        vendor = get_vendor(self.db)
        chosen = models.Q()
        for model in (type(instance), *instance._meta.all_parents):
            pk = model._meta.pk
            if not model._meta.proxy:
                (key,) = vendor.key_texts(pk, [instance._get_pk_val(model._meta)])
                table = renames.lineage(log_name(model._meta.db_table)).events()
                chosen |= table & (models.Q(object_id=key) | models.Q(previous_object_id=key))
        return self.filter(chosen)

    def for_model(self, model: type[models.Model]) -> AuditLogQuerySet:
        """The events of this model's own table, by whatever name it had."""
        return self.filter(recent_renames(self.db).lineage(log_name(model._meta.db_table)).events())

    def by(self, user: Any) -> AuditLogQuerySet:
        """The events whose context names this user: a user, a primary key, or a text."""
        name = str(user.pk if isinstance(user, models.Model) else user)
        return self.filter(actor=name[:ACTOR_LENGTH])

    def between(self, begin: datetime, end: datetime) -> AuditLogQuerySet:
        """The events from the one time on, and before the other."""
        return self.filter(occurred_at__gte=begin, occurred_at__lt=end)

    def with_reprs(self) -> AuditLogQuerySet:
        """Together with ``instance_repr``, and ``repr_failure``, where there is one."""
        return self.select_related("instance_repr", "repr_failure")

    def pending(self, *, after: int | None = None, upto: int | None = None) -> AuditLogQuerySet:
        """Rows with neither a representation nor a quarantine entry.

        A TRUNCATE has no object, so it never waits for one. On a large log give both bounds of
        the ids: without them, this looks at every row.
        """
        # The bounds stand in each part: a planner does not carry them over by itself.
        bounds = {"pk__gt": after, "pk__lte": upto}
        window = {bound: pk for bound, pk in bounds.items() if pk is not None}
        row = OuterRef("pk")
        return (
            self.filter(**window)
            .exclude(action=self.model.Action.TRUNCATE)
            .filter(
                ~Exists(InstanceRepr.objects.filter(audit_log=row, **window)),
                ~Exists(ReprFailure.objects.filter(audit_log=row, **window)),
            )
        )


class AuditLog(models.Model):
    """One event: one row of an audited table that was inserted, updated or deleted.

    Triggers write it; nothing in Python does.
    """

    class Action(models.TextChoices):
        INSERT = "I", _("added")
        UPDATE = "U", _("changed")
        DELETE = "D", _("deleted")
        TRUNCATE = "T", _("emptied")

    id = models.BigAutoField(primary_key=True)
    table_name = models.TextField(_("table"))
    object_id = models.TextField(
        _("object"),
        null=True,
        help_text=_("The primary key as text; a JSON array if it has several columns."),
    )
    previous_object_id = models.TextField(
        null=True, help_text=_("Set where an update changed the primary key: the one before.")
    )
    action = models.CharField(_("action"), max_length=1, choices=Action)
    row_data = RowField(
        null=True,
        help_text=_("The whole row: after an insert or update, before a delete."),
    )
    changed_from = RowField(
        null=True,
        help_text=_("For an update: what each changed column held before."),
    )
    context = models.JSONField(
        null=True, help_text=_("Who and why, where the application said so.")
    )
    actor = models.GeneratedField(
        # SQLite would look into the context of every event, for a tenth of what an event costs.
        expression=models.Case(
            models.When(context__isnull=False, then=Left(KT("context__user"), ACTOR_LENGTH))
        ),
        output_field=models.TextField(null=True),
        db_persist=True,
        verbose_name=_("actor"),
        help_text=_("The user of the context: to be found by an index."),
    )
    writer = models.TextField(
        null=True,
        help_text=_("Without a context: the database role and its program. PostgreSQL only."),
    )
    transaction_id = models.BigIntegerField(
        null=True, help_text=_("PostgreSQL's; SQLite has none.")
    )
    snapshot = models.TextField(
        null=True,
        help_text=_("PostgreSQL's pg_snapshot: what the transaction saw right after the event."),
    )
    statement_at = models.DateTimeField(
        null=True, help_text=_("When the client's message arrived: PostgreSQL only.")
    )
    occurred_at = models.DateTimeField(_("time"), db_default=Now())

    objects = Afresh.from_queryset(AuditLogQuerySet)()

    class Meta:
        verbose_name = _("audit log entry")
        verbose_name_plural = _("audit log")
        indexes = [
            models.Index(fields=["table_name", "object_id", "id"], name="auditrepr_log_object"),
            models.Index(fields=["table_name", "id"], name="auditrepr_log_table"),
            models.Index(
                fields=["transaction_id"],
                name="auditrepr_log_transaction",
                condition=models.Q(transaction_id__isnull=False),
            ),
            models.Index(
                fields=["actor", "id"],
                name="auditrepr_log_actor",
                condition=models.Q(actor__isnull=False),
            ),
            models.Index(
                fields=["table_name", "previous_object_id", "id"],
                name="auditrepr_log_rekeyed",
                condition=models.Q(previous_object_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.table_name} {self.object_id or ''}".rstrip()

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """What an update changed: ``{field: (old, new)}``, values as the model's fields give them.

        A column that no field of today's model has goes by its own name; its values, and those
        that its field cannot read, are as the log holds them. The log is read for it.
        """
        from ..asof.held import held  # against the direction of the data, as below

        old, new = self.changed_from or {}, self.row_data or {}
        using = self._state.db or router.db_for_read(AuditLog)
        known = {(one.column, one.before): one.value for one in held([self] if old else [], using)}
        names = {column: field.name for column, field in self.recorded_fields().items()}
        return {
            names.get(column, column): (
                known.get((column, True), old[column]),
                known.get((column, False), new.get(column)),
            )
            for column in old
        }

    def recorded_fields(self) -> dict[str, Field[Any, Any]]:
        """Today's field for each column of the row, by what the column was called then."""
        return recent_renames(self._state.db or router.db_for_read(AuditLog)).fields(self)

    def build_instance_repr(self) -> Outcome:
        """The representation of this one row, built as the job builds a batch; not stored."""
        from ..reprs import build  # against the direction of the data

        return build([Event.of(self)], using=self._state.db or router.db_for_read(AuditLog))[0]


def first_id(log: QuerySet[AuditLog], when: datetime) -> int:
    """The events from this time on have this id or a greater one, nearly, and no others have.

    It is found by halving the range of the ids.
    """
    ids = log.order_by("pk").values_list("pk", "occurred_at")
    first, last = ids.first(), ids.last()
    if first is None or last is None:
        return 0
    low, high = first[0], last[0] + 1
    while low < high:
        middle = (low + high) // 2
        found = ids.filter(pk__gte=middle).first()
        if found is None or found[1] >= when:
            high = middle
        else:
            low = found[0] + 1
    return low
