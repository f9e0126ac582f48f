"""The query that shows whether anything has changed of what a survey of the catalog finds.

It takes a tenth of the time that a survey takes. Whatever writes a row of the catalog gives it a
higher ``xmin`` than all rows before it, so that no other rows have the same number and the same
sum. What the server's cache knows already, and a snapshot hides, counts as well.
"""

from __future__ import annotations

from .swallowing import SWALLOWING

_ROWS = "(SELECT concat(count(*), ' ', sum({}.xmin::text::bigint)) FROM {})"

# The tables by their names, whatever else has one of these names, and all that is below a
# partitioned one, or will be according to the cache.
_RELATIONS = """
named AS MATERIALIZED (
    SELECT class.oid, class.xmin, relkind, namespace.xmin AS place
    FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE relname = ANY(%(tables)s::text[])
        AND (nspname = ANY(current_schemas(true))
            OR concat(nspname, '.', relname) = ANY(%(names)s::text[]))
), below AS MATERIALIZED (
    SELECT oid, xmin, pg_partition_root(oid)::oid AS top FROM pg_class
    WHERE EXISTS (SELECT FROM named WHERE relkind = 'p') AND relkind IN ('r', 'p', 'f')
        AND (relispartition OR pg_partition_root(oid) IS NOT NULL)
), relations AS MATERIALIZED (
    SELECT oid FROM named UNION SELECT oid FROM below
), bearers AS MATERIALIZED (
    SELECT oid, xmin, tgfoid FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relations)
)"""

CATALOG_VERSION = f"""
WITH {_RELATIONS}
SELECT current_schemas(true)::text, current_setting('transaction_isolation'),
    {_ROWS.format("named", "named")}, (SELECT sum(place::text::bigint) FROM named),
    {_ROWS.format("below", "below")}, (SELECT sum(top::bigint) FROM below),
    (SELECT sum(pg_relation_filenode(oid)::bigint) FROM relations),
    {_ROWS.format("pg_inherits", "pg_inherits")},
    {_ROWS.format("bearers", "bearers")},
    {_ROWS.format("pg_proc", "pg_proc WHERE oid IN (SELECT tgfoid FROM bearers)")},
    {
    _ROWS.format(
        "pg_description",
        "pg_description WHERE classoid = 'pg_trigger'::regclass"
        " AND objoid IN (SELECT oid FROM bearers)",
    )
},
    {
    _ROWS.format(
        "pg_attribute",
        "pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT oid FROM relations)",
    )
},
    {
    _ROWS.format(
        "pg_index", "pg_index WHERE indisprimary AND indrelid IN (SELECT oid FROM relations)"
    )
},
    {_ROWS.format("coverage", "auditrepr_coverage AS coverage")},
    (SELECT string_agg(cause, ' ') FROM ({SWALLOWING}) AS swallowing),
    (SELECT (to_jsonb(mark) -> 'partitions')::text FROM auditrepr_checkpoint AS mark)
"""
