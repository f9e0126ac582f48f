"""Builds the SQL that finds the event before of an object, of which an update is the difference.

An event that has left the row as it was (``row_kept``) is not one from before, and needs none: such
events are apart from the others. An object whose key changes is the same one: with
``previous_object_id``, each event is where its object is afterwards, and one that changes the key
is also where its object is no longer.
"""

from __future__ import annotations

from .import_types import Selection

# What the row of a key is after an event: it is gone, it is there, or it came from another key.
_GONE, _THERE, _CAME = 0, 1, 2

_UNKNOWN = """(
    SELECT table_name, CAST(object_id AS text) AS object_id, position, occurred_at{more},
        CAST(NULL AS bigint) AS previous_position
    FROM {source}
) AS events"""

_ALONE = """(
    SELECT table_name, CAST(object_id AS text) AS object_id, position, occurred_at{more},
        CASE WHEN {changing} AND lag(action) OVER object <> 'D' THEN lag(position) OVER object END
            AS previous_position
    FROM {source}
    WINDOW object AS (PARTITION BY table_name, object_id, {changing} ORDER BY {order})
) AS events"""

# One statement may give each row the key of the next one. Then a row comes to a key before the one
# that was there leaves it, and which of them an event is about is not certain.
_MOVING = """(
    SELECT table_name, key AS object_id, position, occurred_at{more}, CASE
        WHEN was = {gone} OR NOT changing THEN NULL
        WHEN state = {gone} AND was = {came} AND (rows_there > 1 OR was_at = occurred_at) THEN NULL
        ELSE was_position
    END AS previous_position
    FROM (
        SELECT every.*, lag(state) OVER object AS was, lag(position) OVER object AS was_position,
            lag(occurred_at) OVER object AS was_at,
            sum(CASE WHEN state = {came} OR action = 'I' THEN 1 WHEN state = {gone} THEN -1
                WHEN is_first THEN 1 ELSE 0 END) OVER (
                PARTITION BY table_name, key, changing ORDER BY {order}, state DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS rows_there
        FROM (
            SELECT steps.*, lag(state) OVER object IS NULL AS is_first FROM (
                SELECT table_name, CAST(object_id AS text) AS key, position, occurred_at{more},
                    action, {changing} AS changing,
                    CASE WHEN action = 'D' THEN {gone} WHEN {moved} THEN {came} ELSE {there} END
                        AS state, NOT {moved} AS is_answer
                FROM {source}
                UNION ALL
                SELECT table_name, CAST(previous_object_id AS text), position, occurred_at{more},
                    action, {changing}, {gone}, true
                FROM {source} AND {moved}
            ) AS steps WINDOW object AS (
                PARTITION BY table_name, key, changing ORDER BY {order}, state DESC
            )
        ) AS every WINDOW object AS (
            PARTITION BY table_name, key, changing ORDER BY {order}, state DESC
        )
    ) AS known WHERE is_answer
) AS events"""
_CHANGING = "NOT coalesce(row_kept, false)"
_MOVED = "coalesce(CAST(previous_object_id AS text) <> CAST(object_id AS text), false)"


def with_previous(selection: Selection, source: str) -> str:
    """Return the events with the position of the same object's event before, if that is needed.

    :param source: what follows FROM in a query of the events that are meant, with its condition.
    """
    more = ", command" if "command" in selection.has else ""
    if "changed_from" in selection.has:
        return _UNKNOWN.format(source=source, more=more)
    way = _MOVING if "previous_object_id" in selection.has else _ALONE
    changing = _CHANGING if "row_kept" in selection.has else "true"
    return way.format(
        source=source,
        more=more,
        order="occurred_at, position" if selection.by_time else "position",
        changing=changing,
        moved=f"({_MOVED} AND {changing})",
        gone=_GONE,
        there=_THERE,
        came=_CAME,
    )
