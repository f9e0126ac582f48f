"""What the job keeps of itself: how far it is, its lock, its runs."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


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
    findings = models.JSONField(
        default=dict,
        help_text=_("What keeps the log from being complete: since when, and when it was told."),
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
    MIGRATIONS = "migrations", _("migrations are pending")
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
