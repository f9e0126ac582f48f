"""The triggers: which are there, which are not, and since when they have run unbroken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, router, transaction

from ..exceptions import DatabaseUnreachable, LogElsewhere, MigrationsPending
from ..lineage import unapplied
from ..models import AuditLog, Coverage
from ..tracking import TrackedTable, tracked_tables
from ..utils.table_names import log_name, model_for_table
from ..utils.time_limit import TimeLimit
from ..vendors import Vendor, get_vendor, supports
from ..vendors.types import Capture, Installed, Kind, Survey, TableShape
from . import coverage, search_index
from .state import BROKEN, State, Status

LOG = log_name(AuditLog._meta.db_table)


def databases(using: str | None = None, *, with_log: bool = True) -> list[str]:
    """This database, or by default all that hold an audit log.

    :param with_log: is one that holds none out of the question?
    :raises MigrationsPending: if none is left.
    :raises DatabaseUnreachable: if one of them cannot be reached.
    """
    aliases = [using] if using else [alias for alias in connections if may_hold_log(alias)]
    found = [alias for alias in aliases if not with_log or holds_log(alias)]
    if not found:
        raise without_log(using or DEFAULT_DB_ALIAS)
    return found


def without_log(using: str) -> MigrationsPending:
    """What is wrong with a database, or a schema of it, that holds no audit log."""
    if schema := schema_of(using):
        return LogElsewhere(alias=using, schema=schema)
    return MigrationsPending(alias=using, names=AuditLog._meta.app_label)


def schema_of(using: str) -> str:
    """The schema that the log is in, or would be; empty if it is the only one that one expects."""
    schema = get_vendor(using).log_schema
    return "" if schema == "public" else schema


def holds_log(using: str) -> bool:
    """Does this database have auditrepr's tables?

    :raises DatabaseUnreachable: if it cannot be reached.
    """
    vendor = get_vendor(using)
    try:
        vendor.connection.ensure_connection()
    except OperationalError as error:
        reason = " ".join(str(error).split())
        raise DatabaseUnreachable(alias=using, reason=reason) from error
    return LOG in vendor.shapes([LOG])


def inspect(using: str) -> list[State]:
    """Every tracked table of this database, then those whose triggers are left over.

    Nothing at all if the database has no audit log.

    :raises UnsupportedDatabase: if auditrepr does not work on this database.
    """
    vendor = get_vendor(using)
    tables = tracked_tables(using)
    return judged(vendor, tables, vendor.survey(to_survey(tables), migrations=False))


def to_survey(tables: Iterable[TrackedTable]) -> list[str]:
    """What to survey, to judge these tables."""
    return [LOG, *(table.name for table in tables)]


def judged(vendor: Vendor, tables: Collection[TrackedTable], found: Survey) -> list[State]:
    """What `inspect` gives, from what was found."""
    if LOG not in found.shapes:
        return []
    states = [
        _state(vendor, table, found.shapes.get(table.name), found.installed.get(table.name))
        for table in tables
    ]
    leftovers = sorted(found.installed.keys() - {table.name for table in tables})
    states += [State(name, Status.LEFTOVER, None, found.installed[name]) for name in leftovers]
    return _until_migrate(vendor, states, found.applied)


def install(
    using: str, names: Collection[str] | None = None, *, force: bool = False
) -> list[State]:
    """Create the triggers that are missing, outdated or disabled; drop those left over.

    What a pending migration renames or deletes keeps its triggers until then.

    :param names: only these tables, as the log names them; all by default.
    :param force: the triggers that are in order, too.
    :returns: the states that were changed, as they were before.
    """
    every, known = _seen(using)
    states = [state for state in every if names is None or state.name in names]
    wanted = BROKEN | {Status.OK} if force else BROKEN
    changed = [state for state in states if state.status in wanted]
    audited = {state.name: state for state in states if state.capture}
    starting = _restarts(audited.values(), known)
    # A shared table that this connection does not see is absent, and recorded.
    recorded = {s.name for s in states if s.waits or (s.status is Status.ABSENT and s.installed)}
    stale = known.keys() - audited.keys() - recorded if names is None else ()
    shapes = _other_columns(states, known)
    if changed or starting or stale or shapes or _has_other_triggers(every, known):
        with transaction.atomic(using):
            _execute(using, _install_sql(get_vendor(using), changed))
            # Only now: CREATE TRIGGER has waited for whoever was writing to its table.
            _start(using, every, known, starting)
            coverage.note_columns(using, shapes)
            coverage.forget(using, stale)
    return changed


def remove(using: str) -> list[str]:
    """Drop all triggers and what they share; gives the names of the tables that had some.

    Needs no model and no valid setting.
    """
    vendor = get_vendor(using)
    names = sorted(vendor.installed())
    recorded = vendor.shapes([coverage.TABLE])
    with transaction.atomic(using):
        _execute(using, [sql for name in names for sql in vendor.remove_sql(name)])
        _execute(using, vendor.remove_support_sql())
        search_index.remove(using)
        if recorded:
            coverage.forget(using, coverage.rows(using))
    return names


def note_gaps(using: str) -> list[State]:
    """Write down which tables are not captured, and start the coverage of those that are again.

    :returns: the tables that ought to be captured, and are not.
    """
    every, known = _seen(using)
    states = [state for state in every if state.capture]
    lost = [state for state in states if not state.captured]
    ended = [s for s in lost if s.name in known and known[s.name].since_event is not None]
    starting = _restarts([s for s in states if s.status is Status.OK], known)
    shapes = _other_columns(states, known)
    if ended or starting or shapes or _has_other_triggers(every, known):
        with transaction.atomic(using):
            coverage.end(using, _restarts(ended, known))
            _start(using, every, known, starting)
            coverage.note_columns(using, shapes)
    return lost


def covered(using: str) -> dict[str, Coverage]:
    """Since when each table that is captured now has been, without a gap.

    To rely on what a live table says, read it first and ask this afterwards.
    """
    states = [state for state in inspect(using) if state.captured]
    known = coverage.rows(using) if states else {}
    return {
        state.name: known[state.name]
        for state in states
        if coverage.restart(state, known.get(state.name)) is None
    }


def covered_since(using: str) -> dict[str, int]:
    """The event after which each table that is captured now has been, without a gap."""
    since = {name: row.since_event for name, row in covered(using).items()}
    return {name: event for name, event in since.items() if event is not None}


def _seen(using: str) -> tuple[list[State], dict[str, Coverage]]:
    """How every table stands, and what is on record."""
    states = inspect(using)
    known = coverage.rows(using) if states else {}
    if _has_other_triggers(states, known):
        # Has somebody installed them between the two? At one moment, both are there or neither.
        with get_vendor(using).reading(TimeLimit(0)):
            states, known = inspect(using), coverage.rows(using)
    return states, known


def _start(
    using: str,
    states: Iterable[State],
    known: Mapping[str, Coverage],
    starting: Mapping[str, Coverage.Reason],
) -> None:
    """These are covered from now on, by the triggers that are there now."""
    firing = {s.name: s.installed for s in states if s.installed and s.captured}
    replaced = coverage.replaced(firing, known)
    coverage.end(using, {name: replaced[name] for name in replaced.keys() - starting.keys()})
    coverage.start(using, starting)
    _execute(using, get_vendor(using).seal_sql())
    coverage.note_triggers(using)


def _has_other_triggers(states: Iterable[State], known: Mapping[str, Coverage]) -> bool:
    """Are there triggers that nobody wrote down?"""
    there = [(s.installed, known[s.name]) for s in states if s.installed and s.name in known]
    return any(installed.identity != row.triggers for installed, row in there)


def _restarts(states: Iterable[State], known: Mapping[str, Coverage]) -> dict[str, Coverage.Reason]:
    reasons = {state.name: coverage.restart(state, known.get(state.name)) for state in states}
    return {name: reason for name, reason in reasons.items() if reason}


def _other_columns(states: Iterable[State], known: Mapping[str, Coverage]) -> dict[str, TableShape]:
    """The tables whose columns are not those that were written down."""
    shapes = {state.name: state.capture.shape for state in states if state.capture}
    return {n: s for n, s in shapes.items() if coverage.has_other_columns(known.get(n), s)}


def script(using: str) -> list[str]:
    """The SQL that installs the triggers of every tracked table that exists."""
    vendor = get_vendor(using)
    return _install_sql(vendor, [state for state in inspect(using) if state.capture])


def may_hold_log(using: str) -> bool:
    """Is an audit log meant to be in this database?"""
    return supports(connections[using].vendor) and router.allow_migrate_model(using, AuditLog)


def _until_migrate(
    vendor: Vendor, states: list[State], applied: unapplied.Applied | None
) -> list[State]:
    """The states, with the tables that wait for a pending migration marked as such."""
    changing = [s for s in states if s.status is Status.LEFTOVER or _would_leak(s)]
    if not changing:
        return states
    known = unapplied.recorded(vendor.connection) if applied is None else applied
    leaving = unapplied.leaving(vendor.using, known)
    ahead = _ahead_of_table(changing, known)
    waits = {s.name for s in changing if s.name in leaving or s.name in ahead}
    return [replace(s, status=Status.WAITING) if s.name in waits else s for s in states]


def _would_leak(state: State) -> bool:
    """Would new triggers record a column that those in place leave out?"""
    if state.status is not Status.OUTDATED or not (state.capture and state.installed):
        return False
    there = {column.name for column in state.capture.shape.columns}
    return bool(state.installed.excluded & there - state.capture.excluded)


def _ahead_of_table(states: Iterable[State], applied: unapplied.Applied) -> set[str]:
    """The tables whose models have migrations that are pending."""
    models = {s.name: model_for_table(s.name) for s in states if s.capture}
    labels = {name: model._meta.app_label for name, model in models.items() if model}
    return {n for n, label in labels.items() if unapplied.has_pending(label, applied)}


def _state(
    vendor: Vendor, table: TrackedTable, shape: TableShape | None, installed: Installed | None
) -> State:
    if shape is None:
        return State(table.name, Status.ABSENT, None, installed)
    if shape.kind not in (Kind.TABLE, Kind.PARTITIONED):
        return State(table.name, Status.UNSUPPORTED)
    capture = _capture(table, shape)
    if installed is None or not installed.whole:
        return State(table.name, Status.MISSING, capture, installed)
    if not installed.enabled:
        return State(table.name, Status.DISABLED, capture, installed)
    current = installed.fingerprint == vendor.fingerprint(capture)
    return State(table.name, Status.OK if current else Status.OUTDATED, capture, installed)


def _capture(table: TrackedTable, shape: TableShape) -> Capture:
    # Between two migrations the model's key may not be there yet, or not any more.
    there = {column.name for column in shape.columns}.issuperset(table.key_columns)
    key = table.key_columns if there else shape.key_columns
    return Capture(table.name, table.db_table, shape, key, table.excluded)


def _install_sql(vendor: Vendor, states: Iterable[State]) -> list[str]:
    leftovers = [state.name for state in states if state.status is Status.LEFTOVER]
    wanted = [state.capture for state in states if state.capture]
    statements = [sql for name in leftovers for sql in vendor.remove_sql(name)]
    if wanted:
        statements += vendor.support_sql()
    statements += [sql for capture in wanted for sql in vendor.install_sql(capture)]
    return statements + (vendor.seal_sql() if wanted else [])


def _execute(using: str, statements: Iterable[str]) -> None:
    with get_vendor(using).connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)
