"""Says in one line whether all is well with the job, when it last ran, and what to do."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..job.monitoring.summary import Summary
from ..job.rounds import shares
from ..job.runs import failed_run
from ..job.runs.failed_run import FailedRun
from ..models import BackfillRun
from ..utils.text import visible

#: The job runs every two minutes: if events wait for longer than this, something is wrong.
PATIENCE = timedelta(minutes=15)
COMMAND = "manage.py backfill_reprs"


class Headline(NamedTuple):
    """One line about the job."""

    well: bool
    text: str


def headline(found: Summary, using: str, problems: int, failures: int) -> Headline:
    """Return the line.

    :param problems: the number of notices on the page.
    :param failures: the number of failed representations.
    """
    runs = BackfillRun.objects.using(using).filter(command=shares.BACKFILL)
    latest = runs.order_by("-pk").first()
    last = found.last_start(latest)
    if last is None:
        text = _("The job has never run. Schedule %(command)s to run every two minutes.")
        return Headline(False, text % {"command": COMMAND})
    ago = _("The job last ran %(time)s ago.") % {"time": timesince(last, found.at)}
    if trouble := _trouble(using, found):
        return Headline(False, f"{trouble} {ago}")
    if problems:
        text = _("The job works, but see the notices below.")
        return Headline(False, f"{text} {ago}")
    if failures:
        text = ngettext(
            "%d representation could not be built; it is retried automatically.",
            "%d representations could not be built; they are retried automatically.",
            failures,
        )
        return Headline(False, f"{text % failures} {ago}")
    text = _("All is well.")
    return Headline(True, f"{text} {ago}")


def _trouble(using: str, found: Summary) -> str:
    waits = timedelta(seconds=found.lag)
    if waits > PATIENCE and not found.at_work:
        facts = {"time": timesince(timezone.now() - waits), "command": COMMAND}
        return (
            _("Events have been pending for %(time)s: check that %(command)s is scheduled.") % facts
        )
    failed = failed_run.last(using, found.holders)
    return _failure(failed, found) if failed else ""


def _failure(run: FailedRun, found: Summary) -> str:
    if not run.error and found.round and found.round.held and found.round.command == run.command:
        return _("A worker was killed, or its host failed; the others do its share.")
    if not run.error:
        text = _(
            "The last run of %(command)s did not record its end: it was killed, or its host failed."
        )
        return text % {"command": run.command}
    facts = {"command": run.command, "error": visible(run.error.splitlines()[0])}
    return _("The last run of %(command)s ended with an error: %(error)s") % facts
