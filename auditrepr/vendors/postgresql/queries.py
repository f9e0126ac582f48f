"""PostgreSQL's queries about the log and for a run of the job, with placeholders in braces."""

from __future__ import annotations

from .log_facts import FACTS

POSITION = f"""
    WITH {FACTS}
    SELECT greatest(
        (SELECT max(id) FROM auditrepr_auditlog),
        CASE WHEN readable THEN pg_sequence_last_value(sequence) END,
        before_first
    ), pg_current_xact_id()::text::bigint
    FROM facts
"""
MISSING_RIGHTS = """
    WITH needed AS (
        SELECT name, 'SELECT' AS kind, 0::bigint AS n FROM unnest(%(read)s::text[]) AS name
        UNION ALL
        SELECT name, 'INSERT', 1 FROM unnest(%(added)s::text[]) AS name
        UNION ALL
        SELECT name, kind, n FROM unnest(%(written)s::text[]) AS name,
            unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS kinds (kind, n)
    ), missing AS (
        SELECT name, string_agg(kind, ', ' ORDER BY n) AS kinds FROM needed
        WHERE to_regclass(name) IS NOT NULL AND NOT has_table_privilege(to_regclass(name), kind)
        GROUP BY name
    ), together AS (
        SELECT kinds || ' on ' || string_agg(name, ', ' ORDER BY name) AS rights
        FROM missing GROUP BY kinds
    )
    SELECT current_user, string_agg(rights, '; ' ORDER BY rights) FROM together
"""
# The log's table, in this database, in this cluster: a standby has the same of all three. The log
# of a later schema of the search path is another connection's.
LOG_IDENTITY = """
    SELECT c.system_identifier || ' ' || d.oid || ' '
        || to_regclass(quote_ident(current_schema()) || '.auditrepr_auditlog')::oid,
        pg_is_in_recovery()
    FROM pg_database d, pg_control_system() c WHERE d.datname = current_database()
"""
SEQUENCE_CACHE = f"WITH {FACTS} SELECT cache FROM facts"

# The sequence distinguishes its own IDs from explicit ones, if the role may read it.
REACH = f"""
WITH {FACTS}, reached AS (SELECT max(id) AS id FROM auditrepr_auditlog)
SELECT coalesce(id, before_first), coalesce(
    CASE WHEN readable THEN coalesce(pg_sequence_last_value(sequence), before_first) END,
    id, before_first
), hidden, pg_current_snapshot()::text
FROM facts, reached
"""

# An INSERT or COPY locks the log's table, or the partition that it names, in this mode before it
# takes an ID, even if it holds a stronger lock, and keeps the lock until its transaction ends.
WRITERS = f"""
WITH {FACTS}
SELECT extract(epoch FROM pg_postmaster_start_time())::text, ARRAY(
    SELECT DISTINCT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (
            pg_locks.relation = facts.relation
            OR pg_locks.relation IN (SELECT relid FROM pg_partition_tree(facts.relation))
        )
)
FROM facts
"""
RECOVERED = "-1/"  # prefix of a prepared transaction's name after a crash recovery

COPY = """
COPY auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
FROM STDIN (FORMAT binary)
"""
STORE = """
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[])
ON CONFLICT (audit_log_id) DO NOTHING
"""
REPLACE = """
UPDATE auditrepr_instancerepr SET
    instance_repr = rebuilt.instance_repr, fidelity = rebuilt.fidelity, reason = rebuilt.reason
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[])
    AS rebuilt (id, instance_repr, fidelity, reason)
WHERE audit_log_id = rebuilt.id
"""

STORE_RELATED = """
INSERT INTO auditrepr_relatedobject (audit_log_id, table_name, object_id)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[])
ON CONFLICT DO NOTHING
"""
# A value that was too large is an object in its place, and no key.
_TEXTS = """(
    SELECT jsonb_object_agg(name, CASE WHEN jsonb_typeof({0} -> name) <> 'object'
        THEN {0} ->> name END)
    FROM unnest(%(columns)s::text[]) AS name WHERE {0} ? name
)"""
RECORDED_TEXTS = f"""
SELECT id, {_TEXTS.format("row_data")}, {_TEXTS.format("changed_from")}
FROM auditrepr_auditlog WHERE id = ANY(%(ids)s::bigint[])
"""
RECORDED_TEXT = "((%(expressions)s) #>> '{}')"

END_IF_IDLE = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
