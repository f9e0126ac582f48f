"""The statements with which SQLite answers: what is between braces is filled in for each."""

from __future__ import annotations

POSITION = """
    SELECT max(
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'auditrepr_auditlog'), 0),
        coalesce((SELECT max(id) FROM auditrepr_auditlog), 0)
    )
"""

# One look-up in an index for each place around the moment; see states.Around for their order.
_NEAREST = """
    (SELECT {extreme}(id) FROM auditrepr_auditlog
     WHERE table_name = %(table)s{{limits}} AND {key} = json_extract(wanted.value, '$[0]')
     {bound})"""

LIMITS = {"since": " AND occurred_at >= %(since)s", "until": " AND occurred_at < %(until)s"}

_BOUNDS = [
    ("max", "AND id <= json_extract(wanted.value, '$[1]')"),
    ("min", "AND id > json_extract(wanted.value, '$[2]')"),
    ("min", ""),
]

AROUND_SQL = "SELECT {} FROM json_each(%(wanted)s) AS wanted ORDER BY wanted.key".format(
    ",".join(
        _NEAREST.format(extreme=extreme, key=key, bound=bound)
        for extreme, bound in _BOUNDS
        for key in ("object_id", "previous_object_id")
    )
)

# Triggers of others, and what foreign keys do by themselves when a row goes or gets another key.
REACHES_BEYOND = """
    SELECT EXISTS (
        SELECT 1 FROM sqlite_master
        WHERE type = 'trigger' AND name NOT LIKE 'auditrepr@_%%' ESCAPE '@'
            AND tbl_name NOT IN ('auditrepr_auditlog', 'auditrepr_instancerepr')
    ) OR EXISTS (
        SELECT 1 FROM sqlite_master AS here, pragma_foreign_key_list(here.name) AS reference
        WHERE here.type = 'table' AND (
            reference.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
            OR reference.on_update IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
        )
    )
"""

CHANGED_AGAIN_SQL = f"""
    SELECT event.id FROM auditrepr_auditlog AS event
    WHERE event.id IN (SELECT value FROM json_each(%s)) AND ({REACHES_BEYOND}) AND EXISTS (
        SELECT 1 FROM auditrepr_auditlog AS other
        WHERE other.table_name = event.table_name AND other.object_id = event.object_id
            AND other.occurred_at = event.occurred_at
            AND iif(event.action = 'D', other.id < event.id, other.id > event.id)
    )
"""

STORE = """
    INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
    VALUES (%s, %s, %s, %s) ON CONFLICT (audit_log_id) DO NOTHING
"""

REPLACE = """
    UPDATE auditrepr_instancerepr SET instance_repr = %s, fidelity = %s, reason = %s
    WHERE audit_log_id = %s
"""

# Names of tables differ in more than case. Reading the columns of a view can fail, and of a virtual
# table needs its module.
SHAPES = """
    WITH found (name, kind) AS (
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

TRIGGERS = "SELECT name, tbl_name, sql, rowid FROM sqlite_master WHERE type = 'trigger'"

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
