"""The SQL that partitions PostgreSQL's log, with placeholders in braces.

The log, its representations and its failures have partitions with the same bounds: of event IDs.
The last one is open to the end, so that no write fails for lack of a partition. It is not a DEFAULT
one: with that, no query could read partitions in the order of IDs, nor end at the first hit.
"""

from __future__ import annotations

from .quoting import LOG_TRIGGER

#: The tables, and the column by which each is partitioned.
PARTITIONED = {
    "auditrepr_auditlog": "id",
    "auditrepr_instancerepr": "audit_log_id",
    "auditrepr_reprfailure": "audit_log_id",
}
#: What the open partition must not have, or the one that is closed only until it is.
BOUND = "auditrepr_bound"
#: Partitions that are made ahead of the one that events are written to.
AHEAD = 3
#: Its name does not begin as those of trigger functions do, which are dropped with the triggers.
FUNCTION = "partitions_auditrepr_ahead"

_BOUNDS = "pg_get_expr(class.relpartbound, class.oid)"
_NUMBER = "nullif(replace(({}), '''', ''), '{}')::bigint"
_LOWER = _NUMBER.format(f"substring({_BOUNDS} FROM 'FROM \\(([^)]+)\\)')", "MINVALUE")
_UPPER = _NUMBER.format(f"substring({_BOUNDS} FROM 'TO \\(([^)]+)\\)')", "MAXVALUE")
#: One row for each partition of a table: OID, name, lower and upper bound; null has none.
RANGES = f"""
    SELECT class.oid AS relation, class.relname AS name, {_LOWER} AS lower, {_UPPER} AS upper
    FROM pg_inherits JOIN pg_class AS class ON class.oid = inhrelid
    WHERE inhparent = to_regclass({{table}})"""

# --- a table that exists becomes the first partition ---------------------------------------------

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
SELECT 'publication ' || quote_ident(pubname) FROM pg_publication_rel
JOIN pg_publication ON pg_publication.oid = prpubid WHERE prrelid = to_regclass(%(table)s)
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

_ROLE = "CASE {0} WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid({0})) END"
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
#: No other role needs rights on a partition, and default privileges may grant some.
_REVOKE = f"""
        FOR item IN
            SELECT DISTINCT {_ROLE.format("grantee")} AS role FROM (
                SELECT grantee, relowner FROM pg_class CROSS JOIN aclexplode(relacl)
                WHERE pg_class.oid = {{relation}}
                UNION
                SELECT grantee, relowner FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
                CROSS JOIN aclexplode(attacl) WHERE attrelid = {{relation}} AND NOT attisdropped
            ) AS granted WHERE grantee <> relowner
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %s FROM %s', {{relation}}::regclass, item.role);
        END LOOP;"""

#: The table gets another name, and a partitioned one takes its place, with all that was on it:
#: indexes, triggers, policies, rights, comments, and the sequence with its last value.
ADOPT = f"""
DECLARE
    parent constant text := {{table}};
    key constant text := {{key}};
    kept constant text := {{kept}};
    path constant text := current_setting('search_path');
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

    SELECT array_agg(pg_get_indexdef(indexrelid)) INTO first FROM pg_index
    WHERE indrelid = old AND indisvalid AND NOT indisprimary;
    SELECT first || array_agg(format('ALTER TABLE %s ADD CONSTRAINT %I %s', parent, conname,
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
    _GRANTS.format(kind="TABLE", target="parent", relation="old", role=_ROLE.format("grantee"))
});

    EXECUTE format('ALTER TABLE %s RENAME TO %I', parent, kept);
    FOR item IN SELECT indexrelid::regclass AS index, relname FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = old
    LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', item.index, left(item.relname, 60) || '_p0');
    END LOOP;
    -- Triggers for each row come back with the partitioned table's. A TRUNCATE that names only this
    -- partition fires none but its own.
    FOR item IN SELECT tgname FROM pg_trigger
        WHERE tgrelid = old AND NOT tgisinternal
            AND (tgtype & 1 = 1 OR tgtype & 32 = 0 OR tgname = '{LOG_TRIGGER}')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, old);
    END LOOP;
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY)'
        ' PARTITION BY RANGE (%I)', parent, old, key);
    EXECUTE format('ALTER TABLE %s OWNER TO %s', parent, owner);
    {_REVOKE.format(relation="parent::regclass")}

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
        role=_ROLE.format("grantee"),
    )
});
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', old, key);
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED BY DEFAULT AS IDENTITY ('
            'SEQUENCE NAME %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s)',
            parent, key, sequence, numbers.seqincrement, numbers.seqmin, numbers.seqmax,
            numbers.seqstart, numbers.seqcache,
            CASE WHEN numbers.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END);
        PERFORM setval(sequence::regclass, last_number, is_called);
        {_REVOKE.format(relation="sequence::regclass").replace("ON TABLE", "ON SEQUENCE")}
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
    {_REVOKE.format(relation="old")}
    PERFORM set_config('search_path', path, true);
END
"""

