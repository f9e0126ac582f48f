"""The triggers on PostgreSQL, as SQL. Nothing here talks to a database.

One statement logs what a statement changed, from its transition tables. It names auditrepr's own
tables and whole rows, never a column: no schema change between two installs makes a write fail.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

from ..tracking import split_name
from .base import Capture, Column, Kind

LOG = "auditrepr_auditlog"
LOG_TRIGGER = "auditrepr_log"
PARTITION_TRIGGER = "auditrepr_partition"
# The trigger whose comment says what all of the table's triggers were made from.
COMMENTED = "auditrepr_insert"

_TRANSITION_TABLES = {
    "INSERT": "REFERENCING NEW TABLE AS auditrepr_new ",
    "UPDATE": "REFERENCING OLD TABLE AS auditrepr_old NEW TABLE AS auditrepr_new ",
    "DELETE": "REFERENCING OLD TABLE AS auditrepr_old ",
    "TRUNCATE": "",
}
# What on a partitioned table makes its partitions insert, update or delete a row: an update may
# move the row to another partition.
_CAUSES = {
    "INSERT": ("INSERT", "UPDATE"),
    "UPDATE": ("UPDATE",),
    "DELETE": ("DELETE", "UPDATE"),
}

# Session settings that change a value's JSON, by the type of the value.
_PINS = {
    "real": {"extra_float_digits"},
    "double precision": {"extra_float_digits"},
    "vector": {"extra_float_digits"},
    "timestamp with time zone": {"TimeZone"},
    "bytea": {"bytea_output"},
    "interval": {"IntervalStyle"},
    "money": {"lc_monetary"},
    "daterange": {"DateStyle"},
    "tsrange": {"DateStyle"},
    "tstzrange": {"DateStyle", "TimeZone"},
    "datemultirange": {"DateStyle"},
    "tsmultirange": {"DateStyle"},
    "tstzmultirange": {"DateStyle", "TimeZone"},
}
_PINNED = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
}
# Types whose JSON depends on no setting. Size aside, JSON can hold every value of these and of
# those above; of any other type (json, domains, composites) we do not know.
_PLAIN = frozenset(
    """
    smallint|integer|bigint|numeric|decimal|boolean|oid|uuid|jsonb|date|timestamp without time zone|
    time without time zone|time with time zone|text|character varying|character|name|citext|
    ltree|hstore|tsvector|bit|bit varying|inet|cidr|macaddr|macaddr8|int4range|int8range|
    numrange|int4multirange|int8multirange|nummultirange
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)
# Types whose values are equal only if their JSON is, with an equality of their own.
_CHARACTERS = frozenset({"text", "character varying", "name"})
_COMPARABLE = _CHARACTERS | frozenset(
    {
        "smallint", "integer", "bigint", "decimal", "boolean", "oid", "uuid", "bytea", "date",
        "timestamp without time zone", "timestamp with time zone", "time without time zone",
    }
)  # fmt: skip
# A function takes so many arguments.
_MOST_ARGUMENTS = 100
# JSON ends at 256 MB. At most it takes 32 times the value (an array of nulls, four bytes a bit).
_SURELY_FITS = 1_000_000

_SAME = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_same(record) RETURNS record
LANGUAGE plpgsql IMMUTABLE AS $auditrepr$
BEGIN
    RETURN $1;
END
$auditrepr$"""

_ROW = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_row(content record, relation oid)
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
# its first AFTER trigger.
_STATEMENT = "extract(epoch FROM statement_timestamp())::text"
_LOG_EMPTIED = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_log_emptied() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr$
BEGIN
    PERFORM set_config('auditrepr.emptied', {statement}, true);
    RETURN NULL;
END
$auditrepr$"""

