"""SQLite's queries, with placeholders in braces."""

from __future__ import annotations

from .trigger_body import REAL

# The log gives itself IDs from 1 on; other logs' events may have lower ones.
POSITION = """
    SELECT max(
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'auditrepr_auditlog'), 0),
        coalesce((SELECT max(id) FROM auditrepr_auditlog), 0)
    )
"""

# The file that holds the log.
LOG_FILE = """
    SELECT file FROM pragma_database_list WHERE name = 'main'
        AND EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'auditrepr_auditlog')
"""

# In the given order, which is that of the loop: a CROSS JOIN keeps it.
WEIGHTS_SQL = """
    SELECT wanted.key, coalesce(length(row_data), 0) + coalesce(length(changed_from), 0)
    FROM json_each(%s) AS wanted CROSS JOIN auditrepr_auditlog AS log ON log.id = wanted.value
"""

# Most moments saw the newest event of the row last. If one did not, each neighbor takes one index
# look-up; see asof.neighbors.Neighbors for their order.
_NEAREST = """(
        SELECT {extreme}(id) FROM auditrepr_auditlog
        WHERE table_name = %(table)s{{limits}} AND {key} = wanted.key {bound}
    )"""
_KEYS = ("object_id", "previous_object_id")
_PLACES = (
    ("CASE WHEN {newest} > wanted.seen THEN {nearest} ELSE {newest} END", "max", "<= wanted.seen"),
    ("CASE WHEN {newest} > wanted.id THEN {nearest} END", "min", "> wanted.id"),
    ("CASE WHEN {newest} > wanted.seen THEN {nearest} END", "min", "> wanted.seen"),
)
LIMITS = {"since": " AND occurred_at >= %(since)s", "until": " AND occurred_at < %(until)s"}
AROUND_SQL = """
WITH given AS MATERIALIZED (
    SELECT key AS n, json_extract(value, '$[0]') AS key,
        json_extract(value, '$[1]') AS seen, json_extract(value, '$[2]') AS id
    FROM json_each(%(wanted)s)
), wanted AS MATERIALIZED (
    SELECT wanted.*, {newest} FROM given AS wanted
)
SELECT {places} FROM wanted ORDER BY n
""".format(
    newest=", ".join(
        f"{_NEAREST.format(extreme='max', key=key, bound='')} AS newest_{key}" for key in _KEYS
    ),
    places=", ".join(
        place.format(
            newest=f"newest_{key}",
            nearest=_NEAREST.format(extreme=extreme, key=key, bound=f"AND id {bound}"),
        )
        for place, extreme, bound in _PLACES
        for key in _KEYS
    ),
)

# Of rows of several tables, which may have had other names.
NEWEST_SEEN_SQL = """
    SELECT (
        SELECT max(id) FROM auditrepr_auditlog AS log
        WHERE log.table_name = json_extract(wanted.value, '$[0]')
            AND log.object_id = json_extract(wanted.value, '$[1]')
            AND log.id <= json_extract(wanted.value, '$[2]')
            AND log.occurred_at >= coalesce(json_extract(wanted.value, '$[3]'), '')
            AND log.occurred_at < coalesce(json_extract(wanted.value, '$[4]'), '~')
    ) FROM json_each(%s) AS wanted ORDER BY wanted.key
"""

# The last event of a table from an earlier millisecond than this event's.
LAST_BEFORE = """
    SELECT max(id) FROM auditrepr_auditlog
    WHERE table_name = %s AND id < %s
        AND occurred_at < (SELECT occurred_at FROM auditrepr_auditlog WHERE id = %s)
"""

_TIME_BESIDE = """(
            SELECT occurred_at FROM auditrepr_auditlog AS log
            WHERE log.table_name = event.table_name AND log.object_id = event.object_id
                AND log.id {than} event.id ORDER BY log.id {order} LIMIT 1
        )"""
