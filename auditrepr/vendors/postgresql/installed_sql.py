"""The query of the catalog that tells how the triggers of every table stand, and its partitions.

Whoever drops, disables or replaces a trigger or its function writes another row into the catalog,
with another ``xmin``; so does whoever attaches a partition.
"""

from __future__ import annotations

from .trigger_templates import KNOWN_BY_NAME, ON_PARTITION, OWNED

# Where Django makes its tables: a log in any other schema is that of another site or tenant, even
# if the search path finds it.
OWN_SCHEMA = "coalesce(current_schema(), 'public')"

# The triggers of this log: those of tables, with what PostgreSQL cloned for their partitions, and
# the guards, each on its partition.
_OURS = f"""
    SELECT pg_trigger.oid AS trigger, tgrelid, tgfoid, tgenabled, pg_trigger.xmin AS written,
        pg_proc.xmin AS defined, ({ON_PARTITION}) AS guards,
        tgparentid = 0 AND NOT ({ON_PARTITION}) AS own
    FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE {OWNED}
        AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = {OWN_SCHEMA})"""

# What is below an audited table, at any depth. What hangs together in another way is never all
# recorded: the rows of tables that inherit from it, and of one that others are written through.
_BELOW = """
    SELECT root, relkind, inhrelid AS relid, inhparent AS parent, pg_inherits.xmin AS link
    FROM root JOIN pg_inherits ON inhparent = root AND NOT inhdetachpending
    UNION ALL
    SELECT root, relkind, inhrelid, inhparent, pg_inherits.xmin
    FROM below JOIN pg_inherits ON inhparent = below.relid AND NOT inhdetachpending"""
_ABOVE = """
    SELECT root, relkind, inhparent AS relid, root AS parent, pg_inherits.xmin AS link
    FROM root JOIN pg_inherits ON inhrelid = root AND relkind = 'r'"""

# A transaction that reads from one snapshot sees at once what others empty, attach or detach, but
# not in the catalog. Only functions that ask the server's cache tell.
_CHANGED_MEANWHILE = """
    SELECT root, 'm'::"char", oid, root, pg_class.xmin
    FROM root JOIN pg_class ON oid = root
    WHERE pg_relation_filenode(root) IS DISTINCT FROM nullif(relfilenode, 0)
    UNION ALL
    SELECT root.root, 'm'::"char", oid, root.root, pg_class.xmin
    FROM pg_class JOIN root ON root.relkind = 'p'
        AND pg_partition_root(root.root) = pg_partition_root(pg_class.oid)
    WHERE (SELECT count(*) > 0 FROM root WHERE relkind = 'p')
        AND current_setting('transaction_isolation') <> 'read committed'
        AND pg_class.relkind IN ('r', 'p') AND NOT relispartition AND pg_class.oid <> root.root"""

#: Is it recorded whatever happens to its rows? See `Partition` for this and the others.
_RECORDED = """kin.relkind = 'p' AND class.relkind IN ('r', 'p')
            AND pg_partition_root(relid) IS NOT DISTINCT FROM pg_partition_root(root)
            AND pg_relation_filenode(relid) IS NOT DISTINCT FROM nullif(relfilenode, 0)"""
_GUARDED = """class.relkind = 'p' OR EXISTS (
            SELECT FROM ours AS guard JOIN ours ON ours.tgfoid = guard.tgfoid AND ours.own
            WHERE guard.tgrelid = relid AND guard.guards AND guard.tgenabled IN ('O', 'A')
                AND ours.tgrelid = root
        )"""
# Until it is emptied or written anew.
_ORIGINAL = "class.relkind = 'p' OR pg_relation_filenode(relid) IS NOT DISTINCT FROM relid"
# Whoever attaches or detaches a table writes the catalog's rows of all its columns anew. Those of
# the system's columns stay as they were when the table was made.
_BORN = """EXISTS (
            SELECT FROM pg_attribute AS made JOIN pg_attribute AS own USING (attrelid)
            WHERE attrelid = relid AND made.attnum = -6 AND own.attnum > 0
                AND own.xmin = made.xmin AND own.cmin = made.cmin AND NOT own.attislocal
        )"""
# A file grows with the first row, and only VACUUM makes it smaller.
_EMPTY = "CASE WHEN reltuples = -1 THEN pg_relation_size(relid) = 0 ELSE false END"

_PARTITIONS = f"""
    SELECT kin.*, {_RECORDED} AS recorded, {_GUARDED} AS guarded, {_ORIGINAL} AS original, (
            SELECT string_agg(concat(trigger, '.', written), ' ' ORDER BY trigger)
            FROM ours WHERE tgrelid = relid
        ) AS triggers
    FROM kin JOIN pg_class AS class ON class.oid = relid"""
_TOLD = f"""
    SELECT root, json_agg(json_build_array(
        relid::text, relid::regclass::text, parent::text, link::text, coalesce(triggers, ''),
        recorded, guarded, original,
        CASE WHEN recorded AND original THEN {_BORN} ELSE false END,
        CASE WHEN class.relkind = 'p' THEN true
            WHEN recorded AND original AND NOT guarded THEN {_EMPTY} ELSE false END
    )) AS partitions
    FROM part JOIN pg_class AS class ON class.oid = relid GROUP BY root"""

#: One row a table: schema, table, is it the one of its name, comment, how many triggers, do all
#: of them fire, which they are, and what is below it.
INSTALLED = f"""
WITH RECURSIVE ours AS MATERIALIZED ({_OURS}
), root AS (
    SELECT DISTINCT tgrelid AS root, relkind
    FROM ours JOIN pg_class ON pg_class.oid = tgrelid WHERE own
), below AS ({_BELOW}
), kin AS (
    SELECT * FROM below UNION ALL {_ABOVE} UNION ALL {_CHANGED_MEANWHILE}
), part AS ({_PARTITIONS}
), told AS ({_TOLD}
), found AS (
    SELECT ours.*, root AS bearer FROM ours JOIN root ON own AND root = tgrelid
    UNION ALL
    SELECT ours.*, root FROM ours JOIN below ON NOT own AND relid = tgrelid
)
SELECT nspname, relname, {KNOWN_BY_NAME}, max(description),
    count(*) FILTER (WHERE own), bool_and(tgenabled IN ('O', 'A')), concat(
        (SELECT system_identifier FROM pg_control_system()), '.',
        (SELECT oid FROM pg_database WHERE datname = current_database()), ':',
        string_agg(concat(trigger, '.', written, '.', tgfoid, '.', defined), ' '
            ORDER BY trigger) FILTER (WHERE own)
    ), (SELECT partitions FROM told WHERE root = bearer)
FROM found
JOIN pg_class AS class ON class.oid = bearer
JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
LEFT JOIN pg_description ON objoid = trigger AND classoid = 'pg_trigger'::regclass
GROUP BY class.oid, nspname, relname, bearer
ORDER BY pg_table_is_visible(class.oid)
"""
