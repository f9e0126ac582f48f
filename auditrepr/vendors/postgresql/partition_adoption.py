"""The SQL that makes a table that exists the first partition of one that takes its place."""

from __future__ import annotations

from .partition_templates import REVOKE, ROLE
from .quoting import LOG_TRIGGER

#: What refers to the table, and would refer to its first partition from then on.
OBSTACLES = """
SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass FROM pg_constraint
WHERE contype = 'f' AND confrelid = to_regclass(%(table)s)
UNION ALL
SELECT 'foreign key ' || conname FROM pg_constraint
WHERE contype = 'f' AND conrelid = to_regclass(%(table)s)
UNION ALL
SELECT DISTINCT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view '
    ELSE 'rule of ' END || relation.oid::regclass
FROM pg_depend JOIN pg_rewrite AS rule ON rule.oid = objid
JOIN pg_class AS relation ON relation.oid = ev_class
WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass
    AND refobjid = to_regclass(%(table)s)
UNION ALL
SELECT 'publication ' || quote_ident(pubname) ||
    ' (create it again with publish_via_partition_root = true)' FROM pg_publication_rel
JOIN pg_publication ON pg_publication.oid = prpubid WHERE prrelid = to_regclass(%(table)s)
UNION ALL
SELECT 'publication ' || quote_ident(pubname) || ' without publish_via_partition_root = true'
FROM pg_publication AS publication JOIN pg_publication_tables USING (pubname)
JOIN pg_class AS published ON published.oid = to_regclass(%(table)s)
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE NOT pubviaroot AND schemaname = nspname AND tablename = relname AND NOT EXISTS (
    SELECT FROM pg_publication_rel WHERE prpubid = publication.oid AND prrelid = published.oid
)
UNION ALL
SELECT 'inheritance of ' || inhrelid::regclass FROM pg_inherits
WHERE inhparent = to_regclass(%(table)s)
UNION ALL
SELECT 'inheritance from ' || inhparent::regclass FROM pg_inherits
WHERE inhrelid = to_regclass(%(table)s)
UNION ALL
SELECT 'unique index ' || indexrelid::regclass FROM pg_index
WHERE indrelid = to_regclass(%(table)s) AND (indisunique OR indisexclusion) AND NOT indisprimary
UNION ALL
SELECT 'column ' || attrelid::regclass || '.' || quote_ident(attname) || ' of the row''s type'
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relkind IN ('r', 'p') AND NOT attisdropped
    AND atttypid = (SELECT reltype FROM pg_class WHERE oid = to_regclass(%(table)s))
UNION ALL
SELECT 'function ' || objid::regprocedure FROM pg_depend
WHERE classid = 'pg_proc'::regclass AND refclassid = 'pg_class'::regclass
    AND refobjid = to_regclass(%(table)s)
"""

_GRANTS = """
        SELECT array_agg(format('GRANT %s%s ON {kind} %s TO %s%s', privilege_type, part, {target},
            {role}, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
        FROM (
            SELECT privilege_type, '' AS part, grantee, is_grantable, relowner
            FROM pg_class CROSS JOIN aclexplode(relacl) WHERE pg_class.oid = {relation}
            UNION ALL
            SELECT privilege_type, format('(%I)', attname), grantee, is_grantable, relowner
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid CROSS JOIN aclexplode(attacl)
            WHERE attrelid = {relation} AND attnum > 0 AND NOT attisdropped
        ) AS granted WHERE grantee <> relowner"""
#: Goes before a statement that creates a table or an index, in the tablespace of another one.
_IN_TABLESPACE = """(
        SELECT format('SET LOCAL default_tablespace = %L; ', coalesce(spcname, ''))
        FROM pg_class AS placed LEFT JOIN pg_tablespace AS space ON space.oid = reltablespace
        WHERE placed.oid = {}
    )"""
