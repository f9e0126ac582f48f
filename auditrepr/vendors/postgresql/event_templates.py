"""The SQL with which PostgreSQL's trigger functions record events, to fill for each table."""

from __future__ import annotations

# One for each operation: a connection that only inserts compiles nothing else, and no function asks
# which operation it is. PL/pgSQL prepares each expression again in each transaction, which is
# what a statement of one row pays for: hence few expressions, and no statement that may write
# nothing.
FUNCTION = """CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER {settings} AS {quote}
#variable_conflict use_variable
{block}
{quote}"""
SEEN = "pg_current_snapshot()::text"
SEEN_BY_DELETE = "current_setting(concat('auditrepr.seen', pg_trigger_depth() - 1))"
SEEN_BY_OPERATION = f"CASE TG_OP WHEN 'DELETE' THEN {SEEN_BY_DELETE} ELSE {SEEN} END"
CONTEXT = "nullif(current_setting('auditrepr.context', true), '')"
WRITER = "concat(session_user, ' (' || nullif(current_setting('application_name'), '') || ')')"
# What all events of a statement share.
SHARED = f"""DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    seen CONSTANT text := {{seen}};
    known_context CONSTANT jsonb := {CONTEXT}::jsonb;
    known_writer CONSTANT text := CASE WHEN known_context IS NULL THEN {WRITER} END;
BEGIN
    {{work}};
    RETURN NULL;
END"""
INSERT = """INSERT INTO {log} (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )"""
EVENT = """{insert}
        SELECT {name}, {key}, {previous}, {action}, {row}, {changed},
            txid_current(), seen, statement_timestamp(), moment, known_context, known_writer"""
DIFFERENCE = """(
                SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(past) AS was
                WHERE was.value{text} IS DISTINCT FROM (image -> was.key){text}
            )"""
UPDATED = """
        FROM (
            SELECT image, {difference} AS changed
            FROM ({pairs} OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL"""
# Most updates are of one row, and some change nothing. What pairs and compares many rows takes
# longer to set up than one row takes, and a row that is the same to the last byte need not become
# JSON.
UPDATE = f"""DECLARE
    new_image jsonb;
    difference jsonb;
    several bool;
BEGIN
    SELECT image, {{difference}}, more INTO new_image, difference, several
    FROM (
            SELECT CASE WHEN differ THEN {{old}} END AS past,
                CASE WHEN differ THEN {{new}} END AS image, more
            FROM (
                SELECT auditrepr_old, auditrepr_new, counted.more,
                    NOT counted.more AND auditrepr_old *<> auditrepr_new AS differ
                FROM (
                    SELECT EXISTS (SELECT FROM auditrepr_old OFFSET 1) AS more OFFSET 0
                ) AS counted, auditrepr_old, auditrepr_new
                LIMIT 1
            ) AS rows
        ) AS pair;
    IF {{several}} THEN
        {{many}}
    ELSIF difference IS NOT NULL THEN
        {{insert}}
        VALUES ({{name}}, {{key}}, {{previous}}, 'U', new_image, difference,
            txid_current(), {SEEN}, statement_timestamp(), clock_timestamp(), {CONTEXT}::jsonb,
            CASE WHEN {CONTEXT} IS NULL THEN {WRITER} END);
    END IF;
    RETURN NULL;
END"""
# OLD and NEW pair by position: the server appends to both tables at once. By key, an update of
# keys would pair strangers.
FEW_PAIRS = """
                SELECT * FROM unnest(
                    ARRAY(SELECT {old} FROM auditrepr_old), ARRAY(SELECT {new} FROM auditrepr_new)
                ) AS images (past, image)"""
# A full join never becomes a nested loop, however few rows the cached plan was made for.
PAIRS = """
                SELECT {old} AS past, {new} AS {image}
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place)"""
# An update that moves a row to another partition, whose BEFORE INSERT trigger drops it, leaves an
# old row without a new one, and positions say nothing. The same key is the same object then; what
# has no counterpart went, or came.
DROPPED = "(SELECT count(*) FROM auditrepr_old) <> (SELECT count(*) FROM auditrepr_new)"
BY_IDENTITY = """
        FROM (
            SELECT past, image, {difference} AS changed
            FROM (SELECT past, {old_key} AS key FROM (
                SELECT {old} AS past FROM auditrepr_old OFFSET 0) AS images) AS before
            FULL JOIN (SELECT image, {new_key} AS key FROM (
                SELECT {new} AS image FROM auditrepr_new OFFSET 0) AS images) AS after USING (key)
            OFFSET 0
        ) AS event
        WHERE past IS NULL OR image IS NULL OR changed IS NOT NULL
        ORDER BY image IS NULL DESC"""
# A key that several rows have identifies none of them.
ONE_OF_ITS_KEY = "CASE WHEN count(*) OVER (PARTITION BY {key}) = 1 THEN {key} END"
# Many rows are compared column by column, and only what differs becomes JSON. That names columns:
# so only while the table has just those that it had, of the types that they had. The server makes
# no plan for a statement that does not run.
MANY = "EXISTS (SELECT FROM auditrepr_new OFFSET 50)"
UNALTERED = """{columns} = (
            SELECT string_agg(concat(attname, ' ', format_type(atttypid, atttypmod)), ', '
                ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped)"""
CHOICE = """IF {condition} THEN
            {this};
        ELSE
            {that};
        END IF"""
BY_COLUMN = """
        FROM (
            SELECT {new} AS image,
                CASE WHEN pg_column_size(past) < {fits} AND pg_column_size(fresh) < {fits}
                THEN ('{{' || substr(nullif(concat({columns}), ''), 2) || '}}')::jsonb
                ELSE (
                    SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each({old}) AS was
                    WHERE was.value{text} IS DISTINCT FROM ({new} -> was.key){text}
                ) END AS changed
            FROM ({pairs} OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL"""
COLUMN = """
                    CASE WHEN {differs}
                    THEN {label} || coalesce(to_jsonb({past})::text, 'null') END"""
# For statements that name a partition.
BY_OPERATION = """IF TG_OP = 'INSERT' THEN
        {insert};
    ELSIF TG_OP = 'UPDATE' THEN
        {update};
    ELSIF TG_OP = 'DELETE' THEN
        {delete};
    ELSIF {truncating} THEN
        {truncate};
    END IF"""
TRUNCATED = """IF {truncating} THEN
        {event};
    END IF"""
EMPTIED = """DECLARE
        gone record;
    BEGIN
        FOR gone IN EXECUTE format('SELECT * FROM ONLY %s', TG_RELID::regclass) LOOP
            {delete};
        END LOOP;
    END"""
