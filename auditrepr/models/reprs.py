"""What the job stores for the events of the log: representations, and failures."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..isolation.query_caches import Afresh


class Fidelity(models.TextChoices):
    """How far a representation can be trusted."""

    EXACT = "E", _("exact")
    MIXED = "M", _("mixed")


class InstanceRepr(models.Model):
    """The representation of one event: ``str(instance)``, built on the data as of the event."""

    # No constraint in the database: it would cost four times the write (docs/design.md).
    audit_log = models.OneToOneField(
        "auditrepr.AuditLog",
        models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="instance_repr",
    )
    instance_repr = models.TextField(_("representation"))
    fidelity = models.CharField(
        max_length=1,
        choices=Fidelity,
        help_text=_(
            "Exact: built only from data as of the event. Mixed: partly current, guessed"
            " or missing data."
        ),
    )
    reason = models.TextField(
        blank=True, default="", help_text=_("Why the representation is mixed.")
    )

    objects = Afresh()

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


class ChangedValues(models.Model):
    """The old and new values of one update as text, one in a line, for the search index.

    Only there if the setting ``SEARCH`` is on; the job writes them, never a trigger.
    """

    audit_log = models.OneToOneField(
        "auditrepr.AuditLog",
        models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="changed_values",
    )
    text = models.TextField()

    objects = Afresh()

    class Meta:
        verbose_name = _("changed values")
        verbose_name_plural = _("changed values")

    def __str__(self) -> str:
        return self.text


class ReprFailureQuerySet(models.QuerySet["ReprFailure"]):
    """Selections of failures."""

    def failing(self) -> ReprFailureQuerySet:
        """Return those that are retried."""
        return self.filter(next_attempt_at__isnull=False)

    def final(self) -> ReprFailureQuerySet:
        """Return those that are true: ``str()`` raised as of the event, too."""
        return self.filter(next_attempt_at__isnull=True)


class ReprFailure(models.Model):
    """A failed event: its representation could not be built; the error, and when it is retried.

    A final one is never due: ``str()`` raised as of the event, so trying again cannot help.
    """

    audit_log = models.OneToOneField(
        "auditrepr.AuditLog",
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
    # Null if the failure is final.
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, db_index=True)

    objects = Afresh.from_queryset(ReprFailureQuerySet)()

    class Meta:
        verbose_name = _("failed representation")
        verbose_name_plural = _("failed representations")
        indexes = [
            models.Index(fields=["last_failed_at"], name="auditrepr_failure_recent"),
            # Either kind may be rare among many of the other.
            models.Index(
                fields=["audit_log"],
                name="auditrepr_failure_failing",
                condition=models.Q(next_attempt_at__isnull=False),
            ),
            models.Index(
                fields=["audit_log"],
                name="auditrepr_failure_final",
                condition=models.Q(next_attempt_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.audit_log_id}: {self.error_class}: {self.message}"

    @property
    def final(self) -> bool:
        """Return whether ``str()`` raised as of the event, so that it is not retried."""
        return self.next_attempt_at is None
