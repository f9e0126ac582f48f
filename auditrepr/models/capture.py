"""The start of the unbroken log, for each table."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..fields import JSONField
from ..isolation.query_caches import Afresh
from ..vendors.types import BEGINNING


class Coverage(models.Model):
    """Since which event an audited table is captured without a gap."""

    class Reason(models.TextChoices):
        INSTALLED = "installed", _("installed")
        MISSING = "missing", _("triggers were missing")
        DISABLED = "disabled", _("triggers were disabled")
        COLUMNS = "columns", _("some columns were not captured before")
        PARTITIONS = "partitions", _("rows came or went with a partition")
        REPLACED = "replaced", _("triggers were replaced outside auditrepr")

    table_name = models.TextField(primary_key=True)
    since_event = models.BigIntegerField(
        null=True,
        help_text=_(
            "Every change after this event ID is in the log. Null: the triggers were last found"
            " broken."
        ),
    )
    transaction_id = models.BigIntegerField(
        null=True,
        help_text=_(
            "PostgreSQL transaction in which coverage started. An event whose snapshot"
            " does not include it is not covered."
        ),
    )
    reason = models.CharField(max_length=10, choices=Reason)
    pruned_id = models.BigIntegerField(
        default=BEGINNING, help_text=_("Events up to this ID may have been pruned.")
    )
    pruned_transaction_id = models.BigIntegerField(
        null=True, help_text=_("Highest PostgreSQL transaction ID among the pruned events.")
    )
    columns = JSONField(
        default=dict,
        help_text=_(
            "The table's columns. Null: present when coverage started. Otherwise: event,"
            " transaction and time at which the column was first seen."
        ),
    )
    triggers = models.TextField(
        default="",
        help_text=_(
            "Identity of the installed triggers, then of the table's partitions. Shows whether"
            " triggers were dropped and re-created, or rows came or went with a partition."
        ),
    )
    recorded_at = models.DateTimeField(db_default=Now())

    objects = Afresh()

    class Meta:
        verbose_name = _("coverage")
        verbose_name_plural = _("coverage")

    def __str__(self) -> str:
        return f"{self.table_name} since {self.since_event} ({self.reason})"