# The setting alone, which anybody may set, opens nothing.
APPEND_ONLY_BODY = """
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('auditrepr.pruning', true) = 'on' AND pg_has_role(
        session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER'
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
"""
_APPEND_ONLY = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr${body}$auditrepr$"""
# By row, they are on the log's partitions too.
APPEND_ONLY_TRIGGERS = {
    "append_only_auditrepr_change": "UPDATE OR DELETE ON {log} FOR EACH ROW",
    "append_only_auditrepr_truncate": "TRUNCATE ON {log}",
}

# A statement on a partitioned table fires the statement triggers of that table and the row
# triggers of its partitions; one on a partition, only the latter. The setting holds the statements
# under way on partitioned tables: their own row triggers stay quiet meanwhile.
_ENTER = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_enter() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr$
BEGIN
    PERFORM set_config('auditrepr.open', concat(current_setting('auditrepr.open', true),
        TG_ARGV[0], ':', TG_OP, ':', pg_trigger_depth() - 1, ' '), true);
    RETURN NULL;
END
$auditrepr$"""
_LEAVE = """CREATE OR REPLACE FUNCTION {schema}.auditrepr_leave() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $auditrepr$
BEGIN
    PERFORM set_config('auditrepr.open', regexp_replace(current_setting('auditrepr.open', true),
        concat(TG_ARGV[0], ':', TG_OP, ':', pg_trigger_depth() - 1, ' '), ''), true);
    RETURN NULL;
END
$auditrepr$"""

# What a delete found is what its statement's own snapshot saw, and only the condition of a trigger
# still has that one: inside of the function, everything is seen that was committed meanwhile. The
# statements of other triggers, cascades among them, run at depths of their own.
_SEEN_BEFORE = (
    "set_config(concat('auditrepr.seen', pg_trigger_depth()), pg_current_snapshot()::text, true)"
    " <> ''"
)

_FUNCTION = """CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER {settings} AS {quote}
#variable_conflict use_variable
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    seen CONSTANT text := CASE TG_OP
        WHEN 'DELETE' THEN current_setting(concat('auditrepr.seen', pg_trigger_depth() - 1))
        ELSE pg_current_snapshot()::text END;
    told CONSTANT jsonb := nullif(current_setting('auditrepr.context', true), '')::jsonb;
    teller CONSTANT text := CASE WHEN told IS NULL THEN concat(
        session_user, ' (' || nullif(current_setting('application_name'), '') || ')') END;
    gone record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        {insert};
    ELSIF TG_OP = 'UPDATE' THEN
        {update};
    ELSIF TG_OP = 'DELETE' THEN
        {delete};
    ELSIF {truncating} THEN
        {truncate};
    END IF;
    RETURN NULL;
END
{quote}"""
_EVENT = """INSERT INTO {log} (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT {name}, {key}, {previous}, '{action}', {row}, {changed},
            txid_current(), seen, statement_timestamp(), moment, told, teller"""
_UPDATED = """
        FROM (
            SELECT image, (
                SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(past) AS was
                WHERE {differs}
            ) AS changed
            FROM ({pairs} OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL"""
# OLD and NEW pair by position: the server appends to both tables at once. By key, an update of
# keys would pair strangers. A full join never becomes a nested loop, however few rows the cached
# plan was made for.
_PAIRS = """
                SELECT {old} AS past, {new} AS {image}
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place)"""
# Many rows are compared column by column, and only what differs becomes JSON. That names columns:
# so only while the table has just those that it had, of the types that they had. The server makes
# no plan for a statement that does not run.
_MANY = "EXISTS (SELECT FROM auditrepr_new OFFSET 50)"
_UNALTERED = """{columns} = (
            SELECT string_agg(concat(attname, ' ', format_type(atttypid, atttypmod)), ', '
                ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped)"""
_BY_SIZE = """IF {many} AND {unaltered} THEN
            {by_column};
        ELSE
            {by_key};
        END IF"""
