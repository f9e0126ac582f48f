"""The SQL of PostgreSQL's triggers, with placeholders that are filled for each table."""

from __future__ import annotations

from .quoting import LOG_TRIGGER, PARTITION, hashed

SAME = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_same(record) RETURNS record
LANGUAGE plpgsql IMMUTABLE AS $auditrepr$
BEGIN
    RETURN $1;
END
$auditrepr$"""

ROW = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_row(content record, relation oid)
RETURNS jsonb LANGUAGE plpgsql AS $auditrepr$
DECLARE
    name text;
    is_bytea bool;
    source text;
    item jsonb;
    raw bytea;
    result jsonb := '{{}}';
BEGIN
    RETURN to_jsonb(content);
EXCEPTION WHEN OTHERS THEN
    -- JSON cannot hold it all: column by column, and a digest for what does not fit.
    SELECT format(' FROM %s($1) AS image (%s)', {same}, string_agg(
        format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum))
    INTO source FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped;
    FOR name, is_bytea IN
        SELECT attname, atttypid = 'bytea'::regtype FROM pg_attribute
        WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    LOOP
        BEGIN
            EXECUTE format('SELECT jsonb_build_object($2, image.%I)', name) || source
            INTO item USING content, name;
            result := result || item;
        EXCEPTION WHEN OTHERS THEN
            EXECUTE format(CASE WHEN is_bytea THEN 'SELECT image.%I'
                ELSE 'SELECT convert_to(image.%I::text, ''UTF8'')' END, name) || source
            INTO raw USING content;
            result := result || jsonb_build_object(name, jsonb_build_object('$digest',
                jsonb_build_object('sha256', encode(sha256(raw), 'hex'),
                    'bytes', octet_length(raw))));
        END;
    END LOOP;
    RETURN result;
END
$auditrepr$"""

# A TRUNCATE that includes the log leaves it empty: a statement's BEFORE triggers all run before
# its first AFTER trigger. Another schema's log may not be among the tables: each has its setting.
STATEMENT = "extract(epoch FROM statement_timestamp())::text"
NOT_EMPTIED = f"current_setting('{{emptied}}', true) IS DISTINCT FROM {STATEMENT}"


def emptied(schema: str) -> str:
    """Return the setting that holds when the log in this schema was emptied."""
    return f"auditrepr.emptied_{hashed(schema)}"


LOG_EMPTIED = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_log_emptied() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr$
BEGIN
    PERFORM set_config('{emptied}', {statement}, true);
    RETURN NULL;
END
$auditrepr$"""

# The setting is not enough, because any role may set it.
APPEND_ONLY_BODY = """
BEGIN
    IF (TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND TG_TABLE_NAME <> 'auditrepr_sealentry')
        AND current_setting(CASE TG_OP WHEN 'DELETE'
        THEN 'auditrepr.pruning' ELSE 'auditrepr.erasing' END, true) = 'on' AND pg_has_role(
        session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER'
    ) THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege',
        HINT = 'To delete old events, or to erase a person, run manage.py prune_audit_log or'
            ' erase_from_audit_log as the owner of the table.';
END
"""
APPEND_ONLY = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr${body}$auditrepr$"""
IF_EXISTS = """
BEGIN
    IF to_regclass({table}) IS NOT NULL THEN
        {statements};
    END IF;
END
"""
# By row, they are on the log's partitions too.
APPEND_ONLY_TRIGGERS = {
    "append_only_auditrepr_change": "UPDATE OR DELETE ON {log} FOR EACH ROW",
    "append_only_auditrepr_truncate": "TRUNCATE ON {log}",
}

# A statement on a partitioned table fires the statement triggers of that table and the row
# triggers of its partitions; one on a partition, only the latter. The setting holds the statements
# under way on partitioned tables: their own row triggers stay quiet meanwhile.
ENTER = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_enter() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr$
BEGIN
    PERFORM set_config('auditrepr.open', concat(current_setting('auditrepr.open', true),
        TG_ARGV[0], ':', TG_OP, ':', pg_trigger_depth() - 1, ' '), true);
    RETURN NULL;
END
$auditrepr$"""
LEAVE = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_leave() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr$
BEGIN
    PERFORM set_config('auditrepr.open', regexp_replace(current_setting('auditrepr.open', true),
        concat(TG_ARGV[0], ':', TG_OP, ':', pg_trigger_depth() - 1, ' '), ''), true);
    RETURN NULL;
END
$auditrepr$"""

