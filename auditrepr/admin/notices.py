"""Notices at the top of pages that say why the log may be incomplete."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from django.db import Error
from django.utils.translation import gettext as _

from ..capture import coverage
from ..job.monitoring import findings, gaps
from ..models import Coverage
from ..readers.changes import model_label
from ..utils.text import visible
from .event_lines import clock

#: Maximum number of gaps that a page names.
MOST_GAPS = 20


def on_recording(using: str) -> list[str]:
    """Return what should be recorded and is not, with the command to run."""
    with suppress(Error):  # it takes too long: the page is more important
        return list(_on_recording(using))
    return []


def on_gaps(using: str, tables: Collection[str] | None = None) -> list[str]:
    """Return the gaps in the coverage of these tables (their names in the log), or of all."""
    with suppress(Error):  # likewise
        states = {state.name: state for state in findings.look(using).states}
        rows = coverage.rows(using)
        names = sorted(rows.keys() | states.keys()) if tables is None else tables
        found = (gaps.of_table(rows.get(name), states.get(name)) for name in names)
        return [_gap(gap) for gap in found if gap][:MOST_GAPS]
    return []


def on_related(using: str, lacking: Mapping[str, int]) -> list[str]:
    """Return which events an object's history may lack: tables, and the last event of each."""
    return [
        _("%(model)s: events up to %(event)s may be missing here. To find them, run: %(command)s")
        % {
            "model": model_label(table),
            "event": until,
            "command": f"manage.py rebuild_reprs --database {using}",
        }
        for table, until in sorted(lacking.items())
    ]


def _on_recording(using: str) -> Iterator[str]:
    look = findings.look(using)
    for finding in look.findings:
        yield visible(finding.translated())
    if since := findings.migrations_since(using, look.applied):
        yield _("Migrations have been pending since %(since)s. Run: %(command)s") % {
            "since": clock(since),
            "command": f"manage.py migrate --database {using}",
        }


def _gap(gap: Coverage) -> str:
    facts = {
        "model": model_label(gap.table_name),
        "event": gap.since_event,
        "reason": gap.get_reason_display(),
    }
    if gap.since_event is None:
        return _("%(model)s: the log has a gap that is still open (%(reason)s).") % facts
    facts["time"] = clock(gap.recorded_at)
    return _("%(model)s: the log has a gap before event %(event)s, %(time)s (%(reason)s).") % facts
