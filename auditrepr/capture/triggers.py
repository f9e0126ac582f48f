"""Installs and removes the triggers, and keeps their coverage up to date."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from django.db import transaction

from ..models import Coverage
from ..utils.time_limit import TimeLimit
from ..vendors import Vendor, get_vendor
from ..vendors.capture_types import TableShape
from . import coverage, partitions, search_index
from .inspection import inspect
from .state import BROKEN, State, Status


def install(
    using: str, names: Collection[str] | None = None, *, force: bool = False
) -> list[State]:
    """Create missing, outdated or disabled triggers; drop those left over.

    Tables that a pending migration renames or deletes keep their triggers until then.

    :param names: only these tables, by their names in the log; all by default.
    :param force: re-create the triggers that are OK, too.
    :returns: the states that were changed, as they were before.
    """
    every, known = _seen(using)
    states = [state for state in every if names is None or state.name in names]
    wanted = BROKEN | {Status.OK} if force else BROKEN
    changed = [state for state in states if state.status in wanted]
    audited = {state.name: state for state in states if state.capture}
    there = {s.name: s.installed for s in states if s.installed}
    hopeless = {name for name, one in there.items() if partitions.unrecorded(one)}
    ended = [n for n in hopeless & known.keys() if known[n].since_event is not None]
    starting = _restarts([s for s in audited.values() if s.name not in hopeless], known)
    # A shared table that this connection does not see is absent, and recorded.
    recorded = {s.name for s in states if s.waits or (s.status is Status.ABSENT and s.installed)}
    stale = known.keys() - audited.keys() - recorded if names is None else ()
    shapes = _other_columns(states, known)
    keyless = _keyless(every, known)
    news = changed or starting or ended or stale or shapes or keyless
    if news or _has_other_triggers(every, known):
        with transaction.atomic(using):
            vendor = get_vendor(using)
            full = [s for s in changed if force or s.status is not Status.UNGUARDED]
            vendor.execute(_install_sql(vendor, full) if full else [])
            guarded = [s.capture for s in changed if s.capture and s not in full]
            vendor.execute(vendor.guard_sql(*guarded))
            # Not earlier: CREATE TRIGGER has waited for all open writes to the table.
            coverage.end(using, {name: coverage.unrecorded(there[name]) for name in ended})
            _start(using, every, known, starting)
            coverage.note_columns(using, shapes)
            coverage.note_keyless(using, _keyless(every, {}))
            coverage.forget(using, stale)
    return changed


def remove(using: str) -> list[str]:
    """Drop all triggers and what they share; return the names of the tables that had some.

    This needs neither a model nor a valid setting.
    """
    vendor = get_vendor(using)
    names = sorted(vendor.installed())
    recorded = vendor.shapes([coverage.TABLE])
    with transaction.atomic(using):
        vendor.execute(vendor.remove_sql(*names))
        vendor.execute(vendor.remove_support_sql())
        search_index.remove(using)
        if recorded:
            coverage.forget(using, coverage.rows(using))
    return names


def note_gaps(using: str) -> list[State]:
    """Record which tables are not captured, and restart the coverage of those that are again.

    :returns: the audited tables that are not captured.
    """
    every, known = _seen(using)
    states = [state for state in every if state.capture]
    lost = [state for state in states if not state.captured]
    ended = [s for s in lost if s.name in known and known[s.name].since_event is not None]
    whole = [s for s in states if s.captured and s.status in (Status.OK, Status.UNGUARDED)]
    starting = _restarts(whole, known)
    shapes = _other_columns(states, known)
    keyless = _keyless(every, known)
    if ended or starting or shapes or keyless or _has_other_triggers(every, known):
        with transaction.atomic(using):
            coverage.end(using, _restarts(ended, known))
            _start(using, every, known, starting)
            coverage.note_columns(using, shapes)
            coverage.note_keyless(using, _keyless(every, {}))
    return lost


def _seen(using: str) -> tuple[list[State], dict[str, Coverage]]:
    """Return the state of every table, and the recorded coverage."""
    states = inspect(using)
    known = coverage.rows(using) if states else {}
    if _has_other_triggers(states, known):
        # Another process may install them between the two reads; one snapshot has both or neither.
        with get_vendor(using).reading(TimeLimit(0)):
            states, known = inspect(using), coverage.rows(using)
    return states, known


def _start(
    using: str,
    states: Iterable[State],
    known: Mapping[str, Coverage],
    starting: Mapping[str, Coverage.Reason],
) -> None:
    """Start the coverage of these tables with the triggers that they have now."""
    vendor = get_vendor(using)
    vendor.execute(vendor.seal_sql())
    # Before coverage starts: what comes after this look, the next one finds.
    installed = vendor.installed()
    there = {state.name: state.installed for state in states if state.installed}
    firing = {s.name: s.installed for s in states if s.installed and s.captured}
    starting = {**coverage.repartitioned(there, installed), **starting}
    hopeless = starting.keys() & coverage.unrecordable(installed)
    ended = coverage.replaced(firing, known)
    coverage.end(using, {name: ended[name] for name in ended.keys() - starting.keys()})
    coverage.end(using, {name: coverage.unrecorded(installed[name]) for name in hopeless})
    coverage.start(using, {n: reason for n, reason in starting.items() if n not in hopeless})
    coverage.note_triggers(using, installed)


def _has_other_triggers(states: Iterable[State], known: Mapping[str, Coverage]) -> bool:
    """Return whether installed triggers differ from those recorded in Coverage."""
    there = [(s.installed, known[s.name]) for s in states if s.installed and s.name in known]
    return any(not coverage.is_noted(installed, row) for installed, row in there)


def _restarts(states: Iterable[State], known: Mapping[str, Coverage]) -> dict[str, Coverage.Reason]:
    reasons = {state.name: coverage.restart(state, known.get(state.name)) for state in states}
    return {name: reason for name, reason in reasons.items() if reason}


def _other_columns(states: Iterable[State], known: Mapping[str, Coverage]) -> dict[str, TableShape]:
    """Return the tables whose columns differ from those recorded in Coverage."""
    shapes = {state.name: state.capture.shape for state in states if state.capture}
    return {n: s for n, s in shapes.items() if coverage.has_other_columns(known.get(n), s)}


def _keyless(states: Iterable[State], known: Mapping[str, Coverage]) -> set[str]:
    """Return the tables that do not keep their keys unique, and are not known for it."""
    return {
        state.name
        for state in states
        if state.capture and not state.capture.keeps_keys_unique
        if state.name not in known or coverage.KEYLESS not in known[state.name].columns
    }


def script(using: str) -> list[str]:
    """Return the SQL that installs the triggers of every tracked table that exists."""
    vendor = get_vendor(using)
    return _install_sql(vendor, [state for state in inspect(using) if state.capture])


def _install_sql(vendor: Vendor, states: Iterable[State]) -> list[str]:
    leftovers = [state.name for state in states if state.status is Status.LEFTOVER]
    wanted = [state.capture for state in states if state.capture]
    removing = vendor.remove_sql(*leftovers)
    if not wanted:
        return removing
    return removing + vendor.support_sql() + vendor.install_sql(*wanted) + vendor.seal_sql()
