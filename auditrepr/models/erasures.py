"""What was erased from the log: when, by whom and how much, and nothing of what it was."""

from __future__ import annotations

import shlex

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..isolation.query_caches import Afresh
from ..lineage import recent_renames
from ..utils.table_names import model_for_table


class Erasure(models.Model):
    """One erasure; what it has replaced is counted, and not kept."""

    class Subject(models.TextChoices):
        OBJECT = "object", _("object")
        ACTOR = "actor", _("actor")

    subject = models.CharField(_("erased"), max_length=6, choices=Subject)
    table_name = models.TextField(_("table"), blank=True, default="")
    columns = models.TextField(
        _("columns"), blank=True, default="", help_text=_("Those that were named; empty: all text.")
    )
    by = models.TextField(
        _("by"), help_text=_("Who started it: user and host of the process, and database role.")
    )
    secret = models.BinaryField(
        null=True,
        help_text=_(
            "While it is unfinished: what the replacements of keys depend on, and by what it knows"
            " itself again."
        ),
    )
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    finished_at = models.DateTimeField(_("ended at"), null=True)
    events = models.PositiveBigIntegerField(
        _("audit events"), default=0, help_text=_("Events whose values or keys were erased.")
    )
    contexts = models.PositiveBigIntegerField(_("contexts"), default=0)
    representations = models.PositiveBigIntegerField(_("representations"), default=0)
    failures = models.PositiveBigIntegerField(_("failures"), default=0)
    others = models.PositiveBigIntegerField(
        _("others"), default=0, help_text=_("Runs, findings and imports whose texts were erased.")
    )

    objects = Afresh()

    class Meta:
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")

    def __str__(self) -> str:
        state = "unfinished" if self.finished_at is None else "done"
        what = self.table_name or self.subject
        return f"{self.started_at:%Y-%m-%d %H:%M:%S}: {what}, {state}"

    def command(self, using: str) -> str:
        """Return the command that erases the same in this database, once more or to its end.

        PK or USER stands for whom it is about, which no record says.
        """
        what = "--actor USER"
        if self.subject == self.Subject.OBJECT:
            name = recent_renames(using).shown_name(self.table_name, self.started_at)
            model = model_for_table(name)
            what = f"--object {model._meta.label if model else name}:PK"
        named = f" --columns {shlex.join(self.columns.split(', '))}" if self.columns else ""
        database = f" --database {shlex.quote(using)}"
        return f"manage.py erase_from_audit_log {what}{named}{database}"