_BY_COLUMN = """
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
_COLUMN = """
                    CASE WHEN {differs}
                    THEN {label} || coalesce(to_jsonb({past})::text, 'null') END"""
_EMPTIED = """FOR gone IN EXECUTE format('SELECT * FROM ONLY %s', TG_RELID::regclass) LOOP
            {delete};
        END LOOP"""

_ON_THE_TABLE = """
FROM pg_trigger AS trigger
JOIN pg_class AS class ON class.oid = tgrelid
JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
WHERE NOT tgisinternal AND tgparentid = 0
    AND tgname LIKE 'auditrepr\\_%' AND tgname <> 'auditrepr_log'"""
_DROP_TRIGGERS = f"""
DECLARE
    item record;
BEGIN
    FOR item IN SELECT tgname, tgrelid::regclass AS relation {_ON_THE_TABLE}
        AND CASE WHEN tgname = '{PARTITION_TRIGGER}' THEN pg_partition_root(tgrelid)::oid
            ELSE tgrelid END = (
            SELECT class.oid FROM pg_class AS class
            JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
            WHERE relkind IN ('r', 'p')
                AND (relname = {{name}} AND pg_table_is_visible(class.oid)
                    OR concat(nspname, '.', relname) = {{qualified}})
            ORDER BY pg_table_is_visible(class.oid) DESC LIMIT 1
        )
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.relation);
    END LOOP;
END"""
_DROP_FUNCTIONS = """
DECLARE
    item regprocedure;
BEGIN
    FOR item IN SELECT oid FROM pg_proc
        WHERE pronamespace = {schema}::regnamespace AND proname LIKE '{pattern}'
            AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = pg_proc.oid)
    LOOP
        EXECUTE format('DROP FUNCTION %s', item);
    END LOOP;
END"""
_GUARD_PARTITIONS = """
DECLARE
    item regclass;
BEGIN
    FOR item IN SELECT relid FROM pg_partition_tree({table}::regclass) AS leaf
        JOIN pg_class ON pg_class.oid = leaf.relid WHERE isleaf AND relkind = 'r'
    LOOP
        EXECUTE format('CREATE TRIGGER {trigger} BEFORE TRUNCATE ON %s EXECUTE FUNCTION %s()',
            item, {function});
    END LOOP;
END"""


def quoted(name: str) -> str:
    """An identifier, whatever it is made of."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant."""
    prefix = "E" if "\\" in text else ""
    return prefix + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def table(db_table: str) -> str:
    """A table as SQL names it, from the way Django writes it."""
    return ".".join(quoted(part) for part in split_name(db_table) if part)


def support_sql(schema: str) -> list[str]:
    """What the triggers of all tables share, in the schema that the log is in."""
    names = {
        "schema": quoted(schema),
        "same": literal(f"{quoted(schema)}.auditrepr_same"),
        "statement": _STATEMENT,
    }
    functions = (_SAME, _ROW, _LOG_EMPTIED, _ENTER, _LEAVE)
    return [
        *(function.format(**names) for function in functions),
        f"CREATE OR REPLACE TRIGGER {LOG_TRIGGER} BEFORE TRUNCATE ON {quoted(schema)}.{LOG} "
        f"EXECUTE FUNCTION {quoted(schema)}.auditrepr_log_emptied()",
    ]


def remove_support_sql(schema: str) -> list[str]:
    """Drops what `support_sql` made, and the functions of tables that are gone."""
    log_triggers = (LOG_TRIGGER, *APPEND_ONLY_TRIGGERS)
    return [
        *(f"DROP TRIGGER IF EXISTS {name} ON {quoted(schema)}.{LOG}" for name in log_triggers),
        _do(_DROP_FUNCTIONS.format(schema=literal(quoted(schema)), pattern=r"auditrepr\_%")),
    ]


def append_only_sql(schema: str) -> list[str]:
    """Makes the log, in this schema, refuse to be changed."""
    log = f"{quoted(schema)}.{LOG}"
    return [
        _APPEND_ONLY.format(schema=quoted(schema), body=APPEND_ONLY_BODY),
        *(
            f"CREATE OR REPLACE TRIGGER {name} BEFORE {event.format(log=log)} "
            f"EXECUTE FUNCTION {quoted(schema)}.auditrepr_append_only()"
            for name, event in APPEND_ONLY_TRIGGERS.items()
        ),
        *(f"ALTER TABLE {log} ENABLE TRIGGER {name}" for name in APPEND_ONLY_TRIGGERS),
    ]