# A delete found what its statement's snapshot saw. Only the condition of a trigger still has that
# snapshot: the function sees everything that was committed meanwhile. The statements of other
# triggers, including cascades, run at other depths.
SEEN_BEFORE = (
    "set_config(concat('auditrepr.seen', pg_trigger_depth()), pg_current_snapshot()::text, true)"
    " <> ''"
)

# By its OID: the planner would search all functions by name for each trigger.
ITS_FUNCTION = """CROSS JOIN LATERAL (
        SELECT oid, proname, pronamespace, xmin FROM pg_proc WHERE oid = tgfoid OFFSET 0
    ) AS pg_proc"""
# A log's triggers are those whose functions are in its schema, whatever their names are.
OWNED = f"""NOT tgisinternal AND tgname LIKE 'auditrepr\\_%' AND tgname <> '{LOG_TRIGGER}'
        AND proname LIKE 'auditrepr\\_%'"""
#: Not all connections of a site see its shared tables: the name in the log stays the same.
KNOWN_BY_NAME = """(pg_table_is_visible(class.oid)
        OR to_regclass(quote_ident(class.relname)) IS NULL)"""
ON_PARTITION = f"tgparentid = 0 AND tgname LIKE 'auditrepr\\_{PARTITION}%'"
# A guard works for the table above it that has the same function.
GUARDS_NOTHING = """NOT EXISTS (
        SELECT FROM pg_partition_ancestors(guard.tgrelid) AS above
        JOIN pg_trigger AS own ON own.tgrelid = above.relid
        WHERE own.tgfoid = guard.tgfoid AND above.relid <> guard.tgrelid
    )"""
# What was detached is a table of its own, or another one's partition.
STILL_GUARDS = f"""EXISTS (
            SELECT FROM pg_trigger AS guard
            WHERE tgrelid = TG_RELID AND tgname = TG_NAME AND NOT {GUARDS_NOTHING}
        )"""
DROP_TRIGGERS = f"""
DECLARE
    target oid;
    item record;
BEGIN
    SELECT class.oid INTO target FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p')
        AND (relname = {{name}} AND {KNOWN_BY_NAME}
            OR concat(nspname, '.', relname) = {{qualified}})
    ORDER BY pg_table_is_visible(class.oid) DESC, EXISTS (
        SELECT FROM pg_trigger {ITS_FUNCTION}
        WHERE tgrelid = class.oid AND {OWNED}
            AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = {{schema}})
    ) DESC LIMIT 1;
    FOR item IN SELECT tgname, tgrelid::regclass AS relation
        FROM pg_trigger {ITS_FUNCTION}
        WHERE tgparentid = 0 AND {OWNED}
            AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = {{schema}})
            AND tgrelid IN (SELECT target UNION SELECT relid FROM pg_partition_tree(target))
            AND (tgrelid = target OR {ON_PARTITION})
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.relation);
    END LOOP;
END"""
DROP_STRAYS = f"""
DECLARE
    item record;
BEGIN
    FOR item IN SELECT tgname, tgrelid::regclass AS relation
        FROM pg_trigger AS guard {ITS_FUNCTION}
        WHERE {ON_PARTITION} AND {OWNED} AND pronamespace = {{schema}}::regnamespace
            AND {GUARDS_NOTHING}
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.relation);
    END LOOP;
END"""
DROP_FUNCTIONS = """
DECLARE
    item regprocedure;
BEGIN
    FOR item IN SELECT oid FROM pg_proc
        WHERE pronamespace = {schema}::regnamespace AND proname LIKE '{pattern}'
            AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = pg_proc.oid)
            -- Nor those that indexes of another log call: see attached_sql.
            AND NOT EXISTS (SELECT FROM pg_depend
                WHERE refclassid = 'pg_proc'::regclass AND refobjid = pg_proc.oid)
    LOOP
        EXECUTE format('DROP FUNCTION %s', item);
    END LOOP;
END"""
GUARD_PARTITIONS = """
DECLARE
    item regclass;
BEGIN
    FOR item IN SELECT relid FROM pg_partition_tree({table}::regclass) AS leaf
        JOIN pg_class ON pg_class.oid = leaf.relid
        WHERE isleaf AND relkind = 'r' AND NOT EXISTS (
            SELECT FROM pg_trigger WHERE tgrelid = leaf.relid AND tgname = {name}
                AND tgfoid = {function}::regproc AND tgenabled IN ('O', 'A')
        )
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE TRUNCATE ON %s EXECUTE FUNCTION %s()',
            {name}, item, {function});
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', item, {name});
    END LOOP;
END"""
