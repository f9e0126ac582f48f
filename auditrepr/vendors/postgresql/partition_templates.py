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

ROLE = "CASE {0} WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid({0})) END"
#: No other role needs rights on a partition, and default privileges may grant some.
REVOKE = f"""
        FOR item IN
            SELECT DISTINCT {ROLE.format("grantee")} AS role FROM (
                SELECT grantee, relowner FROM pg_class CROSS JOIN aclexplode(relacl)
                WHERE pg_class.oid = {{relation}}
                UNION
                SELECT grantee, relowner FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
                CROSS JOIN aclexplode(attacl) WHERE attrelid = {{relation}} AND NOT attisdropped
            ) AS granted WHERE grantee <> relowner
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %s FROM %s', {{relation}}::regclass, item.role);
        END LOOP;"""

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
            coalesce(' WITH (' || array_to_string(open.reloptions, ', ') || ')', '')
                || coalesce(' TABLESPACE ' || quote_ident(spcname), '') AS options,
            parent.relreplident
        FROM unnest(made) AS new
        JOIN pg_class AS parent ON parent.relname = regexp_replace(new, '_(p[0-9]+|rest_new)$', '')
            AND relnamespace = quote_ident(place)::regnamespace
        JOIN pg_inherits ON inhparent = parent.oid
        JOIN pg_class AS open ON open.oid = inhrelid
            AND pg_get_expr(open.relpartbound, open.oid) LIKE '% TO (MAXVALUE)'
        LEFT JOIN pg_tablespace AS chosen ON chosen.oid = parent.reltablespace
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
    {REVOKE.format(relation="partition")}
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