def fingerprint(capture: Capture, schema: str) -> str:
    """A hash of all the SQL that the table's capture consists of."""
    statements = support_sql(schema) + _functions(capture, schema) + _triggers(capture, schema)
    return _hash("\n".join(statements))


def install_sql(capture: Capture, schema: str) -> list[str]:
    """Creates the table's triggers, in place of those that are there."""
    triggers = _triggers(capture, schema)
    note: dict[str, object] = {
        "name": capture.name,
        "fingerprint": fingerprint(capture, schema),
        "triggers": sum(sql.startswith("CREATE") for sql in triggers),
        "excluded": sorted(capture.excluded),
    }
    return [
        _do(_drop_triggers(capture.name, ".".join(filter(None, split_name(capture.db_table))))),
        *_functions(capture, schema),
        *triggers,
        f"COMMENT ON TRIGGER {COMMENTED} ON {table(capture.db_table)} "
        f"IS {literal(json.dumps(note, ensure_ascii=False))}",
        _drop_orphans(schema),
    ]


def remove_sql(name: str, schema: str) -> list[str]:
    """Drops the triggers of the table that the log calls by this name."""
    return [_do(_drop_triggers(name, name)), _drop_orphans(schema)]


def _drop_triggers(name: str, qualified: str) -> str:
    return _DROP_TRIGGERS.format(name=literal(stored(name)), qualified=literal(stored(qualified)))


def _drop_orphans(schema: str) -> str:
    return _do(_DROP_FUNCTIONS.format(schema=literal(quoted(schema)), pattern=r"auditrepr\_on\_%"))


def stored(name: str) -> str:
    """The name as the server keeps it: 63 bytes a part."""
    return ".".join(part.encode()[:63].decode(errors="ignore") for part in name.split("."))


def _do(body: str) -> str:
    return f"DO {literal(body)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _functions(capture: Capture, schema: str) -> list[str]:
    body = _Body(capture, schema)
    bodies = [body.of_statement()]
    if capture.shape.kind is Kind.PARTITIONED:
        bodies.append(body.of_row())
    return bodies


def _triggers(capture: Capture, schema: str) -> list[str]:
    on = table(capture.db_table)
    function, *row_function = map(_function_name, _functions(capture, schema))
    # Who may execute one may put it on a table of his own, and log what he likes.
    triggers = [
        f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC" for name in (function, *row_function)
    ]
    triggers += [
        f"CREATE TRIGGER auditrepr_{operation.lower()} AFTER {operation} ON {on} {tables}"
        f"{f'WHEN ({_SEEN_BEFORE}) ' if operation == 'DELETE' else ''}EXECUTE FUNCTION {function}()"
        for operation, tables in _TRANSITION_TABLES.items()
    ]
    if row_function:
        triggers += _partition_triggers(capture, schema, *row_function)
    return triggers


def _partition_triggers(capture: Capture, schema: str, function: str) -> Iterator[str]:
    on, token = table(capture.db_table), _token(capture)
    for operation in _TRANSITION_TABLES:
        suffix = operation.lower()
        for moment, shared in (("BEFORE", "enter"), ("AFTER", "leave")):
            yield (
                f"CREATE TRIGGER auditrepr_{shared}_{suffix} {moment} {operation} ON {on} "
                f"EXECUTE FUNCTION {quoted(schema)}.auditrepr_{shared}('{token}')"
            )
        if operation != "TRUNCATE":
            when = _direct(capture, *_CAUSES[operation])
            if operation == "DELETE":
                when = f"{when} AND {_SEEN_BEFORE}"
            yield (
                f"CREATE TRIGGER auditrepr_row_{suffix} AFTER {operation} ON {on} FOR EACH ROW "
                f"WHEN ({when}) EXECUTE FUNCTION {function}()"
            )
    yield _do(
        _GUARD_PARTITIONS.format(
            table=literal(on), trigger=PARTITION_TRIGGER, function=literal(function)
        )
    )


