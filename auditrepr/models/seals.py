"""The chain of seals: digests of the log, each over the one before."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..isolation.query_caches import Afresh


class SealEntry(models.Model):
    """One entry of the chain: a sealed range of events, or what was done to one later.

    Entries are only ever added. ``docs/seal.md`` defines their digests.
    """

    class Kind(models.TextChoices):
        SEALED = "sealed", _("sealed")
        IMPORTED = "imported", _("imported")
        PRUNED = "pruned", _("pruned")
        ERASED = "erased", _("erased")

    #: What was done to a range that is sealed already.
    AMENDING = (Kind.PRUNED, Kind.ERASED)

    number = models.BigIntegerField(
        primary_key=True, help_text=_("Place in the chain: 1, 2, 3, without a gap.")
    )
    format = models.PositiveSmallIntegerField(
        default=1, help_text=_("Version of the form that the digests are made of.")
    )
    kind = models.CharField(max_length=8, choices=Kind)
    after_id = models.BigIntegerField(help_text=_("Event ID after which the range begins."))
    upto_id = models.BigIntegerField(help_text=_("Last event ID of the range."))
    amends = models.BigIntegerField(
        null=True,
        help_text=_("If events were pruned or erased: number of the entry that had sealed them."),
    )
    import_id = models.BigIntegerField(
        null=True,
        help_text=_(
            "The import that brought the events. In the first entry: the latest import before it,"
            " or 0."
        ),
    )
    events = models.BigIntegerField(
        help_text=_("Number of events that were sealed, pruned, or erased.")
    )
    content = models.BinaryField(
        null=True,
        help_text=_(
            "SHA-256 of the digests of the rows, or of what was pruned or erased. Null: all that"
            " was left of the range was pruned."
        ),
    )
    sealed_at = models.CharField(
        max_length=27, help_text=_("When the entry was made, by the clock of the process; UTC.")
    )
    digest = models.BinaryField(
        help_text=_("SHA-256 of all of the above, and of the digest of the entry before.")
    )
    marks = models.BinaryField(
        null=True,
        help_text=_("IDs and the first bytes of the rows' digests: names an event that differs."),
    )
    touched = models.BinaryField(
        null=True,
        help_text=_(
            "IDs and former digests of the rows that were pruned; if erased, the new ones, too."
        ),
    )

    objects = Afresh()

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        indexes = [
            models.Index(fields=["upto_id"], name="auditrepr_seal_upto"),
            models.Index(
                fields=["amends"],
                name="auditrepr_seal_amends",
                condition=models.Q(amends__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"seal {self.number}: {self.events} {self.kind} up to event {self.upto_id}"
