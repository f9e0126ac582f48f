"""PostgreSQL's queries for rows as of an event, with placeholders in braces."""

from __future__ import annotations

# Long lists come as one text each (see names.joined): the driver takes many times as long to write
# an array.
IMAGE_SQL = """
SELECT wanted.id, wanted.before, unknown.names, digests.names, {unlike}, {columns}
FROM unnest(string_to_array(%s, ' ')::bigint[], string_to_array(%s, ' ')::boolean[])
    AS wanted (id, before) {rows}
"""

# Uncompressed values are as large as on disk. Compressed ones may unpack to many times their size:
# PostgreSQL's own method writes 273 bytes as 3, LZ4 255 as 1.
_COLUMNS = ("row_data", "changed_from")
_LARGEST = " + ".join(
    f"coalesce(pg_column_size({c}) * CASE WHEN pg_column_compression({c}) IS NULL THEN 1 ELSE 256"
    " END, 0)"
    for c in _COLUMNS
)
# Each value once: those of a log that is attached to another one are computed.
_MEASURED = "(SELECT * FROM auditrepr_auditlog WHERE id = ANY(%(ids)s) OFFSET 0) AS log"
# No rows if they cannot be too large together: then nothing is unpacked to measure it.
LARGE_SQL = f"""
    SELECT id, {" + ".join(f"coalesce(pg_column_size({c}), 0)" for c in _COLUMNS)},
        {" OR ".join(f"pg_column_compression({c}) IS NOT NULL" for c in _COLUMNS)}
    FROM {_MEASURED} WHERE (SELECT sum({_LARGEST}) FROM {_MEASURED}) > %(most)s
"""
UNPACKED_SQL = f"""
    SELECT id, {" + ".join(f"coalesce(octet_length({c}::text), 0)" for c in _COLUMNS)}
    FROM auditrepr_auditlog WHERE id = ANY(%s)
"""
# Replaces a column: the number of bytes that it unpacks to.
WEIGHT = (
    "CASE WHEN pg_column_compression(%(expressions)s) IS NULL THEN pg_column_size(%(expressions)s)"
    " ELSE octet_length(%(expressions)s::text) END"
)

# Whether another transaction inserted the event than the one that it names: an older one, or any,
# while the named one is still to come. This holds in a log that was restored into another cluster.
# A row's xmin is the lower half of an ID; a subtransaction's is higher than its transaction's.
NEWEST = "pg_snapshot_xmax(pg_current_snapshot())"
_RESTORED = f"""({{log}}.transaction_id::text::xid8 >= {NEWEST} OR
    ({{log}}.xmin::text::bigint - {{log}}.transaction_id) & 4294967295 >= 2147483648)"""
RESTORED_SQL = f"""
SELECT log.id FROM auditrepr_auditlog log
WHERE log.id = ANY(%s::bigint[]) AND {_RESTORED.format(log="log")}
"""

# The events that the moment saw: its own transaction's, those visible to its snapshot, and those
# restored before its transaction began, of which only the IDs give the order.
_SEEN = f"""log.id <= wanted.id AND CASE
        WHEN log.transaction_id IS NOT DISTINCT FROM wanted.transaction_id THEN NOT (
            log.action IS NOT DISTINCT FROM wanted.before AND log.occurred_at = wanted.occurred_at
        )
        WHEN wanted.snapshot IS NULL OR log.transaction_id IS NULL THEN true
        ELSE pg_visible_in_snapshot(log.transaction_id::text::xid8, wanted.snapshot) OR (
            {_RESTORED.format(log="log")} AND NOT EXISTS (
                SELECT FROM auditrepr_auditlog moment
                WHERE moment.id = wanted.id AND {_RESTORED.format(log="moment")}
            )
        )
    END"""
LOWEST = "'-9223372036854775808'::bigint"
LIMITS = {"since": " AND log.occurred_at >= %s", "until": " AND log.occurred_at < %s"}
_EVENTS = """FROM auditrepr_auditlog log
    WHERE log.table_name = %s{{limits}} AND log.{key} = wanted.key"""
