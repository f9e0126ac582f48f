"""Builds the SQL that finds the event before of an object, of which an update is the difference.

An event that has left the row as it was (``row_kept``) is not one from before. An object whose key
changes is the same one: with ``previous_object_id``, each event is where its object is afterwards,
and one that changes the key is also where its object is no longer.
"""

from __future__ import annotations

from .import_types import Selection

# What the row of a key is after an event: it is gone, it is there, or it came from another key.
_GONE, _THERE, _CAME = 0, 1, 2

_UNKNOWN = """(
    SELECT table_name, CAST(object_id AS text) AS object_id, position, occurred_at,
        CAST(NULL AS bigint) AS previous_position
    FROM {source}
) AS events"""

_ALONE = """(
    SELECT table_name, CAST(object_id AS text) AS object_id, position, occurred_at,
        CASE WHEN lag(action) OVER object <> 'D' THEN lag(position) OVER object END
            AS previous_position
    FROM {source} WINDOW object AS (PARTITION BY table_name, object_id ORDER BY {order})
) AS events"""

# One statement may give each row the key of the next one. Then a row comes to a key before the one
# that was there leaves it, and which of them an event is about is not certain.
_MOVING = """(
    SELECT table_name, key AS object_id, position, occurred_at, CASE
        WHEN was = {gone} THEN NULL
        WHEN state = {gone} AND was = {came} AND (rows_there > 1 OR was_at = occurred_at) THEN NULL
        ELSE was_position
    END AS previous_position
    FROM (
        SELECT every.*, lag(state) OVER object AS was, lag(position) OVER object AS was_position,
            lag(occurred_at) OVER object AS was_at,
            sum(CASE WHEN state = {came} OR action = 'I' THEN 1 WHEN state = {gone} THEN -1
                WHEN is_first THEN 1 ELSE 0 END) OVER (
                PARTITION BY table_name, key ORDER BY {order}, state DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS rows_there
        FROM (
            SELECT steps.*, lag(state) OVER object IS NULL AS is_first FROM (
                SELECT table_name, CAST(object_id AS text) AS key, position, occurred_at, action,
                    CASE WHEN action = 'D' THEN {gone} WHEN {moved} THEN {came} ELSE {there} END
                        AS state, NOT {moved} AS is_answer
                FROM {source}
                UNION ALL
                SELECT table_name, CAST(previous_object_id AS text), position, occurred_at, action,
                    {gone}, true
                FROM {source} AND {moved}
            ) AS steps WINDOW object AS (PARTITION BY table_name, key ORDER BY {order}, state DESC)
        ) AS every WINDOW object AS (PARTITION BY table_name, key ORDER BY {order}, state DESC)
    ) AS known WHERE is_answer
) AS events"""
_KEPT = "coalesce(row_kept, false)"
_MOVED = "coalesce(CAST(previous_object_id AS text) <> CAST(object_id AS text), false)"


def with_previous(selection: Selection, source: str) -> list[str]:
    """Return the events with the position of the same object's event before, if that is needed.

    They are in several parts: SQLite's parser has little room for what is in one another.

    :param source: what follows FROM in a query of the events that are meant, with its condition.
    """
    if "changed_from" in selection.has:
        return [_UNKNOWN.format(source=source)]
    if "row_kept" not in selection.has:
        return [_looked_up(selection, source)]
    changing = _looked_up(selection, f"{source} AND NOT {_KEPT}")
    return [changing, _UNKNOWN.format(source=f"{source} AND {_KEPT}")]


def _looked_up(selection: Selection, source: str) -> str:
    order = "occurred_at, position" if selection.by_time else "position"
    if "previous_object_id" not in selection.has:
        return _ALONE.format(source=source, order=order)
    return _MOVING.format(
        source=source, order=order, moved=_MOVED, gone=_GONE, there=_THERE, came=_CAME
    )