_TIME_BEFORE = _TIME_BESIDE.format(than="<", order="DESC")
_TIME_AFTER = _TIME_BESIDE.format(than=">", order="")
# Most events have no such neighbor, and then need no closer look.
TOGETHER_SQL = f"""
    SELECT event.id FROM auditrepr_auditlog AS event
    WHERE event.id IN (SELECT value FROM json_each(%s))
        AND (event.occurred_at = {_TIME_BEFORE} OR event.occurred_at = {_TIME_AFTER})
"""
CHANGED_AGAIN_SQL = f"""
    SELECT event.id FROM auditrepr_auditlog AS event
    WHERE event.id IN (SELECT value FROM json_each(%s))
        AND event.occurred_at = iif(event.action = 'D', {_TIME_BEFORE}, {_TIME_AFTER})
"""

# The new state in one event must be the old state in the next one, and not the reverse.
_FITS = """CASE WHEN {0}.action = 'D' OR {1}.action = 'I'
    THEN {0}.action = 'D' AND {1}.action = 'I'
    ELSE NOT EXISTS (
        SELECT key, type, value FROM json_each({0}.row_data)
        EXCEPT SELECT * FROM (
            SELECT key, type, value FROM json_each({1}.changed_from)
            UNION ALL
            SELECT key, type, value FROM json_each({1}.row_data)
            WHERE key NOT IN (SELECT key FROM json_each({1}.changed_from))
        )
    ) END"""
_UNFIT = f"(NOT {_FITS.format('{0}', '{1}')} OR {_FITS.format('{1}', '{0}')})"
# SQLite's clock stands still while a statement changes rows, however long that takes.
_TOGETHER = "{1}.occurred_at = {0}.occurred_at"
_BESIDE = """(
    SELECT {nearest}(log.id) FROM auditrepr_auditlog AS log
    WHERE log.table_name = event.table_name AND log.object_id = event.object_id
        AND log.id {than} event.id
)"""
OUT_OF_ORDER_SQL = f"""
    WITH RECURSIVE walk (start, steps, unfit, id) AS (
        SELECT value, 0, 0, value FROM json_each(%s)
        UNION ALL
        SELECT start, steps + 1, {_UNFIT.format("event", "later")}, later.id
        FROM walk JOIN auditrepr_auditlog AS event ON event.id = walk.id
        JOIN auditrepr_auditlog AS later
            ON later.id = {_BESIDE.format(nearest="min", than=">")}
        WHERE {_TOGETHER.format("event", "later")} AND NOT unfit AND steps < {{steps}}
    )
    SELECT start FROM walk WHERE unfit OR steps = {{steps}}
    UNION
    SELECT start FROM walk JOIN auditrepr_auditlog AS event ON event.id = walk.id
    JOIN auditrepr_auditlog AS earlier
        ON earlier.id = {_BESIDE.format(nearest="max", than="<")}
    WHERE steps = 0 AND {_TOGETHER.format("earlier", "event")}
        AND {_UNFIT.format("earlier", "event")}
""".format(steps=100)

STORE = """
    INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
    VALUES (%s, %s, %s, %s) ON CONFLICT (audit_log_id) DO NOTHING
"""

REPLACE = """
    UPDATE auditrepr_instancerepr SET instance_repr = %s, fidelity = %s, reason = %s
    WHERE audit_log_id = %s
"""

STORE_RELATED = """
    INSERT INTO auditrepr_relatedobject (audit_log_id, table_name, object_id)
    VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""

# As the triggers write a key: a blob as its digits, a real by their own means. A value that was too
# large is an object without the former, and no key.
_TEXT = f"""CASE type WHEN 'real' THEN {REAL.format(value="value")}
    WHEN 'object' THEN json_extract(value, '$."$blob"') ELSE CAST(value AS TEXT) END"""
# A blob, since text that is not UTF-8 would fail the whole query.
_TEXTS = f"""(
    SELECT CAST(json_group_object(key, {_TEXT.replace("%", "%%")}) AS BLOB)
    FROM json_each(log.{{source}}) WHERE key IN (SELECT value FROM json_each(%(columns)s))
)"""
RECORDED_TEXTS = f"""
    SELECT log.id, {_TEXTS.format(source="row_data")}, {_TEXTS.format(source="changed_from")}
    FROM json_each(%(ids)s) AS wanted CROSS JOIN auditrepr_auditlog AS log ON log.id = wanted.value
