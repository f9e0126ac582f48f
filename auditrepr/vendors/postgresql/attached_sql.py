"""The SQL of a log that is attached to another one: the view, and the functions that it calls.

Expression indexes on the other log's table call the functions. So these are immutable: what they
return for a row never changes, and one that would is made with another name. Writers of that log
run them, too, so they raise no error, whatever the row holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ..attach_types import KEY, TABLE, Keys, LogView
from .quoting import LOG, literal, quoted
from .source_types import MOMENT, READABLE_TIME

#: The log's own table, while a view has its name.
OWN = f"{LOG}_own"
#: Begins the comment on the own table that says to what the log is attached.
MARK = "auditrepr attached: "
GUARD = "auditrepr_attached_guard"
_COST = 1000  # so that the planner prefers an index that has the value to calling the function

ATTACHMENT = f"""
SELECT obj_description(class.oid, 'pg_class'), relname = '{OWN}' FROM pg_class AS class
WHERE relname IN ('{LOG}', '{OWN}') AND relkind IN ('r', 'p')
    AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
ORDER BY relname DESC LIMIT 1
"""
_TABLE_BODY = """
BEGIN
    RETURN coalesce({names}::jsonb -> schema ->> called, CASE
        WHEN schema = ANY({bare}) THEN called ELSE schema || '.' || called
    END);
END
"""
# A composite key is an array, as our triggers write it.
_KEY_BODY = """
DECLARE
    spans jsonb := {spans}::jsonb -> schema -> called;
    span jsonb;
    part jsonb;
    name text;
    value jsonb;
    parts jsonb := '[]';
    n integer := 0;