# --- partitions ahead ----------------------------------------------------------------------------

_LOG_RANGES = RANGES.format(table="log")
_TABLE_RANGES = RANGES.format(table="format('%I.%I', place, parent)")
#: Makes partitions ahead of the sequence; the job's role may execute it, the owner's rights apply.
#: `close_at` is for the owner, who has proven that no row of the open partition lies beyond.
#: Tables are made before the log is locked, so that it is locked only while they are attached.
MAKE_AHEAD = f"""CREATE OR REPLACE FUNCTION {{schema}}.{FUNCTION}(
    close_at bigint DEFAULT NULL, OUT ahead int, OUT made text[], OUT locked_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = {{timeout}} AS $auditrepr$
DECLARE
    size constant bigint := {{size}};
    place constant text := {{schema_name}};
    log constant text := {{log}};
    tables constant text[] := {{tables}};
    parent text;
    owner text;
    name text;
    last record;
    item record;
    next_id numeric;
    begin_at bigint;
    end_at bigint;
    number int;
    bounds bigint[];
    filled bool := false;
    closing bool;
    bounded bool;
    sequence regclass;
BEGIN
    IF close_at IS NOT NULL AND NOT pg_has_role(session_user,
        (SELECT relowner FROM pg_class WHERE oid = log::regclass), 'MEMBER')
    THEN
        RAISE EXCEPTION 'only the owner of the audit log may close its last partition'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- One at a time: another one would make the same tables.
    PERFORM pg_advisory_xact_lock(hashtext('auditrepr partitions of ' || log::regclass::oid));
    sequence := pg_get_serial_sequence(log, 'id')::regclass;
    SELECT coalesce(pg_sequence_last_value(seqrelid), seqstart - 1)::numeric + 1 INTO next_id
    FROM pg_sequence WHERE seqrelid = sequence;
    SELECT quote_ident(pg_get_userbyid(relowner)) INTO owner FROM pg_class
    WHERE oid = log::regclass;
    SELECT count(*) FILTER (WHERE lower > next_id AND upper IS NOT NULL) INTO ahead
    FROM ({_LOG_RANGES}) AS part;
    made := ARRAY[]::text[];
    SELECT * INTO last FROM ({_LOG_RANGES}) AS part WHERE upper IS NULL;
    IF NOT FOUND OR close_at IS NULL AND ahead >= {AHEAD} THEN
        RETURN;
    END IF;
    IF close_at IS NULL THEN
        FOREACH parent IN ARRAY tables LOOP
            SELECT part.relation INTO item
            FROM ({_TABLE_RANGES}) AS part WHERE upper IS NULL;
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', item.relation::regclass) INTO filled;
            IF filled OR last.lower IS NULL THEN
                made := NULL;
                RETURN;
            END IF;
        END LOOP;
    END IF;
    closing := close_at IS NOT NULL;
    bounded := closing AND EXISTS (
        SELECT FROM pg_constraint WHERE conrelid = last.relation AND conname = '{BOUND}');
    next_id := greatest(next_id, CASE WHEN bounded THEN close_at END);
    begin_at := coalesce(close_at, last.lower);
    SELECT max(coalesce(substring(part.name FROM '_p([0-9]+)$')::int, 0)) INTO number
    FROM ({_LOG_RANGES}) AS part;
    number := number + (closing AND last.name LIKE '%\\_rest')::int;

    -- The first one reaches the next multiple of the size, however far the sequence has jumped.
    bounds := ARRAY[begin_at];
    WHILE ahead < {AHEAD} LOOP
        end_at := (floor(greatest(next_id, begin_at) / size) + 1) * size;
        ahead := ahead + (begin_at > next_id)::int;
        number := number + 1;
        bounds := bounds || end_at;
        FOREACH parent IN ARRAY tables LOOP
            made := made || format('%s_p%s', parent, number);
        END LOOP;
        begin_at := end_at;
    END LOOP;
    IF closing THEN
        FOREACH parent IN ARRAY tables LOOP
            made := made || format('%s_rest_new', parent);
        END LOOP;
    END IF;
    FOR item IN
        SELECT parent.oid::regclass AS parent, format('%I.%I', place, new) AS new,
            coalesce(' WITH (' || array_to_string(open.reloptions, ', ') || ')', '') AS options,
            parent.relreplident
        FROM unnest(made) AS new
        JOIN pg_class AS parent ON parent.relname = regexp_replace(new, '_(p[0-9]+|rest_new)$', '')
            AND relnamespace = quote_ident(place)::regnamespace
        JOIN pg_inherits ON inhparent = parent.oid
        JOIN pg_class AS open ON open.oid = inhrelid
            AND pg_get_expr(open.relpartbound, open.oid) LIKE '% TO (MAXVALUE)'
    LOOP
        EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)%s',
            item.new, item.parent, item.options);
        EXECUTE format('ALTER TABLE %s OWNER TO %s', item.new, owner);
        PERFORM {{schema}}.partitions_auditrepr_dress(item.new::regclass, item.parent);
    END LOOP;

    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', (
        SELECT string_agg(format('%I.%I', place, one), ', ' ORDER BY n)
        FROM unnest(tables) WITH ORDINALITY AS given (one, n)
    ));
    locked_at := clock_timestamp();
    FOREACH parent IN ARRAY tables LOOP
        SELECT part.relation INTO item
        FROM ({_TABLE_RANGES}) AS part WHERE upper IS NULL;
        EXECUTE format('ALTER TABLE %I.%I DETACH PARTITION %s', place, parent,
            item.relation::regclass);
        IF closing THEN
            IF last.name LIKE '%\\_rest' THEN
                name := format('%s_p%s', parent, number - cardinality(bounds) + 1);
                EXECUTE format('ALTER TABLE %s RENAME TO %I', item.relation::regclass, name);
            END IF;
            EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)',
                place, parent, item.relation::regclass,
                coalesce(quote_literal(last.lower), 'MINVALUE'), quote_literal(close_at));
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS {BOUND}',
                item.relation::regclass);
            EXECUTE format('ALTER TABLE %I.%I RENAME TO %I', place, parent || '_rest_new',
                parent || '_rest');
        END IF;
        FOR n IN 1 .. cardinality(bounds) - 1 LOOP
            EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%s) TO (%s)',
                place, parent, place,
                format('%s_p%s', parent, number - cardinality(bounds) + 1 + n),
                quote_literal(bounds[n]), quote_literal(bounds[n + 1]));
        END LOOP;
        EXECUTE format(
            'ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%s) TO (MAXVALUE)',
            place, parent, place, parent || '_rest', quote_literal(bounds[cardinality(bounds)]));
    END LOOP;
    -- Until now, what lies beyond was refused: the distance is so large that nothing was. It is
    -- undone if the transaction is, unlike setval().
    IF bounded AND close_at > coalesce(pg_sequence_last_value(sequence), close_at - 1) THEN
        EXECUTE format('ALTER SEQUENCE %s RESTART WITH %s', sequence, close_at - 1);
        PERFORM nextval(sequence);
    END IF;
END
$auditrepr$"""

