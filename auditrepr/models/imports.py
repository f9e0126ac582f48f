"""Imports of other logs: where their events are, and those that are still to come."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..fields import JSONField
from ..isolation.query_caches import Afresh


class Import(models.Model):
    """One import: its events have the IDs from the first to the last, in their order."""

    sources = JSONField(help_text=_("The names of the sources."))
    parts = JSONField(help_text=_("The SELECTs of the sources: source and name of each."))
    until = models.DateTimeField(help_text=_("Only events from before this time are imported."))
    first_id = models.BigIntegerField(help_text=_("ID of the earliest event, imported last."))
    last_id = models.BigIntegerField(help_text=_("ID of the latest event, imported first."))
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects = Afresh()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return f"events {self.first_id} to {self.last_id} from {self.named}"

    @property
    def named(self) -> str:
        """Return the sources in words."""
        return " and ".join(self.sources)


class PlannedEvent(models.Model):
    """An event that the unfinished import has not imported yet: its ID, and where it is."""

    id = models.BigIntegerField(primary_key=True)
    part = models.PositiveSmallIntegerField(
        help_text=_("Number of the SELECT among the parts of the import.")
    )
    position = models.BigIntegerField(help_text=_("The event's position in the SELECT."))
    previous_position = models.BigIntegerField(
        null=True,
        help_text=_("Position of the same object's event before, if the source has no old values."),
    )

    objects = Afresh()

    class Meta:
        verbose_name = _("planned event")
        verbose_name_plural = _("planned events")

    def __str__(self) -> str:
        return f"event {self.id}"
