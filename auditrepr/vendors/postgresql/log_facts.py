"""Finds the table that has the log's events, and what gives them their IDs.

They are in the log's own table; or, if the log is attached to another one, in that log's table, of
which ours is a view. The catalog says which: the view's rule depends on the table that it reads,
whatever its name is by now. So each query finds it itself, and needs no other one before it.
"""

from __future__ import annotations

from .quoting import LOG

# A view may depend on a table several times, once for each column.
_TABLE = f"""coalesce((
        SELECT DISTINCT refobjid FROM pg_rewrite AS rule JOIN pg_depend AS needs
            ON needs.classid = 'pg_rewrite'::regclass AND needs.objid = rule.oid
        WHERE ev_class = '{LOG}'::regclass AND rulename = '_RETURN'
            AND refclassid = 'pg_class'::regclass AND refobjid <> ev_class
    ), '{LOG}'::regclass)"""
# What a column's default takes IDs from, or what belongs to an identity column. Not looked up by
# name: the role need not see the schema of another log.
_SEQUENCE = """coalesce((
            SELECT refobjid FROM pg_attrdef AS given JOIN pg_depend AS needs
                ON needs.classid = 'pg_attrdef'::regclass AND needs.objid = given.oid
            JOIN pg_class ON pg_class.oid = refobjid AND relkind = 'S'
            WHERE adrelid = relation AND adnum = attnum
                AND refclassid = 'pg_class'::regclass LIMIT 1
        ), (
            SELECT objid FROM pg_depend JOIN pg_class ON pg_class.oid = objid AND relkind = 'S'
            WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                AND refobjid = relation AND refobjsubid = attnum AND deptype IN ('a', 'i') LIMIT 1
        ))"""
# A view is read with its owner's rights, and so with the policies that apply to it.
_HIDDEN = f"""CASE WHEN relation = '{LOG}'::regclass THEN row_security_active(relation)
        ELSE (
            SELECT base.relrowsecurity AND NOT (rolsuper OR rolbypassrls)
                AND (base.relforcerowsecurity OR NOT pg_has_role(role.oid, base.relowner, 'USAGE'))
            FROM pg_class AS base, pg_class AS view JOIN pg_roles AS role ON role.oid = relowner
            WHERE base.oid = relation AND view.oid = '{LOG}'::regclass
        ) END"""

#: A common table expression with one row: the `relation` that events are written to, the
#: `sequence` of their IDs and the ID `before_first`, whether this role may read the sequence's
#: position, and whether row-level security hides events. Other logs' events may have lower IDs.
FACTS = f"""facts AS MATERIALIZED (
    SELECT relation, sequence, cache, seqstart - 1 AS before_first,
        has_sequence_privilege(sequence, 'USAGE, SELECT') AS readable, {_HIDDEN} AS hidden
    FROM (
        SELECT relation, {_SEQUENCE} AS sequence
        FROM (SELECT {_TABLE} AS relation) AS found
        LEFT JOIN pg_index ON indrelid = relation AND indisprimary
        LEFT JOIN pg_attribute ON attrelid = relation AND attnum = indkey[0]
    ) AS numbered
    LEFT JOIN LATERAL (
        SELECT seqstart, seqcache AS cache FROM pg_sequence WHERE seqrelid = sequence
    ) AS given ON true
)"""
