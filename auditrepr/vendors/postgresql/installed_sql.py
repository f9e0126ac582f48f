"""The query of the catalog for the state of the triggers of every table, and of its partitions.

Dropping, disabling or replacing a trigger or its function writes another row into the catalog, with
another ``xmin``; so does attaching a partition.
"""

from __future__ import annotations

from .swallowing import LOG_TABLE, SWALLOWING
from .trigger_templates import ITS_FUNCTION, KNOWN_BY_NAME, ON_PARTITION, OWNED

# Where Django makes its tables: a log in any other schema is that of another site or tenant, even
# if the search path finds it.
OWN_SCHEMA = "coalesce(current_schema(), 'public')"

# The triggers of this log's tables. Their partitions have others, with the same functions: what
# PostgreSQL cloned there, and the guards.
_OURS = f"""
    SELECT pg_trigger.oid AS trigger, tgrelid, tgfoid, tgenabled IN ('O', 'A') AS fires,
        pg_trigger.xmin AS written, pg_proc.xmin AS defined
    FROM pg_trigger {ITS_FUNCTION}
    WHERE {OWNED} AND tgparentid = 0 AND NOT ({ON_PARTITION})
        AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = {OWN_SCHEMA})"""

# `top` is where the table's partitions lead to: the table, or the one that it is a partition of.
_ROOTS = """
    SELECT tgrelid AS root, relkind, pg_partition_root(tgrelid)::oid AS top,
        array_agg(DISTINCT tgfoid) AS functions
    FROM ours JOIN pg_class ON pg_class.oid = tgrelid GROUP BY tgrelid, relkind"""

# The server's cache knows where a partition leads to now; the catalog is read from a snapshot.
_BELOW = """
    SELECT root, functions, class.oid AS relid, inhparent AS parent, pg_inherits.xmin AS link,
        class.relkind, class.relfilenode, class.reltuples,
        class.relkind IN ('r', 'p') AND class.relpersistence <> 'u' AS possible
    FROM pg_class AS class JOIN roots ON top = pg_partition_root(class.oid)
    JOIN pg_inherits ON inhrelid = class.oid
    WHERE roots.relkind = 'p' AND class.relkind IN ('r', 'p', 'f') AND class.relispartition
        AND class.oid <> root
        AND (root = top OR root IN (SELECT relid FROM pg_partition_ancestors(class.oid)))"""

# What no trigger can record: anything while the log's own table loses events, the rows of tables
# that inherit from another, what is written through another table, that a crash emptied an unlogged
# one, and what a snapshot hides but other queries in it already show: that the table was emptied,
# or another one attached to it.
_NEVER_RECORDED = f"""
    SELECT root, inhrelid AS relid FROM roots JOIN pg_inherits ON inhparent = root
    WHERE relkind = 'r'
    UNION
    SELECT root, inhparent FROM roots JOIN pg_inherits ON inhrelid = root WHERE relkind = 'r'
    UNION
    SELECT root, root FROM roots JOIN pg_class ON oid = root
    WHERE relpersistence = 'u'
        OR pg_relation_filenode(root) IS DISTINCT FROM nullif(relfilenode, 0)
    UNION
    SELECT root, oid FROM pg_class AS class JOIN roots ON top = pg_partition_root(oid)
    WHERE current_setting('transaction_isolation') <> 'read committed'
        AND roots.relkind = 'p' AND class.relkind IN ('r', 'p') AND NOT relispartition
        AND oid <> root
    UNION
    SELECT root, {LOG_TABLE} FROM roots WHERE EXISTS ({SWALLOWING})"""

# Attaching or detaching a table rewrites the catalog's rows of all its columns. Those of the
# system's columns stay as they were when the table was created.
_BORN = """(
        SELECT count(*) > 0 FROM pg_attribute AS made JOIN pg_attribute AS own USING (attrelid)
        WHERE attrelid = relid AND made.attnum = -6 AND own.attnum > 0
            AND own.xmin = made.xmin AND own.cmin = made.cmin AND NOT own.attislocal
    )"""
# A file grows with the first row, and only VACUUM makes it smaller.
_EMPTY = "CASE WHEN reltuples = -1 THEN pg_relation_size(relid) = 0 ELSE false END"

# See `Partition`. One that is guarded is known to have been made here, or not at all.
_PARTITIONS = f"""
    SELECT root, fire, json_build_array(
        relid::text, relid::regclass::text, parent::text, link::text, coalesce(triggers, ''),
        recorded, guarded, original,
        CASE WHEN recorded AND original AND (relkind = 'p' OR NOT guarded)
            THEN {_BORN} ELSE false END,
        CASE WHEN relkind = 'p' THEN true
            WHEN recorded AND original AND NOT guarded THEN {_EMPTY} ELSE false END
    ) AS partition
    FROM (
        SELECT below.*, triggers, fire,
            possible AND file IS NOT DISTINCT FROM nullif(relfilenode, 0) AS recorded,
            relkind = 'p' OR coalesce(guarding, false) AS guarded,
            relkind = 'p' OR file IS NOT DISTINCT FROM relid AS original
        FROM below
        CROSS JOIN LATERAL (SELECT pg_relation_filenode(relid)::oid AS file OFFSET 0) AS now
        CROSS JOIN LATERAL (
            SELECT string_agg(concat(oid, '.', xmin), ' ' ORDER BY oid) AS triggers,
                bool_or({ON_PARTITION}) AS guarding, bool_and(tgenabled IN ('O', 'A')) AS fire
            FROM pg_trigger WHERE tgrelid = below.relid AND tgfoid = ANY (functions)
        ) AS worn
    ) AS part
    UNION ALL
    SELECT root, true, json_build_array(
        relid::text, relid::regclass::text, root::text, '', '', false, false, false, false, false
    )
    FROM ({_NEVER_RECORDED}) AS never"""

#: One row a table: schema, table, is it the one of its name, comment, how many triggers, do all
#: of them fire, which they are, and what is below it.
INSTALLED = f"""
WITH ours AS MATERIALIZED ({_OURS}
), roots AS MATERIALIZED ({_ROOTS}
), below AS MATERIALIZED ({_BELOW}
), gathered AS MATERIALIZED (
    SELECT root, json_agg(partition)::text AS partitions, bool_and(fire) AS fire
    FROM ({_PARTITIONS}) AS partition GROUP BY root
)
SELECT nspname, relname, {KNOWN_BY_NAME}, max(description),
    count(*), bool_and(fires) AND coalesce(fire, true), concat(
        (SELECT system_identifier FROM pg_control_system()), '.',
        (SELECT oid FROM pg_database WHERE datname = current_database()), ':',
        string_agg(concat(trigger, '.', written, '.', tgfoid, '.', defined), ' '
            ORDER BY trigger)
    ), partitions
FROM ours
JOIN pg_class AS class ON class.oid = tgrelid
JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
LEFT JOIN gathered ON root = tgrelid
LEFT JOIN pg_description ON objoid = trigger AND classoid = 'pg_trigger'::regclass
GROUP BY class.oid, nspname, relname, fire, partitions
ORDER BY pg_table_is_visible(class.oid)
"""
