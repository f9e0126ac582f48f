"""The log: one row for each change of an audited row, written by the triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models, router
from django.db.models import Field
from django.db.models.fields.json import KT
from django.db.models.functions import Left, Now
from django.utils.translation import gettext_lazy as _

from ..fields import GeneratedField, JSONField, RowField
from ..isolation.query_caches import Afresh
from ..lineage import recent_renames
from ..vendors.types import Event
from .log_queryset import ACTOR_LENGTH, AuditLogQuerySet

if TYPE_CHECKING:
    from ..reprs import Outcome


class AuditLog(models.Model):
    """One event: a row of an audited table was added, changed or deleted, or the table was emptied.

    Only triggers write it.
    """

    class Action(models.TextChoices):
        INSERT = "I", _("added")
        UPDATE = "U", _("changed")
        DELETE = "D", _("deleted")
        TRUNCATE = "T", _("emptied")

    id = models.BigAutoField(primary_key=True)
    table_name = models.TextField(_("table"))
    object_id = models.TextField(
        _("object ID"),
        null=True,
        help_text=_("Primary key as text. A composite key is stored as a JSON array."),
    )
    previous_object_id = models.TextField(
        null=True, help_text=_("Primary key before the update, if the update changed it.")
    )
    action = models.CharField(_("action"), max_length=1, choices=Action)
    row_data = RowField(
        null=True,
        help_text=_("All recorded columns of the row: after an insert or update, before a delete."),
    )
    changed_from = RowField(
        null=True,
        help_text=_("For an update: the previous value of each changed column."),
    )
    context = JSONField(
        null=True,
        help_text=_("Who made the change and why, if the application provided a context."),
    )
    actor = GeneratedField(
        # SQLite would look into the context of every event, for a tenth of what an event costs.
        expression=models.Case(
            models.When(context__isnull=False, then=Left(KT("context__user"), ACTOR_LENGTH))
        ),
        output_field=models.TextField(null=True),
        db_persist=True,
        verbose_name=_("actor"),
        help_text=_("The user from the context. Indexed."),
    )
    writer = models.TextField(
        null=True,
        help_text=_("If there is no context: database role and client program. PostgreSQL only."),
    )
    transaction_id = models.BigIntegerField(
        null=True, help_text=_("PostgreSQL transaction ID. Null on SQLite.")
    )
    snapshot = models.TextField(
        null=True,
        help_text=_("The transaction's pg_snapshot right after the event. PostgreSQL only."),
    )
    statement_at = models.DateTimeField(
        null=True, help_text=_("When the server received the client message. PostgreSQL only.")
    )
    occurred_at = models.DateTimeField(_("time"), db_default=Now())

    objects = Afresh.from_queryset(AuditLogQuerySet)()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
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
        """Return what an update changed: ``{field: (old, new)}``, with values as fields have them.

        A column for which the current model has no field appears by its own name. Its values, and
        those that their field cannot read, are as in the log. Each call reads the log.
        """
        from ..reprs import held  # against the direction of the data, as below

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

    @property
    def representation(self) -> str | None:
        """Return the stored representation; of a pending event, build it as the job would.

        None if it could not be built (``repr_failure`` says why), or for a TRUNCATE, which has no
        object.
        """
        if self.action == self.Action.TRUNCATE or hasattr(self, "repr_failure"):
            return None
        if hasattr(self, "instance_repr"):
            return self.instance_repr.instance_repr
        outcome = self.build_instance_repr()
        return None if outcome.failure else outcome.text

    def recorded_fields(self) -> dict[str, Field[Any, Any]]:
        """Return the current field of each column of the row, by its name at the event."""
        return recent_renames(self._state.db or router.db_for_read(AuditLog)).fields(self)

    def build_instance_repr(self) -> Outcome:
        """Return the representation of this event, built as the job builds it; not stored.

        :raises TypeError: if it is not in the log.
        """
        from ..reprs import build  # against the direction of the data

        if self.pk is None:
            raise TypeError("build_instance_repr() requires an event that is in the log")
        return build([Event.of(self)], using=self._state.db or router.db_for_read(AuditLog))[0]