BEGIN
    IF jsonb_typeof(image) IS DISTINCT FROM 'object' THEN
        RETURN NULL;
    END IF;
    IF spans IS NULL THEN
        RETURN image ->> 'id';
    END IF;
    FOR span IN SELECT jsonb_array_elements(spans) LOOP
        CONTINUE WHEN at < (span ->> 0)::timestamptz OR at >= (span ->> 1)::timestamptz;
        FOR part IN SELECT jsonb_array_elements(span -> 2) LOOP
            value := NULL;
            FOR name IN SELECT jsonb_array_elements_text(part) LOOP
                value := coalesce(value, nullif(image -> name, 'null'));
            END LOOP;
            IF value IS NULL THEN
                RETURN NULL;
            END IF;
            IF (span -> 3 -> n)::boolean AND value #>> '{{}}' ~ '^-?[0-9]+([.][0-9]+)?$' THEN
                value := (value #>> '{{}}')::jsonb;
            END IF;
            IF (span -> 4 -> n)::boolean THEN
                value := to_jsonb({moment});
            END IF;
            n := n + 1;
            parts := parts || jsonb_build_array(value);
        END LOOP;
        RETURN CASE jsonb_array_length(parts)
            WHEN 0 THEN NULL WHEN 1 THEN parts ->> 0 ELSE parts::text END;
    END LOOP;
    RETURN NULL;
END
"""


def function_names(schema: str, version: int) -> dict[str, str]:
    """Return the functions, by what stands for them in the expressions of a view."""
    suffix = "" if version == 1 else f"_{version}"
    return {
        TABLE: f"{quoted(schema)}.auditrepr_attached_table{suffix}",
        KEY: f"{quoted(schema)}.auditrepr_attached_key{suffix}",
    }


def keys_sql(schema: str, keys: Keys, version: int) -> list[str]:
    """Return the SQL that creates or replaces the functions."""
    names = function_names(schema, version)
    bare = f"ARRAY[{', '.join(map(literal, keys.bare))}]::text[]"
    bodies = {
        f"{names[TABLE]}(schema text, called text)": _TABLE_BODY.format(
            names=_json(keys.names), bare=bare
        ),
        f"{names[KEY]}(schema text, called text, at timestamptz, image jsonb)": _KEY_BODY.format(
            spans=_json(keys.spans), moment=MOMENT.format("(value #>> '{}')")
        ),
    }
    return [
        sql
        for head, body in bodies.items()
        for sql in (
            f"CREATE OR REPLACE FUNCTION {head} RETURNS text LANGUAGE plpgsql IMMUTABLE"
            f" PARALLEL SAFE COST {_COST} AS {literal(body)}",
            f"GRANT EXECUTE ON FUNCTION {head} TO PUBLIC",
        )
    ]


def view_sql(
    schema: str, view: LogView, columns: Iterable[tuple[str, str]], version: int
) -> list[str]:
    """Return the SQL that creates the view, with the columns of the log's own table."""
    names = function_names(schema, version)

    def named(sql: str) -> str:
        for part, name in names.items():
            sql = sql.replace(part, name)
        return sql

    made = {name: named(sql) for name, sql in view.columns.items()}
    for name in ("row_data", "changed_from"):
        if name in made and view.excluded:
            made[name] = _without(made[name], made["table_name"], view.excluded)
    actor = made.get("actor", f"({made.get('context', 'NULL::jsonb')}) ->> 'user'")
    made["actor"] = f"left({actor}, 200)"
    listed = ", ".join(
        f"{made.get(name, f'NULL::{type_}')} AS {quoted(name)}" for name, type_ in columns
    )
    # One event without a time that Python can read would stop each run of the job.
    conditions = [f"({view.condition})"] if view.condition else []
    conditions.append(READABLE_TIME.format(made["occurred_at"]))
    name = f"{quoted(schema)}.{LOG}"
    guard = f"{quoted(schema)}.{GUARD}"
    return [
        f"CREATE VIEW {name} AS SELECT {listed}, {made.get('xmin', 'NULL::xid')} AS xmin"
        f" FROM {view.rows} WHERE {' AND '.join(conditions)}",
        f"CREATE OR REPLACE FUNCTION {guard}() RETURNS trigger LANGUAGE plpgsql AS $guard$ BEGIN"
        " RAISE EXCEPTION 'The audit log is attached to another log, and auditrepr never changes"
        " that one.' USING ERRCODE = 'read_only_sql_transaction'; END $guard$",
        # Without it, a DELETE from the view would delete from the other log.
        f"CREATE TRIGGER {GUARD} INSTEAD OF INSERT OR UPDATE OR DELETE ON {name} FOR EACH ROW"
        f" EXECUTE FUNCTION {guard}()",
        _grants(schema),
    ]


def aside_sql(schema: str) -> list[str]:
    """Return the SQL that puts the own table in the place of the view."""
    return [
        f"DROP VIEW IF EXISTS {quoted(schema)}.{LOG}",
        f"ALTER TABLE {quoted(schema)}.{OWN} RENAME TO {LOG}",
    ]


def away_sql(schema: str, comment: Mapping[str, object]) -> list[str]:
    """Return the SQL that puts the own table away, with a comment that says why."""
    said = literal(MARK + json.dumps(comment, sort_keys=True))
    return [
        f"ALTER TABLE {quoted(schema)}.{LOG} RENAME TO {OWN}",
        f"COMMENT ON TABLE {quoted(schema)}.{OWN} IS {said}",
    ]


def _grants(schema: str) -> str:
    """Return the SQL that lets those read the view who may read the own table."""
    body = f"""
DECLARE
    reader text;
BEGIN
    FOR reader IN
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = {literal(f"{quoted(schema)}.{OWN}")}::regclass
            AND privilege_type = 'SELECT'
    LOOP
        EXECUTE 'GRANT SELECT ON {quoted(schema)}.{LOG} TO ' || reader;
    END LOOP;
END
"""
    return f"DO {literal(body)}"


def _without(document: str, table: str, excluded: Mapping[str, Sequence[str]]) -> str:
    whens = "".join(
        f" WHEN {literal(name)} THEN ({document}) - ARRAY[{', '.join(map(literal, columns))}]"
        for name, columns in sorted(excluded.items())
    )
    return f"CASE {table}{whens} ELSE {document} END"


def _json(value: object) -> str:
    return literal(json.dumps(value, sort_keys=True, ensure_ascii=False))