# Most moments saw the newest event of the row last. If one did not, each neighbor takes one index
# look-up; see asof.neighbors.Neighbors for their order.
_NEWEST_EVENT = f"""LEFT JOIN LATERAL (
    SELECT log.id, {_SEEN} AS seen {_EVENTS} ORDER BY log.id DESC LIMIT 1
) {{newest}} ON true"""
_LAST_SEEN = f"SELECT log.id {_EVENTS} AND {_SEEN} ORDER BY log.id DESC LIMIT 1"
_PLACES = (
    f"""CASE WHEN {{newest}}.seen THEN {{newest}}.id WHEN NOT {{newest}}.seen THEN
    ({_LAST_SEEN}) END""",
    f"""CASE WHEN {{newest}}.id > wanted.id THEN
    (SELECT log.id {_EVENTS} AND log.id > wanted.id ORDER BY log.id LIMIT 1) END""",
    f"""CASE WHEN NOT {{newest}}.seen THEN
    (SELECT log.id {_EVENTS} AND log.id > coalesce(({_LAST_SEEN}), {LOWEST})
    ORDER BY log.id LIMIT 1) END""",
)
_KEYS = {"newest": "object_id", "taking": "previous_object_id"}
AROUND_SQL = """
SELECT {places} FROM (
    SELECT key, id, transaction_id, snapshot::pg_snapshot, occurred_at, before, n
    FROM unnest(
        ARRAY(SELECT json_array_elements_text(%s::json)), string_to_array(%s, ' ')::bigint[],
        string_to_array(%s, ' ', 'None')::bigint[], string_to_array(%s, ' ', 'None'),
        string_to_array(%s, ' ', 'None')::timestamptz[], string_to_array(%s, ' ', 'None')
    ) WITH ORDINALITY
        AS given (key, id, transaction_id, snapshot, occurred_at, before, n)
    OFFSET 0
) wanted {newest} ORDER BY wanted.n
""".format(
    places=", ".join(
        place.format(newest=newest, key=key) for place in _PLACES for newest, key in _KEYS.items()
    ),
    newest=" ".join(_NEWEST_EVENT.format(newest=newest, key=key) for newest, key in _KEYS.items()),
)

# Of rows of several tables, which may have had other names.
NEWEST_SEEN_SQL = f"""
SELECT (
    SELECT log.id FROM auditrepr_auditlog log
    WHERE log.table_name = wanted.name AND log.object_id = wanted.key
        AND (wanted.since IS NULL OR log.occurred_at >= wanted.since)
        AND (wanted.until IS NULL OR log.occurred_at < wanted.until)
        AND {_SEEN}
    ORDER BY log.id DESC LIMIT 1
) FROM (
    SELECT name, key, since, until, occurred_at, id, transaction_id, snapshot::pg_snapshot,
        NULL::text AS before, n
    FROM unnest(
        ARRAY(SELECT json_array_elements_text(%s::json)),
        ARRAY(SELECT json_array_elements_text(%s::json)),
        string_to_array(%s, ' ', 'None')::timestamptz[],
        string_to_array(%s, ' ', 'None')::timestamptz[],
        string_to_array(%s, ' ', 'None')::timestamptz[],
        string_to_array(%s, ' ')::bigint[], string_to_array(%s, ' ', 'None')::bigint[],
        string_to_array(%s, ' ', 'None')
    ) WITH ORDINALITY
        AS given (name, key, since, until, occurred_at, id, transaction_id, snapshot, n)
    OFFSET 0
) wanted ORDER BY wanted.n
"""

# The row's last change by another transaction, if the statement's snapshot does not see it.
OVERTAKEN_SQL = """
SELECT event.id FROM auditrepr_auditlog event
CROSS JOIN LATERAL (
    SELECT log.transaction_id, log.occurred_at FROM auditrepr_auditlog log
    WHERE log.table_name = event.table_name AND log.object_id = event.object_id
        AND log.id < event.id AND log.transaction_id <> event.transaction_id
    ORDER BY log.id DESC LIMIT 1
) other
WHERE event.id = ANY(%s::bigint[])
    AND NOT pg_visible_in_snapshot(other.transaction_id::text::xid8, event.snapshot::pg_snapshot)
    AND other.occurred_at >= event.occurred_at - interval '1 day'
"""

REACHES_BEYOND = """
SELECT EXISTS (
    SELECT FROM pg_constraint WHERE contype = 'f'
        AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
) OR EXISTS (
    SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgname NOT LIKE '%auditrepr\\_%'
)
"""

# No other transaction interferes: the row is locked until the transaction ends.
_BESIDE = """(
    SELECT * FROM auditrepr_auditlog log
    WHERE log.table_name = event.table_name AND log.object_id = event.object_id
        AND log.id {than} event.id
    ORDER BY log.id {order} LIMIT 1
)"""
_EARLIER = _BESIDE.format(than="<", order="DESC")
_LATER = _BESIDE.format(than=">", order="")
_IN_ONE_MESSAGE = """({0}.transaction_id, {0}.statement_at)
    = (event.transaction_id, event.statement_at)"""

_UNSEEN = """
    FROM (
        SELECT * FROM auditrepr_auditlog WHERE table_name = %(table)s AND id > %(since)s
        UNION ALL
        SELECT * FROM auditrepr_auditlog WHERE table_name = %(table)s AND id <= %(since)s
            AND transaction_id >= %(running)s
    ) log"""
