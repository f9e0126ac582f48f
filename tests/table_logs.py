"""Other logs that are one table, and the triggers that write them: our own SQL, their behavior.

``SUPA_AUDIT`` is supa_audit 0.3, ``LOGGED_ACTIONS`` 2ndQuadrant's audit trigger with hstore,
``WITH_JSON`` and ``AUDIT_LOG`` are forks of it: one with JSON, and pg-audit-json.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.capturing import sql

_SUPA_TABLE = """
CREATE TYPE {schema}.operation AS ENUM ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE');
CREATE TABLE {schema}.record_version (
    id bigserial PRIMARY KEY, record_id uuid, old_record_id uuid, op {schema}.operation NOT NULL,
    ts timestamptz NOT NULL DEFAULT now(), table_oid oid NOT NULL, table_schema name NOT NULL,
    table_name name NOT NULL, record jsonb, old_record jsonb,
    auth_uid uuid DEFAULT nullif(current_setting('test.uid', true), '')::uuid,
    auth_role text DEFAULT nullif(current_setting('test.role', true), '')
);
CREATE FUNCTION {schema}.row_changed() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.record_version (
        record_id, old_record_id, op, table_oid, table_schema, table_name, record, old_record
    ) VALUES (
        CASE WHEN TG_OP <> 'DELETE' THEN md5(TG_RELID || NEW::text)::uuid END,
        CASE WHEN TG_OP <> 'INSERT' THEN md5(TG_RELID || OLD::text)::uuid END,
        TG_OP::{schema}.operation, TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME,
        to_jsonb(NEW), to_jsonb(OLD)
    );
    RETURN NULL;
END $$;
CREATE FUNCTION {schema}.emptied() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.record_version (op, table_oid, table_schema, table_name)
    VALUES ('TRUNCATE', TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME);
    RETURN NULL;
END $$;
"""
_ACTIONS_TABLE = """
CREATE TABLE {schema}.{name} (
    {key} bigserial PRIMARY KEY, schema_name text NOT NULL, table_name text NOT NULL,
    relid oid NOT NULL, session_user_name text, action_tstamp_tx timestamptz NOT NULL,
    action_tstamp_stm timestamptz NOT NULL, action_tstamp_clk timestamptz NOT NULL,
    transaction_id bigint, application_name text, {more} client_addr inet, client_port integer,
    client_query text, action text NOT NULL CHECK (action IN ('I', 'D', 'U', 'T')),
    row_data {type}, changed_fields {type}, statement_only boolean NOT NULL
);
{functions}
CREATE FUNCTION {schema}.if_modified_func() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
DECLARE
    ignored text[] := coalesce(TG_ARGV[1], '{{}}');
    old_row {type};
    new_row {type};
    fresh {type};
BEGIN
    IF TG_LEVEL = 'ROW' AND TG_OP <> 'INSERT' THEN
        old_row := {row}(OLD);
    END IF;
    IF TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN
        new_row := {row}(NEW) - ignored;
    END IF;
    IF TG_LEVEL = 'ROW' AND TG_OP = 'UPDATE' THEN
        fresh := {minus} - ignored;
        IF fresh = '{empty}' THEN
            RETURN NULL;
        END IF;
    END IF;
    {old}
    INSERT INTO {schema}.{name} (
        schema_name, table_name, relid, session_user_name, action_tstamp_tx, action_tstamp_stm,
        action_tstamp_clk, transaction_id, application_name, client_addr, client_port,
        client_query, action, row_data, changed_fields, statement_only
    ) VALUES (
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_RELID, session_user, current_timestamp,
        statement_timestamp(), clock_timestamp(), txid_current(),
        current_setting('application_name'), inet_client_addr(), inet_client_port(),
        CASE WHEN TG_ARGV[0]::boolean THEN current_query() END, left(TG_OP, 1),
        {row_data}, {changed}, TG_LEVEL = 'STATEMENT'
    );
    RETURN NULL;
