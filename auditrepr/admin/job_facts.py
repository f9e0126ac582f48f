"""Says on the page about the backfill job how far it is, and who works."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from ..capture import attachment
from ..job import logs
from ..job.monitoring.summary import Summary, Watermark
from ..job.rounds import shares
from ..job.rounds.state import Round
from ..utils.text import visible
from .event_lines import clock


class Fact(NamedTuple):
    """A number of the job, and what it means."""

    label: str
    value: str
    help_text: str = ""


def facts(found: Summary, using: str) -> list[Fact]:
    """Return how far the job is, and who works."""
    told = [*_which(using), *_attached(using), *_pending(found), *_mark(found.mark)]
    told += [*_sealed(found), *_overdue(found), *_erasing(found), *_imports(found)]
    return [*told, *_lock(found), *(_round(found.round) if found.round else ())]


def _which(using: str) -> list[Fact]:
    """Return the database, if others hold a log, too."""
    return [Fact(_("database"), visible(logs.named(using)))] if len(logs.aliases()) > 1 else []


def _attached(using: str) -> Iterator[Fact]:
    """Yield to which other log this one is attached, if it is."""
    if found := attachment.attached(using):
        help_text = _("The log reads the events that the triggers of another log record.")
        yield Fact(_("attached to"), visible(found.source), help_text)


def _pending(found: Summary) -> Iterator[Fact]:
    """Yield how many events are pending, and for how long."""
    help_text = _("Events with neither a representation nor a failure.")
    yield Fact(_("pending events"), str(found.pending), help_text)
    if found.oldest_at:
        help_text = _("How long the oldest of them has waited; usually less than two minutes.")
        yield Fact(_("longest wait"), timesince(found.oldest_at, found.at), help_text)


def _lock(found: Summary) -> Iterator[Fact]:
    """Yield who holds the lock, or held it until it was killed."""
    if found.lease:
        holder = visible(str(found.lease.holder or _("unknown")))
        expired = found.lease.expired
        help_text = _("It was killed; the next run takes the lock over.") if expired else ""
        yield Fact(_("expired lock of") if expired else _("current run"), holder, help_text)


def _round(found: Round) -> Iterator[Fact]:
    """Yield how far the workers are, and who they are."""
    numbers = {"done": found.done, "planned": found.planned, "held": len(found.held)}
    told = _("%(done)d of %(planned)d shares done, %(held)d held") % numbers
    help_text = _("Several workers share the backlog: each builds one part of it at a time.")
    if found.command == shares.REBUILD:
        help_text = _("Several workers share a rebuild: each does one part of it at a time.")
    yield Fact(_("round"), told, help_text)
    if found.seconds_left is not None:
        left = timesince(timezone.now() - timedelta(seconds=found.seconds_left))
        facts = {"rate": number_format(round(found.rate), force_grouping=True), "left": left}
        told = _("%(rate)s event IDs per second, about %(left)s left") % facts
        if found.seconds_left < 60:
            told = _("%(rate)s event IDs per second, less than a minute left") % facts
        yield Fact(_("pace of the round"), told)
    for share in found.held:
        events = _("events %(first)d to %(last)d") % {
            "first": share.first_id,
            "last": share.last_id,
        }
        yield Fact(_("worker"), visible(str(share.holder or _("unknown"))), events)


def _mark(mark: Watermark) -> list[Fact]:
    """Return the watermark, and what holds it back."""
    if mark.settled_id is None:
        return [Fact(_("watermark"), _("not set: no event is settled yet"))]
    help_text = _("Up to this event ID nothing is pending, and no event can still be committed.")
    facts = [Fact(_("watermark"), str(mark.settled_id), help_text)]
    if mark.held_since:
        held = _("%(since)s by transactions that were open at the last check: %(writers)s") % {
            "since": timesince(mark.held_since),
            "writers": visible(", ".join(mark.held_by)),
        }
        help_text = _("Harmless: later events are built meanwhile, too.")
        facts.append(Fact(_("watermark held back for"), held, help_text))
    return facts


def _overdue(found: Summary) -> Iterator[Fact]:
    """Yield what RETENTION does not keep any longer, and is still there."""
    help_text = _("Events that are older than RETENTION keeps them: prune_audit_log deletes them.")
    for one in found.overdue:
        told = _("%(entry)s: %(age)s; the oldest event is of %(time)s") % {
            "entry": one.entry,
            "age": one.age,
            "time": clock(one.oldest_at),
        }
        yield Fact(_("to be pruned"), told, help_text)


def _erasing(found: Summary) -> Iterator[Fact]:
    """Yield since when an erasure is unfinished."""
    if found.erasing_since is not None:
        help_text = _("Run erase_from_audit_log again, with the same options: it continues.")
        told = timesince(found.erasing_since, found.at)
        yield Fact(_("erasure unfinished for"), told, help_text)


def _sealed(found: Summary) -> Iterator[Fact]:
    """Yield until where the log is sealed, if the project asks for it."""
    sealed = found.sealed
    if sealed is None:
        return
    help_text = _("Later changes of these events show when the log is verified.")
    told = _("not yet")
    if sealed.at is not None:
        told = _("event %(event)d, %(since)s ago") % {
            "event": sealed.upto_id,
            "since": timesince(sealed.at, found.at),
        }
    yield Fact(_("sealed up to"), told, help_text)


def _imports(found: Summary) -> Iterator[Fact]:
    """Yield what was imported from other logs, and how far the unfinished import is."""
    for one in found.imports:
        facts = {
            "sources": visible(" + ".join(one.sources)),
            "events": number_format(one.events, force_grouping=True),
            "planned": number_format(one.planned, force_grouping=True),
            "time": clock(one.finished_at or one.started_at),
        }
        if one.finished_at:
            told = _("%(sources)s: %(events)s events, finished %(time)s") % facts
            help_text = _("Events from before %(time)s.") % {"time": clock(one.until)}
        else:
            told = _("%(sources)s: %(events)s of %(planned)s events, begun %(time)s") % facts
            help_text = _("Interrupted. To continue, run: %(command)s") % {"command": one.command}
        if one.worker:
            help_text = visible(str(one.worker))
        yield Fact(_("import"), told, help_text)