# Most events have no such neighbor, and then need no closer look.
TOGETHER_SQL = f"""
SELECT event.id FROM auditrepr_auditlog event
WHERE event.id = ANY(%s::bigint[]) AND (
    EXISTS (SELECT FROM {_EARLIER} earlier WHERE {_IN_ONE_MESSAGE.format("earlier")})
    OR EXISTS (SELECT FROM {_LATER} later WHERE {_IN_ONE_MESSAGE.format("later")})
)
"""
CHANGED_AGAIN_SQL = f"""
SELECT event.id FROM auditrepr_auditlog event
LEFT JOIN LATERAL {_EARLIER} earlier ON event.action = 'D'
LEFT JOIN LATERAL {_LATER} later ON event.action <> 'D'
WHERE event.id = ANY(%s::bigint[])
    AND ({_IN_ONE_MESSAGE.format("earlier")} OR {_IN_ONE_MESSAGE.format("later")})
"""

# The new state in one event must be the old state in the next one, and not the reverse.
_LEFT = "CASE WHEN {0}.action <> 'D' THEN {0}.row_data END"
_FOUND = """CASE {0}.action WHEN 'U' THEN {0}.row_data || {0}.changed_from
    WHEN 'D' THEN {0}.row_data END"""
_UNFIT = f"""({_LEFT.format("{0}")} IS DISTINCT FROM {_FOUND.format("{1}")}
    OR {_LEFT.format("{1}")} IS NOT DISTINCT FROM {_FOUND.format("{0}")})"""
OUT_OF_ORDER_SQL = f"""
WITH RECURSIVE event AS (
    SELECT id AS start, 0 AS steps, false AS unfit, log.*
    FROM auditrepr_auditlog log WHERE id = ANY(%s::bigint[])
    UNION ALL
    SELECT start, steps + 1, {_UNFIT.format("event", "later")}, later.*
    FROM event CROSS JOIN LATERAL {_LATER} later
    WHERE {_IN_ONE_MESSAGE.format("later")} AND NOT unfit AND steps < {{steps}}
)
SELECT start FROM event WHERE unfit OR steps = {{steps}}
UNION
SELECT start FROM event CROSS JOIN LATERAL {_EARLIER} earlier
WHERE steps = 0 AND {_IN_ONE_MESSAGE.format("earlier")} AND {_UNFIT.format("earlier", "event")}
""".format(steps=100)

MENTIONS_SQL = f"""
SELECT DISTINCT mention.text, mention.key
FROM (SELECT * {_UNSEEN} LIMIT %(most)s) log
CROSS JOIN LATERAL (VALUES
    (row_data ->> %(column)s, object_id),
    (changed_from ->> %(column)s, object_id),
    (coalesce(changed_from ->> %(column)s, row_data ->> %(column)s), previous_object_id)
) mention (text, key)
WHERE mention.key IS NOT NULL AND mention.text = ANY(%(texts)s)
"""
BEYOND_SQL = f"SELECT 1 {_UNSEEN} LIMIT 1 OFFSET %(most)s"
CHANGES_SQL = f"""
SELECT id, action, object_id, previous_object_id, transaction_id, statement_at, occurred_at
{_UNSEEN}
ORDER BY id LIMIT %(most)s + 1
"""

PLACE = """
SELECT quote_ident(nspname) || '.' || quote_ident(relname), format_type(atttypid, atttypmod)
FROM unnest(%s::text[]) WITH ORDINALITY AS part (name, n)
JOIN pg_attribute ON attrelid = %s::regclass AND attname = part.name
JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
ORDER BY part.n
"""
# In a recursive WITH, the bare name would be this expression itself. Every part must have the
# table's types: if not, no condition reaches the index. Only the image of the key that is asked for
# is read: the key is known without it.
TABLE_SQL = """{name} ({names}) AS NOT MATERIALIZED (
    SELECT {live} FROM {table} live WHERE {stays}{held}
)"""
STAYS = "{live} <> ALL(%s::text[]::{key_type}[])"
PARTS_STAY = "({live}) NOT IN (SELECT {parts} FROM unnest(%s::text[]) AS gone (key))"
IMAGES_SQL = """
    UNION ALL
    SELECT {values} FROM unnest(%s::text[]::{key_type}[], string_to_array(%s, ' ')::bigint[],
        string_to_array(%s, ' ')::boolean[]) AS wanted (key, id, before) {rows}"""

RELATION_SQL = """({names}, auditrepr_n) AS (
    SELECT {live}, wanted.n
    FROM unnest(%s::bigint[], %s::{key_type}[]) AS wanted (n, key)
    JOIN {table} live ON live.{key} = wanted.key{held}
)"""
HELD_SQL = """
    UNION ALL
    SELECT {values}, wanted.n
    FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[]) AS wanted (n, id, before) {rows}"""