#: The table gets another name, and a partitioned one takes its place, with all that was on it:
#: indexes, triggers, policies, rights, comments, and the sequence with its last value.
ADOPT = f"""
DECLARE
    parent constant text := {{table}};
    key constant text := {{key}};
    kept constant text := {{kept}};
    path constant text := current_setting('search_path');
    space constant text := current_setting('default_tablespace');
    old regclass;
    owner text;
    sequence text;
    numbers pg_sequence;
    last_number bigint;
    is_called bool;
    first text[];
    later text[];
    item record;
BEGIN
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
    old := parent::regclass;
    SELECT quote_ident(pg_get_userbyid(relowner)) INTO owner FROM pg_class WHERE oid = old;
    sequence := pg_get_serial_sequence(parent, key);

    SELECT array_agg({_IN_TABLESPACE.format("indexrelid")} || pg_get_indexdef(indexrelid))
    INTO first FROM pg_index WHERE indrelid = old AND indisvalid AND NOT indisprimary;
    SELECT first || array_agg({_IN_TABLESPACE.format("conindid")} ||
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', parent, conname,
            pg_get_constraintdef(oid))) INTO first
    FROM pg_constraint WHERE conrelid = old AND contype = 'p';

    SELECT array_agg(pg_get_triggerdef(oid)) INTO later FROM pg_trigger
    WHERE tgrelid = old AND NOT tgisinternal;
    SELECT later || array_agg(format('ALTER TABLE %s %s TRIGGER %I', parent, CASE tgenabled
        WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname))
    INTO later FROM pg_trigger WHERE tgrelid = old AND NOT tgisinternal AND tgenabled <> 'O';
    SELECT later || array_agg(format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', policyname,
        parent, permissive, cmd, (
            SELECT string_agg(
                CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END, ', '
            ) FROM unnest(roles) AS role
        ), ' USING (' || qual || ')', ' WITH CHECK (' || with_check || ')')) INTO later
    FROM pg_policies JOIN pg_class AS class ON class.oid = old
    JOIN pg_namespace AS place ON place.oid = relnamespace
    WHERE schemaname = nspname AND tablename = relname;
    SELECT later || ARRAY[
        CASE WHEN relrowsecurity THEN
            format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', parent) END,
        CASE WHEN relforcerowsecurity THEN
            format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', parent) END,
        CASE relreplident WHEN 'f' THEN format('ALTER TABLE %s REPLICA IDENTITY FULL', parent)
            WHEN 'n' THEN format('ALTER TABLE %s REPLICA IDENTITY NOTHING', parent) END,
        format('COMMENT ON TABLE %s IS %L', parent, obj_description(old, 'pg_class'))
    ] INTO later FROM pg_class WHERE oid = old;
    later := later || ({
    _GRANTS.format(kind="TABLE", target="parent", relation="old", role=ROLE.format("grantee"))
});

    EXECUTE format('ALTER TABLE %s RENAME TO %I', parent, kept);
    FOR item IN SELECT indexrelid::regclass AS index, relname, relnamespace FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = old
    LOOP
        -- A name that is too long, or taken, gives way to a digest of it.
        EXECUTE format('ALTER INDEX %s RENAME TO %I', item.index, CASE
            WHEN octet_length(item.relname) <= 60 AND NOT EXISTS (
                SELECT FROM pg_class WHERE relname = item.relname || '_p0'
                    AND relnamespace = item.relnamespace
            ) THEN item.relname::text
            ELSE left(encode(sha256(convert_to(item.relname, 'UTF8')), 'hex'), 32)
            END || '_p0');
    END LOOP;
    -- Triggers for each row come back with the partitioned table's. A TRUNCATE that names only this
    -- partition fires none but its own.
    FOR item IN SELECT tgname FROM pg_trigger
        WHERE tgrelid = old AND NOT tgisinternal
            AND (tgtype & 1 = 1 OR tgtype & 32 = 0 OR tgname = '{LOG_TRIGGER}')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, old);
    END LOOP;
    EXECUTE {_IN_TABLESPACE.format("old")} ||
        format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY)'
        ' PARTITION BY RANGE (%I)', parent, old, key);
    EXECUTE format('ALTER TABLE %s OWNER TO %s', parent, owner);
    {REVOKE.format(relation="parent::regclass")}

    IF sequence IS NOT NULL AND (
        SELECT attidentity <> '' FROM pg_attribute WHERE attrelid = old AND attname = key
    ) THEN
        SELECT * INTO numbers FROM pg_sequence WHERE seqrelid = sequence::regclass;
        EXECUTE 'SELECT last_value, is_called FROM ' || sequence INTO last_number, is_called;
        later := later || ({
    _GRANTS.format(
        kind="SEQUENCE",
        target="sequence",
        relation="sequence::regclass",
        role=ROLE.format("grantee"),
    )
});
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', old, key);
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED BY DEFAULT AS IDENTITY ('
            'SEQUENCE NAME %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s)',
            parent, key, sequence, numbers.seqincrement, numbers.seqmin, numbers.seqmax,
            numbers.seqstart, numbers.seqcache,
            CASE WHEN numbers.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END);
        PERFORM setval(sequence::regclass, last_number, is_called);
        {REVOKE.format(relation="sequence::regclass").replace("ON TABLE", "ON SEQUENCE")}
    ELSIF sequence IS NOT NULL THEN
        EXECUTE format('ALTER SEQUENCE %s OWNED BY %s.%I', sequence, parent, key);
    END IF;

    FOR item IN SELECT sql FROM unnest(first) AS sql WHERE sql IS NOT NULL LOOP
        EXECUTE item.sql;
    END LOOP;
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (MINVALUE) TO (MAXVALUE)',
        parent, old);
    FOR item IN SELECT sql FROM unnest(later) AS sql WHERE sql IS NOT NULL LOOP
        EXECUTE item.sql;
    END LOOP;
    {REVOKE.format(relation="old")}
    PERFORM set_config('search_path', path, true);
    PERFORM set_config('default_tablespace', space, true);
END
"""
