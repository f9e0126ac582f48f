"""The job's own tables: how far it is, its lock, its runs."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..fields import JSONField
from ..isolation.query_caches import Afresh
from ..vendors.types import BEGINNING


class Checkpoint(models.Model):
    """The watermark of the job: one row in each database that has a log."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    settled_id = models.BigIntegerField(
        default=BEGINNING,
        help_text=_(
            "The watermark: no event up to this ID is pending, and none can still be committed."
        ),
    )
    candidate_id = models.BigIntegerField(
        null=True,
        help_text=_("Becomes the watermark once no transaction in candidate_evidence is open."),
    )
    candidate_evidence = JSONField(
        null=True, help_text=_("Open transactions that may still commit events up to candidate_id.")
    )
    candidate_at = models.DateTimeField(null=True)
    swept_id = models.BigIntegerField(
        default=BEGINNING, help_text=_("Event ID that the sweep below the watermark has reached.")
    )

    values_since = models.BigIntegerField(
        null=True, help_text=_("The search index has the values of updates after this event ID.")
    )
    values_upto = models.BigIntegerField(
        null=True, help_text=_("The search index has the values of updates up to this event ID.")
    )

    voided_at = models.DateTimeField(null=True, help_text=_("When a round was last canceled."))

    related = JSONField(
        null=True,
        help_text=_(
            "For each table whose events have related objects: by which columns, and the event ID"
            " up to which older events may lack them."
        ),
    )

    partitions = JSONField(
        null=True,
        help_text=_(
            "For each partitioned table: where its coverage started, and the partitions that runs"
            " have seen since."
        ),
    )

    other_log = JSONField(
        null=True,
        help_text=_(
            "If the log is attached to another one: events by which it is known again, and the"
            " event ID up to which representations of events that are gone were deleted."
        ),
    )

    objects = Afresh()

    class Meta:
        verbose_name = _("checkpoint")
        verbose_name_plural = _("checkpoints")

    def __str__(self) -> str:
        if self.settled_id == BEGINNING:
            return "no watermark yet"
        return f"watermark at event {self.settled_id}"

    @classmethod
    def of(cls, using: str, *fields: str) -> Checkpoint | None:
        """Return the row with these fields; None before the first run.

        No other columns are read: the database may not have all of them before ``migrate``.
        """
        return cls.objects.using(using).only(*fields).filter(pk=1).first()


class RebuildCursor(models.Model):
    """The progress of ``rebuild_reprs``; deleted when the rebuild is done."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    selection = JSONField(help_text=_("Which representations are rebuilt."))
    start_id = models.BigIntegerField(help_text=_("Event ID after which the rebuild starts."))
    reached_id = models.BigIntegerField(help_text=_("Event ID up to which the rebuild is done."))
    top_id = models.BigIntegerField(
        help_text=_("Last event ID to rebuild. Later events were built with the current code.")
    )
    started_at = models.DateTimeField(db_default=Now())

    objects = Afresh()

    class Meta:
        verbose_name = _("rebuild cursor")
        verbose_name_plural = _("rebuild cursors")

    def __str__(self) -> str:
        return f"rebuilt up to event {self.reached_id} of {self.top_id}"


class Held(models.Model):
    """What one process holds, until when by the database's clock."""

    token = models.UUIDField(null=True)
    holder = JSONField(null=True, help_text=_("Host, process ID and start time of the holder."))
    acquired_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    objects = Afresh()

    class Meta:
        abstract = True


class Lease(Held):
    """The database lock: its holder, and until when, by the database's clock."""

    name = models.TextField(primary_key=True)

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return f"{self.name} until {self.expires_at}"


class Share(Held):
    """A part of the backlog that one worker builds and stores; deleted when it is done."""

    after_id = models.BigIntegerField(
        primary_key=True, help_text=_("Event ID after which the share begins.")
    )
    upto_id = models.BigIntegerField(help_text=_("Last event ID of the share."))
    provable_id = models.BigIntegerField(
        help_text=_("Event ID to which the watermark may follow once all shares are done.")
    )
    command = models.TextField(help_text=_("The command whose work it is."))
    planned = models.PositiveIntegerField(
        help_text=_("Shares that the round had when it was planned.")
    )
    planned_ids = models.BigIntegerField(
        help_text=_("Event IDs in the shares of the round when it was planned.")
    )
    planned_at = models.DateTimeField(db_default=Now())
    takeovers = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text=_("Workers that have lost the share since a batch of it was last stored."),
    )

    class Meta:
        verbose_name = _("share")
        verbose_name_plural = _("shares")

    def __str__(self) -> str:
        return f"events {self.after_id + 1} to {self.upto_id}"


class StopReason(models.TextChoices):
    """Why a run ended: a value for programs, a label for people."""

    CAUGHT_UP = "caught-up", _("nothing left to do")
    BATCH_LIMIT = "batch-limit", _("batch limit reached")
    TIME_BUDGET = "time-budget", _("time limit reached")
    LOCKED = "locked", _("another run held the lock")
    SIGNAL = "signal", _("stopped by a signal")
    LEASE_LOST = "lease-lost", _("lost the lock, or the round was canceled")
    MIGRATIONS = "migrations", _("migrations are pending")
    ERROR = "error", _("error")


class BackfillRun(models.Model):
    """One run of the job; runs with nothing to do are counted on an earlier one."""

    command = models.TextField(_("command"), default="backfill_reprs")
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    host = models.TextField(_("host"))
    pid = models.PositiveIntegerField(_("process ID"))
    rows = models.PositiveBigIntegerField(_("representations"), default=0)
    failures = models.PositiveBigIntegerField(_("failures"), default=0)
    batches = models.PositiveIntegerField(_("batches"), default=0)
    stop_reason = models.CharField(
        _("stop reason"), max_length=12, choices=StopReason, blank=True, default=""
    )
    error = models.TextField(_("error"), blank=True, default="")
    building = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text=_(
            "Size of the batch that the run is building. If the run is killed, the next one starts"
            " with half of it."
        ),
    )
    holder = JSONField(null=True, help_text=_("Host, process ID and start time of the process."))
    seen_at = models.DateTimeField(
        _("last sign of life"),
        null=True,
        help_text=_("When the run last showed that it works, by the database's clock."),
    )
    idle_runs = models.PositiveIntegerField(
        _("idle runs"), default=0, help_text=_("Later runs that found nothing to do.")
    )
    skipped_runs = models.PositiveIntegerField(
        _("skipped runs"), default=0, help_text=_("Later runs that found the lock held.")
    )

    objects = Afresh()

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M:%S}: {self.rows} stored, {self.stop_reason}"


class KnownFinding(models.Model):
    """A finding of earlier runs: since when there is one, and when it was last reported."""

    key = models.TextField(primary_key=True)
    topic = models.TextField()
    first_seen_at = models.DateTimeField()
    reported_at = models.DateTimeField(null=True)

    objects = Afresh()

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")

    def __str__(self) -> str:
        return f"{self.key} since {self.first_seen_at:%Y-%m-%d %H:%M:%S}"
