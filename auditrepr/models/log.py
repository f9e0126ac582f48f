"""The log, what is stored beside it, and what the job remembers between its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models, router
from django.db.models.fields.json import KT
from django.db.models.functions import Left, Now
from django.utils.translation import gettext_lazy as _

from .fields import RowField
from .querysets import ACTOR_LENGTH, AuditLogQuerySet

if TYPE_CHECKING:
    from .representation import Outcome


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

    objects = AuditLogQuerySet.as_manager()

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
        """What an update changed: ``{field: (old, new)}``, values as the log holds them.

        A column that no field of today's model has goes by its own name.
        """
        from .renames import fields_then

        new = self.row_data or {}
        names = {column: field.name for column, field in fields_then(self).items()}
        return {
            names.get(column, column): (old, new.get(column))
            for column, old in (self.changed_from or {}).items()
        }

    def build_instance_repr(self) -> Outcome:
        """The representation of this one row, built as the job builds a batch; not stored."""
        from .representation import Event, build

        return build([Event.of(self)], using=self._state.db or router.db_for_read(AuditLog))[0]


class Fidelity(models.TextChoices):
    EXACT = "E", _("exact")
    MIXED = "M", _("mixed")


class InstanceRepr(models.Model):
    """What ``str(instance)`` said at the event."""

    # No constraint in the database: it would cost four times the write (docs/design.md).
    audit_log = models.OneToOneField(
        AuditLog,
        models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="instance_repr",
    )
    instance_repr = models.TextField(_("representation"))
    fidelity = models.CharField(
        max_length=1,
        choices=Fidelity,
        help_text=_("Mixed: something was read live, guessed or missing."),
    )
    reason = models.TextField(
        blank=True, default="", help_text=_("Why the representation is mixed.")
    )

    class Meta:
        verbose_name = _("representation")
        verbose_name_plural = _("representations")
        indexes = [
            models.Index(
                fields=["audit_log"],
                name="auditrepr_repr_mixed",
                condition=models.Q(fidelity="M"),
            )
        ]

    def __str__(self) -> str:
        return self.instance_repr


class ReprFailure(models.Model):
    """The quarantine: a row whose representation could not be built, and why."""

    audit_log = models.OneToOneField(
        AuditLog,
        models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="repr_failure",
    )
    error_class = models.TextField()
    message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    first_failed_at = models.DateTimeField(_("first failed at"), db_default=Now())
    last_failed_at = models.DateTimeField(_("last failed at"), db_default=Now())
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, db_index=True)

    class Meta:
        verbose_name = _("failed representation")
        verbose_name_plural = _("failed representations")

    def __str__(self) -> str:
        return f"{self.audit_log_id}: {self.error_class}: {self.message}"


class Coverage(models.Model):
    """Since which event an audited table's capture has run unbroken."""

    class Reason(models.TextChoices):
        INSTALLED = "installed", _("installed")
        MISSING = "missing", _("found missing")
        DISABLED = "disabled", _("found disabled")
        COLUMNS = "columns", _("some columns were left out before")
        REPLACED = "replaced", _("found put back by somebody else")

    table_name = models.TextField(primary_key=True)
    since_event = models.BigIntegerField(
        null=True,
        help_text=_(
            "As of any event with a greater id, nothing that changed later is missing from the"
            " log. Null: the triggers were found out of order."
        ),
    )
    transaction_id = models.BigIntegerField(
        null=True,
        help_text=_("PostgreSQL's, of the start: an event whose snapshot is older is not covered."),
    )
    reason = models.CharField(max_length=10, choices=Reason)
    pruned_id = models.BigIntegerField(
        default=0, help_text=_("Events with this id or a lower one may have been pruned.")
    )
    pruned_transaction_id = models.BigIntegerField(
        null=True, help_text=_("PostgreSQL's, the highest that wrote one of them.")
    )
    columns = models.JSONField(
        default=dict,
        help_text=_(
            "The table's columns. Null: there since the start; else the event, the transaction and"
            " the time at which the column was first seen."
        ),
    )
    triggers = models.TextField(
        default="",
        help_text=_("What tells the table's triggers from others that are made just like them."),
    )
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("coverage")
        verbose_name_plural = _("coverage")

    def __str__(self) -> str:
        return f"{self.table_name} since {self.since_event} ({self.reason})"


class Checkpoint(models.Model):
    """How far the job has come: one row in each database that holds a log."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    settled_id = models.BigIntegerField(
        default=0, help_text=_("At or below it nothing is pending and nothing can appear.")
    )
    candidate_id = models.BigIntegerField(
        null=True, help_text=_("Becomes the settled mark once the evidence is gone.")
    )
    candidate_evidence = models.JSONField(
        null=True, help_text=_("The transactions that may still write below the candidate.")
    )
    candidate_at = models.DateTimeField(null=True)
    swept_id = models.BigIntegerField(
        default=0, help_text=_("How far the slow re-check below the settled mark has come.")
    )

    class Meta:
        verbose_name = _("checkpoint")
        verbose_name_plural = _("checkpoints")

    def __str__(self) -> str:
        return f"settled to {self.settled_id}"


class RebuildCursor(models.Model):
    """How far ``rebuild_reprs`` has come; gone when it is done."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    selection = models.JSONField(help_text=_("Which representations are built anew."))
    start_id = models.BigIntegerField(help_text=_("Whatever is selected has a greater id."))
    reached_id = models.BigIntegerField(help_text=_("Up to here, all is done."))
    top_id = models.BigIntegerField(help_text=_("Later events are said in the new way already."))
    started_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("rebuilding")
        verbose_name_plural = _("rebuildings")

    def __str__(self) -> str:
        return f"rebuilt to {self.reached_id} of {self.top_id}"


class Lease(models.Model):
    """The database lock: who holds it, and until when by the database's clock."""

    name = models.TextField(primary_key=True)
    token = models.UUIDField(null=True)
    holder = models.JSONField(null=True, help_text=_("Host, process and start, for people."))
    acquired_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return f"{self.name} until {self.expires_at}"


class StopReason(models.TextChoices):
    """Why a run ended: for programs, and for people."""

    CAUGHT_UP = "caught-up", _("nothing was left to do")
    BATCH_LIMIT = "batch-limit", _("it had done as many batches as asked")
    TIME_BUDGET = "time-budget", _("its time was up")
    LOCKED = "locked", _("another run was at work")
    SIGNAL = "signal", _("it was told to stop")
    LEASE_LOST = "lease-lost", _("another run took over")
    ERROR = "error", _("an error")


class BackfillRun(models.Model):
    """What one run did. Runs with nothing to do are counted on the run before them."""

    command = models.TextField(_("command"), default="backfill_reprs")
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    host = models.TextField(_("host"))
    pid = models.PositiveIntegerField(_("process"))
    rows = models.PositiveBigIntegerField(_("rows"), default=0)
    failures = models.PositiveBigIntegerField(_("failures"), default=0)
    batches = models.PositiveIntegerField(_("batches"), default=0)
    stop_reason = models.CharField(
        _("stop reason"), max_length=12, choices=StopReason, blank=True, default=""
    )
    error = models.TextField(_("error"), blank=True, default="")
    idle_runs = models.PositiveIntegerField(
        _("idle runs"), default=0, help_text=_("Runs since then that found nothing to do.")
    )
    skipped_runs = models.PositiveIntegerField(
        _("skipped runs"), default=0, help_text=_("Runs since then that found the lock held.")
    )

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M:%S}: {self.rows} rows, {self.stop_reason}"