"""
# Formatted twice; a path into the document could not name every column.
RECORDED_TEXT = f"""(SELECT {_TEXT.replace("%", "%%%%")}
    FROM json_each(%(expressions)s) WHERE key = {{name}})"""

# Names of tables differ in more than case. Reading the columns of a view can fail, and of a virtual
# table needs its module. Unless it is materialized, the whole schema is read for each name.
SHAPES = """
    WITH found (name, kind) AS MATERIALIZED (
        SELECT name, CASE
            WHEN type = 'view' THEN 'view'
            WHEN sql LIKE 'CREATE VIRTUAL%%' THEN 'virtual table'
            ELSE 'table'
        END
        FROM sqlite_master WHERE type IN ('table', 'view')
    )
    SELECT wanted.value, kind, part.name, part.type, part.pk
    FROM json_each(%s) AS wanted
    JOIN found ON found.name = wanted.value COLLATE NOCASE
    LEFT JOIN pragma_table_xinfo(iif(kind = 'table', found.name, NULL)) AS part ON part.hidden <> 1
    ORDER BY wanted.key, part.cid
"""

COVERAGE = "SELECT * FROM auditrepr_coverage ORDER BY table_name"
TRIGGERS = "SELECT name, tbl_name, sql, rowid FROM sqlite_master WHERE type = 'trigger'"

#: The answers of both at once, as JSON; and the migrations that are applied.
APPLIED = "(SELECT json_group_array(json_array(app, name)) FROM django_migrations)"
INSTALLED = f"(SELECT json_group_array(json_array(name, tbl_name, sql, rowid)) FROM ({TRIGGERS}))"
SURVEY = f"""
SELECT
    (SELECT json_group_array(json_array(value, kind, name, type, pk)) FROM ({SHAPES})),
    {{installed}}, {{applied}}
"""

_LATER = "FROM auditrepr_auditlog WHERE table_name = %(table)s AND id > %(since)s ORDER BY id"

MENTIONS_SQL = f"""
WITH later AS MATERIALIZED (
    SELECT object_id, previous_object_id, CAST(json_extract(row_data, %(path)s) AS TEXT) AS new,
           CAST(json_extract(changed_from, %(path)s) AS TEXT) AS old {_LATER} LIMIT %(most)s
), mentions AS (
    SELECT new AS text, object_id AS key FROM later
    UNION SELECT old, object_id FROM later
    UNION SELECT coalesce(old, new), previous_object_id FROM later
)
SELECT text, key FROM mentions
WHERE key IS NOT NULL AND text IN (SELECT value FROM json_each(%(texts)s))
"""

BEYOND_SQL = f"SELECT 1 {_LATER} LIMIT 1 OFFSET %(most)s"
CHANGES_SQL = f"""
SELECT id, action, object_id, previous_object_id, transaction_id, statement_at, occurred_at {_LATER}
LIMIT %(most)s + 1
"""

# The bare name would be this expression itself. The table comes last: SQLite takes the declared
# types of the columns, by which the driver converts values, from the last part of a UNION.
TABLE_SQL = """{name} ({names}) AS NOT MATERIALIZED (
    {held}SELECT {live} FROM main.{name} AS live WHERE {stays}
)"""
STAYS = "({live}) NOT IN (SELECT {gone} FROM json_each(%s))"
IMAGES_SQL = "SELECT {values} FROM json_each(%s) UNION ALL "
SELECTED_SQL = """WITH {name} ({names}, auditrepr_n) AS (
    SELECT {values}, value FROM json_each(%s)
) SELECT {chosen} FROM {name} ORDER BY auditrepr_n"""
