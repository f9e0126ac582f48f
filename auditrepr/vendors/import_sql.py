"""Builds the SQL that reads the SELECTs of sources; nothing here is executed.

The parameters are ``until``, ``now``, ``tables``, ``keyed``, ``known``, ``source``, ``last_id``,
``most``, ``since``, and the fields of ``Planned``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .import_previous import with_previous
from .import_types import Selection

# How many events of the table are as late as this one.
_LATER = (
    "row_number() OVER (PARTITION BY part, table_name"
    " ORDER BY CASE WHEN by_time = 1 THEN occurred_at END DESC, position DESC)"
)

# Of what shares a moment, commands of several SELECTs say what came first.
_COMMANDED = """
    SELECT given.*, max(given_command) OVER (PARTITION BY part, moment ORDER BY position) AS command
    FROM ({timed}) AS given
"""


@dataclass(frozen=True)
class Dialect:
    """The SQL in which databases differ; ``{}`` is the place of an expression."""

    text: Callable[[str], str]  # a text
    document: str  # JSON, as the log stores it
    named: str  # {context}, with the name of its source, and its {text}
    is_object: str  # whether JSON is an object
    is_time: str  # whether a time is as Django stores it
    is_whole: str  # whether a position is a whole number
    is_name: str  # whether the name of a table is text
    without: Callable[[str, Sequence[str]], str]  # a document without columns
    difference: str  # of {earlier}: what is otherwise in {row}; null if nothing is
    once: str  # keeps a SELECT from being merged with the one around it
    among: str  # whether the table is one of those in the parameter {}
    known: str  # joins `known`: what is known of the table
    since: str  # since when the table is covered; null: it is not
    whole: str  # whether the row has all columns of the table
    doubled: str  # whether the log has the change itself, by `transaction`


def columns(select: str) -> str:
    """Return a query whose columns are those of a SELECT."""
    return f"SELECT * FROM {_source(select)} LIMIT 0"


def some_value(select: str, column: str) -> str:
    """Return a query for whether the column of a SELECT has any value."""
    return f"SELECT EXISTS (SELECT 1 FROM {_source(select)} WHERE {column} IS NOT NULL)"


def tables(dialect: Dialect, selection: Selection, *, whole: bool) -> str:
    """Return a query for the fields of ``FoundTable``.

    :param whole: whether to find out which events have whole rows; otherwise, no row is made.
    """
    meant = _meant(dialect, selection)
    source = _once(dialect, selection) if whole else _source(selection.select)
    return f"""
        SELECT table_name, sum(meant), sum(whole), sum(missed), sum(later), sum(future),
            sum(keyless), min(meant_at), max(meant_at)
        FROM (
            SELECT table_name,
                CASE WHEN {meant} THEN 1 ELSE 0 END AS meant,
                CASE WHEN {meant} THEN occurred_at END AS meant_at,
                CASE WHEN {meant} AND {dialect.whole if whole else "false"}
                    THEN 1 ELSE 0 END AS whole,
                CASE WHEN occurred_at >= %(until)s
                    AND coalesce(occurred_at < {dialect.since}, true)
                    THEN 1 ELSE 0 END AS missed,
                CASE WHEN occurred_at >= %(until)s THEN 1 ELSE 0 END AS later,
                CASE WHEN occurred_at > %(now)s THEN 1 ELSE 0 END AS future,
                CASE WHEN {meant} AND {"action <> 'T' AND object_id IS NULL" if whole else "false"}
                    THEN 1 ELSE 0 END AS keyless
            FROM {source}{dialect.known} WHERE {_among(dialect, selection)}
        ) AS events GROUP BY table_name ORDER BY table_name
    """


def unfit(dialect: Dialect, selection: Selection) -> str:
    """Return a query for the fields of ``Unfit``, over the events that may be meant.

    Positions are those of all events: by them, batches find theirs.
    """
    changed, context, text = (
        name if name in selection.has else "NULL" for name in ("changed_from", "context", "text")
    )
    wrong = (
        f"position IS NULL OR NOT {dialect.is_whole}",
        f"table_name IS NULL OR NOT {dialect.is_name}",
        "action IS NULL OR action NOT IN ('I', 'U', 'D', 'T')",
        "action = 'T' AND (object_id IS NOT NULL OR row_data IS NOT NULL)",
        f"action <> 'T' AND object_id IS NULL AND {dialect.among.format('keyed')}",
        f"action <> 'T' AND CASE WHEN row_data IS NULL THEN {text} IS NULL"
        f" ELSE NOT {dialect.is_object.format('row_data')} END",
        f"occurred_at IS NULL OR NOT {dialect.is_time}",
        f"{changed} IS NOT NULL AND NOT {dialect.is_object.format(changed)}",
        f"{context} IS NOT NULL AND NOT {dialect.is_object.format(context)}",
    )
    meant = (
        f"(occurred_at < %(until)s OR occurred_at IS NULL OR NOT {dialect.is_time})"
        f" AND ({_among(dialect, selection)} OR table_name IS NULL)"
    )
    # Not joined by AND: of what is not meant, nothing is to be read.
    counts = ", ".join(
        f"count(CASE WHEN {meant} THEN CASE WHEN {one} THEN 1 END END)" for one in wrong
    )
    return f"""
        SELECT count(position) - count(DISTINCT position), {counts}
        FROM {_once(dialect, selection)}
    """


def plan(dialect: Dialect, selections: Sequence[Selection], *, limited: bool) -> str:
    """Return the statement that plans the events of these SELECTs.

    :param limited: only the latest of each table, ``most`` of them.

    Positions decide the order within a SELECT: an event counts as no earlier than those before it,
    and in its transaction as no earlier command. If an object's event before is of another SELECT,
    what has changed is not known; nor is it if an event does not say which object it is of.
    """
    timed, order = _timed(dialect, selections, limited=limited), ["moment", "part", "position"]
    if any("command" in one.has for one in selections):
        timed = _COMMANDED.format(timed=timed)
        order.insert(1, "command")
    object_ = f"PARTITION BY table_name, object_id ORDER BY {', '.join(order)}"
    several = len(selections) > 1  # with one, there is nothing to sort for
    before = f"coalesce(lag(part) OVER ({object_}), part)" if several else "part"
    return f"""
        INSERT INTO auditrepr_plannedevent (id, part, position, previous_position)
        SELECT %(last_id)s + 1 - row_number() OVER (
            ORDER BY {", ".join(f"{column} DESC" for column in order)}
        ), part, position, CASE
            WHEN part = part_before AND object_id IS NOT NULL THEN previous_position
        END
        FROM (SELECT timed.*, {before} AS part_before FROM ({timed}) AS timed) AS ordered
        WHERE {"later <= %(most)s" if limited else "true"}
    """


def _timed(dialect: Dialect, selections: Sequence[Selection], *, limited: bool) -> str:
    """Return a query for the events of these SELECTs, each with the moment at which it counts."""
    return f"""
        SELECT part, table_name, object_id, position, previous_position, given_command,
            {_LATER if limited else 0} AS later,
            CASE WHEN by_time = 1 THEN occurred_at
                ELSE max(occurred_at) OVER (PARTITION BY part ORDER BY position)
            END AS moment
        FROM ({_parts(dialect, selections)}) AS events
    """


def _parts(dialect: Dialect, selections: Sequence[Selection]) -> str:
    """Return a query for the events of these SELECTs, each with the number of its SELECT."""
    return " UNION ALL ".join(
        f"SELECT {part} AS part, table_name, object_id, position, previous_position, occurred_at,"
        f" {int(one.by_time)} AS by_time, {_command(one)} AS given_command"
        f" FROM {with_previous(one, _events(dialect, one))}"
        for part, one in enumerate(selections)
    )


def _command(selection: Selection) -> str:
    return "command" if "command" in selection.has else "0"


def late(selection: Selection) -> str:
    """Return a query for the last planned event of this SELECT from before a time.

    And for how many are not from before it.
    """
    return f"""
        SELECT max(CASE WHEN occurred_at < %(since)s THEN planned.id END),
            count(CASE WHEN occurred_at >= %(since)s THEN 1 END)
        FROM auditrepr_plannedevent AS planned
        JOIN {_source(selection.select, "events")} ON events.position = planned.position
        WHERE planned.part = %(part)s
    """


def import_events(dialect: Dialect, selection: Selection) -> str:
    """Return the statement that moves planned events of this SELECT into the log."""
    previous, context, text = (
        f"events.{name}" if name in selection.has else "NULL"
        for name in ("previous_object_id", "context", "text")
    )
    changed, earlier = _changed(dialect, selection)
    # Of a row that is not known, no column is: the log has a row for each event of an object.
    row = "events.row_data"
    if "text" in selection.has:
        row = f"CASE WHEN events.action = 'T' THEN {row} ELSE coalesce({row}, '{{}}') END"
    row, changed = (_document(dialect, column, selection.excluded) for column in (row, changed))
    return f"""
        INSERT INTO auditrepr_auditlog (
            id, table_name, object_id, previous_object_id, action, row_data, changed_from, context,
            occurred_at
        )
        SELECT planned.id, events.table_name, CAST(events.object_id AS text),
            CAST({previous} AS text), events.action, {row}, {changed},
            {dialect.named.format(context=context, text=text)}, events.occurred_at
        FROM auditrepr_plannedevent AS planned
        JOIN {_source(selection.select, "events")} ON events.position = planned.position{earlier}
        WHERE planned.part = %(part)s AND planned.id > %(after)s AND planned.id <= %(upto)s
            AND events.position >= %(lowest)s AND events.position <= %(highest)s
    """


def _events(dialect: Dialect, selection: Selection) -> str:
    """Return what follows FROM in a query of the events that are meant."""
    meant = _meant(dialect, selection)
    return f"{_source(selection.select)} WHERE {meant} AND {_among(dialect, selection)}"


def _changed(dialect: Dialect, selection: Selection) -> tuple[str, str]:
    """Return SQL for what an update has changed, and what that joins."""
    if "changed_from" in selection.has:
        return "events.changed_from", ""
    changed = dialect.difference.format(
        row=dialect.document.format("events.row_data"),
        earlier=dialect.document.format("earlier.row_data"),
    )
    joined = f"""
        LEFT JOIN {_source(selection.select, "earlier")}
            ON events.action = 'U' AND earlier.position = planned.previous_position
    """
    return changed, joined


def _source(select: str, name: str = "source") -> str:
    # On a line of its own, the parenthesis does not end in a comment of the project's.
    select = select.replace("%", "%%")
    return f"({select}\n) AS {name}"


def _once(dialect: Dialect, selection: Selection) -> str:
    """Return the SELECT as something whose rows are made once, and not for each use of a column."""
    return f"(SELECT * FROM {_source(selection.select, 'every')} {dialect.once}) AS source"


def _meant(dialect: Dialect, selection: Selection) -> str:
    """Return the condition that an event is from before our log, whatever table it is of.

    Its time may be that at which its transaction began: that one may have written later.
    """
    early = "occurred_at < %(until)s"
    return f"({early} AND NOT {dialect.doubled})" if "transaction" in selection.has else early


def _among(dialect: Dialect, selection: Selection) -> str:
    return "true" if selection.tables is None else dialect.among.format("tables")


def _document(dialect: Dialect, column: str, excluded: Mapping[str, Sequence[str]]) -> str:
    document = dialect.document.format(column)
    whens = "".join(
        f" WHEN {dialect.text(table)} THEN {dialect.without(document, columns)}"
        for table, columns in excluded.items()
    )
    return f"CASE events.table_name{whens} ELSE {document} END" if whens else document