def _function_name(definition: str) -> str:
    return definition.removeprefix("CREATE OR REPLACE FUNCTION ").partition("() RETURNS")[0]


def _token(capture: Capture) -> str:
    return _hash(capture.name)


def _direct(capture: Capture, *operations: str, depth: str = "pg_trigger_depth()") -> str:
    """Is none of these statements under way on the partitioned table itself?"""
    return " AND ".join(
        f"position(concat('{_token(capture)}:{operation}:', {depth}, ' ') "
        f"IN coalesce(current_setting('auditrepr.open', true), '')) = 0"
        for operation in operations
    )


class _Body:
    """What the trigger functions of one table do."""

    def __init__(self, capture: Capture, schema: str) -> None:
        self.capture = capture
        self.schema = quoted(schema)
        self.pins, self.surely_fits, exact = _needs(capture)
        self.text = "::text" if exact else ""

    def of_statement(self) -> str:
        new, old = self._image("auditrepr_new"), self._image("auditrepr_old")
        return self._function(
            insert=self._whole("I", f"{new} AS image FROM auditrepr_new"),
            update=self._update(),
            delete=self._whole("D", f"{old} AS image FROM auditrepr_old"),
            truncating=f"current_setting('auditrepr.emptied', true) IS DISTINCT FROM {_STATEMENT}",
            truncate=self._event("T", key="NULL", row="NULL"),
        )

    def of_row(self) -> str:
        """For a statement that names a partition."""
        new, old = self._image("NEW"), self._image("OLD")
        emptied = self._whole("D", f"{self._image('gone')} AS image")
        return self._function(
            insert=self._whole("I", f"{new} AS image"),
            update=self._updated(f"SELECT {old} AS past, {new} AS image"),
            delete=self._whole("D", f"{old} AS image"),
            truncating=_direct(self.capture, "TRUNCATE", depth="pg_trigger_depth() - 1"),
            truncate=_EMPTIED.format(delete=emptied),
        )

    def _function(self, **parts: str) -> str:
        pins = "".join(f" SET {name} = '{_PINNED[name]}'" for name in sorted(self.pins))
        # Estimates are high for what is used once: compiling it takes longer than running it.
        settings = f"SET search_path = pg_catalog, pg_temp SET jit = off{pins}"
        body = _FUNCTION.format(function="{0}", settings=settings, quote="{1}", **_safe(parts))
        digest = _hash(body)
        # The quote is in no text that it surrounds: that would take a hash of itself.
        return body.format(f"{self.schema}.auditrepr_on_{digest}", f"$auditrepr_{digest}$")

    def _event(self, action: str, *, key: str, row: str, **values: str) -> str:
        values = {"previous": "NULL", "changed": "NULL", **values}
        name = literal(self.capture.name)
        log = f"{self.schema}.{LOG}"
        return _EVENT.format(log=log, name=name, action=action, key=key, row=row, **values)

    def _whole(self, action: str, image: str) -> str:
        event = self._event(action, key=self._key("image"), row="image")
        return f"{event}\n        FROM (SELECT {image} OFFSET 0) AS event"

    def _update(self) -> str:
        old, new = "before.auditrepr_old", "after.auditrepr_new"
        by_key = self._updated(
            _PAIRS.format(old=self._image(old), new=self._image(new), image="image")
        )
        if not self.surely_fits or len(self.capture.shape.columns) > _MOST_ARGUMENTS:
            return by_key
        pairs = _PAIRS.format(old=old, new=new, image="fresh")
        columns = ", ".join(f"{c.name} {c.type}" for c in self.capture.shape.columns)
        return _BY_SIZE.format(
            many=_MANY,
            unaltered=_UNALTERED.format(columns=literal(columns)),
            by_column=self._event_of_update() + self._by_column(pairs),
            by_key=by_key,
        )

    def _updated(self, pairs: str) -> str:
        differs = f"was.value{self.text} IS DISTINCT FROM (image -> was.key){self.text}"
        return self._event_of_update() + _UPDATED.format(differs=differs, pairs=pairs)

    def _by_column(self, pairs: str) -> str:
        left_out = self.capture.excluded | _virtual(self.capture)
        columns = [c for c in self.capture.shape.columns if c.name not in left_out]
        return _BY_COLUMN.format(
            new=self._image("fresh"),
            old=self._image("past"),
            fits=_SURELY_FITS,
            columns=",".join(map(self._column, columns)),
            text=self.text,
            pairs=pairs,
        )

    def _column(self, column: Column) -> str:
        """What the column held before as JSON's text, with its name; null if it still does."""
        past, fresh = (f"({record}).{quoted(column.name)}" for record in ("past", "fresh"))
        label = literal(f",{json.dumps(column.name, ensure_ascii=False)}:")
        collation = ' COLLATE "C"' if _base(column.type) in _CHARACTERS else ""
        differs = f"{past} IS DISTINCT FROM {fresh}{collation}"
        if column.type.endswith("[]") or _base(column.type) not in _COMPARABLE:
            values = [f"to_jsonb({value}){self.text}" for value in (past, fresh)]
            differs = " IS DISTINCT FROM ".join(values)
        return _COLUMN.format(differs=differs, label=label, past=past)

    def _event_of_update(self) -> str:
        new = self._key("image")
        single = len(self.capture.key_columns) == 1
        old = self._key("changed" if single else "(image || changed)")
        previous = f"NULLIF({old}, {new})"
        return self._event("U", key=new, row="image", previous=previous, changed="changed")

    def _image(self, record: str) -> str:
        """A record as JSON, without the columns that stay out of the log."""
        image = f"{self.schema}.auditrepr_row({record}, TG_RELID)"
        if self.surely_fits:
            image = (
                f"CASE WHEN pg_column_size({record}) < {_SURELY_FITS} "
                f"THEN to_jsonb({record}) ELSE {image} END"
            )
        left_out = sorted(self.capture.excluded | _virtual(self.capture))
        if left_out:
            return f"({image}) - ARRAY[{', '.join(map(literal, left_out))}]::text[]"
        return image

    def _key(self, image: str) -> str:
        match self.capture.key_columns:
            case ():
                return "NULL"
            case (column,):
                return f"{image} ->> {literal(column)}"
            case columns:
                values = ", ".join(f"{image} -> {literal(column)}" for column in columns)
                return f"jsonb_build_array({values})::text"


def _safe(parts: dict[str, str]) -> dict[str, str]:
    return {name: sql.replace("{", "{{").replace("}", "}}") for name, sql in parts.items()}


def _virtual(capture: Capture) -> set[str]:
    return {column.name for column in capture.shape.columns if not column.stored}


def _needs(capture: Capture) -> tuple[set[str], bool, bool]:
    """The settings to pin; does JSON hold every value; are there equal values that differ?

    numeric's 1.0 and 1.00 are equal, as JSON too.
    """
    types = {_base(column.type) for column in capture.shape.columns}
    known = types <= _PINS.keys() | _PLAIN
    pins = set().union(*(_PINS.get(name, set()) for name in types)) if known else set(_PINNED)
    return pins, known, not known or bool(types & {"numeric", "jsonb"})


def _base(type_: str) -> str:
    """A type without its schema, its modifiers and its dimensions; numeric(p, s) is its own."""
    name = type_.removesuffix("[]")
    if re.fullmatch(r"numeric\(.*\)", name):
        return "decimal"
    name = re.sub(r"\(.*?\)", "", name)
    return name.rpartition(".")[2].partition(" ")[0] if name.startswith("interval") else name
