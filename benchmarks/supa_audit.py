"""Supabase's supa_audit, for comparison: its table, indexes and trigger, in words of our own.

Its extension is not packaged for most servers. The identifier of a record is, as there, a UUID that
is computed of the table and the primary key.
"""

from __future__ import annotations

from . import data

#: Where its events are.
LOG = "audit.record_version"

_TABLE = f"""
CREATE TABLE {LOG} (
    id bigserial PRIMARY KEY,
    record_id uuid,
    old_record_id uuid,
    op audit.operation NOT NULL,
    ts timestamptz NOT NULL DEFAULT now(),
    table_oid oid NOT NULL,
    table_schema name NOT NULL,
    table_name name NOT NULL,
    record jsonb,
    old_record jsonb,
    CHECK (coalesce(record_id, old_record_id) IS NOT NULL OR op = 'TRUNCATE'),
    CHECK ((op IN ('INSERT', 'UPDATE')) = (record_id IS NOT NULL)),
    CHECK ((op IN ('INSERT', 'UPDATE')) = (record IS NOT NULL)),
    CHECK ((op IN ('UPDATE', 'DELETE')) = (old_record_id IS NOT NULL)),
    CHECK ((op IN ('UPDATE', 'DELETE')) = (old_record IS NOT NULL))
)"""
_INDEXES = (
    f"CREATE INDEX record_version_record_id ON {LOG} (record_id) WHERE record_id IS NOT NULL",
    f"CREATE INDEX record_version_old_record_id ON {LOG} (old_record_id)"
    " WHERE old_record_id IS NOT NULL",
    f"CREATE INDEX record_version_ts ON {LOG} USING brin (ts)",
    f"CREATE INDEX record_version_table_oid ON {LOG} (table_oid)",
)
_KEY_COLUMNS = """
CREATE FUNCTION audit.primary_key_columns(oid) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
    SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}')
    FROM pg_catalog.pg_index JOIN pg_catalog.pg_attribute
        ON attrelid = indrelid AND attnum = ANY (indkey)
    WHERE indrelid = $1 AND indisprimary
$$"""
_RECORD_ID = """
CREATE FUNCTION audit.to_record_id(oid, text[], jsonb) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN $3 IS NULL THEN NULL
        WHEN $2 = '{}'::text[] THEN uuid_generate_v4()
        ELSE (
            SELECT uuid_generate_v5(
                'fd62bc3d-8d6e-43c2-919c-802ba3762271',
                (jsonb_build_array(to_jsonb($1)) || jsonb_agg($3 ->> name))::text
            )
            FROM unnest($2) AS columns (name)
        )
    END
$$"""
_FUNCTION = f"""
CREATE FUNCTION audit.insert_update_delete_trigger() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    key_columns text[] := audit.primary_key_columns(TG_RELID);
    fresh jsonb := to_jsonb(NEW);
    fresh_id uuid := audit.to_record_id(TG_RELID, key_columns, fresh);
    past jsonb := to_jsonb(OLD);
    past_id uuid := audit.to_record_id(TG_RELID, key_columns, past);
BEGIN
    INSERT INTO {LOG}
        (record_id, old_record_id, op, table_oid, table_schema, table_name, record, old_record)
    SELECT fresh_id, past_id, TG_OP::audit.operation, TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME,
        fresh, past;
    RETURN coalesce(NEW, OLD);
END
$$"""
_INSTALL = (
    'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"',
    "CREATE SCHEMA audit",
    "CREATE TYPE audit.operation AS ENUM ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')",
    _TABLE, *_INDEXES, _KEY_COLUMNS, _RECORD_ID, _FUNCTION,
)  # fmt: skip


def twin(table: str, of: str) -> str:
    """Return the name of an empty copy of a table that supa_audit records, after creating it."""
    if data.value("SELECT to_regclass(%s)", LOG) is None:
        for sql in _INSTALL:
            data.run(sql)
    if data.value("SELECT to_regclass(%s)", table) is None:
        data.run(f"CREATE TABLE {table} (LIKE {of} INCLUDING ALL)")
    data.run(
        f"CREATE OR REPLACE TRIGGER audit_i_u_d AFTER INSERT OR UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION audit.insert_update_delete_trigger()"
    )
    return table
