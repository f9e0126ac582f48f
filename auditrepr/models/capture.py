"""Since when the log is without a gap, for each table."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..isolation.query_caches import Afresh


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

    objects = Afresh()

    class Meta:
        verbose_name = _("coverage")
        verbose_name_plural = _("coverage")

    def __str__(self) -> str:
        return f"{self.table_name} since {self.since_event} ({self.reason})"