#: Gives a partition what PostgreSQL does not pass on: no rights, and the guards against a TRUNCATE
#: that names it.
DRESS = f"""CREATE OR REPLACE FUNCTION {{schema}}.partitions_auditrepr_dress(
    partition regclass, parent regclass
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr$
DECLARE
    item record;
BEGIN
    {_REVOKE.format(relation="partition")}
    FOR item IN
        SELECT replace(pg_get_triggerdef(guard.oid), format(' ON %s ', parent),
            format(' ON %s ', partition)) AS sql, tgname, tgenabled
        FROM pg_trigger AS guard
        WHERE tgrelid = parent AND NOT tgisinternal AND tgtype & 1 = 0 AND tgtype & 32 = 32
            AND tgname <> '{LOG_TRIGGER}' -- it says that the whole log was emptied
            AND NOT EXISTS (
                SELECT FROM pg_trigger AS own
                WHERE own.tgrelid = partition AND own.tgname = guard.tgname
                    AND own.tgfoid = guard.tgfoid AND own.tgenabled = guard.tgenabled
            )
    LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', item.tgname, partition);
        EXECUTE item.sql;
        IF item.tgenabled <> 'O' THEN
            EXECUTE format('ALTER TABLE %s %s TRIGGER %I', partition, CASE item.tgenabled
                WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
                item.tgname);
        END IF;
    END LOOP;
    EXECUTE (
        SELECT CASE WHEN up.relreplident IN ('f', 'n') AND own.relreplident <> up.relreplident THEN
            format('ALTER TABLE %s REPLICA IDENTITY %s', partition,
                CASE up.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END)
            ELSE 'SELECT' END
        FROM pg_class AS up, pg_class AS own WHERE up.oid = parent AND own.oid = partition
    );
END
$auditrepr$"""

#: Dresses all partitions of a table, where there are any.
DRESS_ALL = """
BEGIN
    IF to_regprocedure({dress}) IS NOT NULL THEN
        PERFORM {schema}.partitions_auditrepr_dress(inhrelid, inhparent) FROM pg_inherits
        WHERE inhparent = to_regclass({table});
    END IF;
END
"""
#: Drops a guard from all partitions of a table.
UNDRESS_ALL = """
DECLARE
    item record;
BEGIN
    FOR item IN SELECT tgname, tgrelid::regclass AS relation FROM pg_trigger
        JOIN pg_inherits ON inhrelid = tgrelid
        WHERE inhparent = to_regclass({table}) AND tgparentid = 0 AND tgname IN ({names})
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.relation);
    END LOOP;
END
"""