END $$;
"""
# What differs, of objects only the parts that differ.
_MINUS = """
CREATE FUNCTION {schema}.minus(one jsonb, other jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_object_agg(key, CASE
        WHEN jsonb_typeof(value) = 'object' AND jsonb_typeof(other -> key) = 'object'
        THEN {schema}.minus(value, other -> key) ELSE value END), '{{}}')
    FROM jsonb_each(one) WHERE value IS DISTINCT FROM other -> key $$;
"""
_DIFFERENCE = "(SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(new_row) WHERE value IS DISTINCT FROM old_row -> key)"  # noqa: E501
_IGNORING = "old_row := old_row - ignored;"


@dataclass(frozen=True)
class TableLog:
    """One of these logs."""

    source: str
    table: str
    key: str
    setup: str
    row_trigger: str
    statement_trigger: str

    def create(self, schema: str = "audit") -> None:
        sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE", f"CREATE SCHEMA {schema}",
            self.setup.replace("{schema}", schema))  # fmt: skip

    def drop(self, schema: str = "audit") -> None:
        sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")

    def record(
        self, tables: Iterable[str], ignored: Sequence[str] = (), schema: str = "audit"
    ) -> None:
        """Let it record these tables, from now on."""
        arguments = ""
        if self.source == "logged_actions":
            columns = f", '{{{','.join(ignored)}}}'" if ignored else ""
            arguments = f"'true'{columns}"
        for table in tables:
            sql(
                f"CREATE TRIGGER other_row AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW"
                f" EXECUTE FUNCTION {schema}.{self.row_trigger}({arguments})",
                f"CREATE TRIGGER other_statement AFTER TRUNCATE ON {table}"
                f" EXECUTE FUNCTION {schema}.{self.statement_trigger}({arguments[:6]})",
            )


def _actions(
    name: str = "logged_actions",
    key: str = "event_id",
    type_: str = "jsonb",
    *,
    insert_is_new: bool = False,
    minus: str = _DIFFERENCE,
    ignoring: str = _IGNORING,
    more: str = "",
    functions: str = "",
) -> TableLog:
    texts = type_ == "hstore"
    new = "CASE WHEN TG_OP = 'INSERT' THEN new_row ELSE old_row END"
    fresh = "CASE WHEN TG_OP = 'INSERT' THEN new_row ELSE fresh END"
    values = {
        "name": name, "key": key, "type": type_, "more": more, "old": ignoring,
        "functions": functions, "row": "hstore" if texts else "to_jsonb",
        "empty": "" if texts else "{}", "minus": "(new_row - old_row)" if texts else minus,
        "row_data": "old_row" if insert_is_new else new,
        "changed": fresh if insert_is_new else "fresh",
    }  # fmt: skip
    setup = _ACTIONS_TABLE.replace("{{", "\0").replace("}}", "\1")
    for field, value in values.items():
        setup = setup.replace(f"{{{field}}}", value)
    setup = setup.replace("\0", "{").replace("\1", "}")
    function = "if_modified_func"
    return TableLog("logged_actions", name, key, setup, function, function)


SUPA_AUDIT = TableLog("supa_audit", "record_version", "id", _SUPA_TABLE, "row_changed", "emptied")
LOGGED_ACTIONS = _actions(type_="hstore")
#: As it was first: an update's old row has ignored columns too.
FORMER_ACTIONS = _actions(type_="hstore", ignoring=f"IF TG_OP = 'DELETE' THEN {_IGNORING} END IF;")
WITH_JSON = _actions()
AUDIT_LOG = _actions(
    "log", "id", insert_is_new=True, minus="{schema}.minus(new_row, old_row)",
    more="application_user_name text DEFAULT current_setting('test.user', true),",
    functions=_MINUS.replace("{{", "{").replace("}}", "}"),
)  # fmt: skip
ALL = {
    "supa_audit": SUPA_AUDIT, "hstore": LOGGED_ACTIONS, "former": FORMER_ACTIONS,
    "json": WITH_JSON, "audit_log": AUDIT_LOG,
}  # fmt: skip
