"""The query for what keeps events from the log although triggers write them.

Only the owner of the log can add it. A rule of a partition does not apply to what comes through the
log, as all events do; a trigger of a partition does.
"""

from __future__ import annotations

from .quoting import LOG

#: Its OID; null if it is another tool's.
LOG_TABLE = f"""(
        SELECT oid FROM pg_class WHERE relname = '{LOG}' AND relkind IN ('r', 'p')
            AND relnamespace = to_regnamespace(quote_ident(coalesce(current_schema(), 'public')))
    )"""
_TABLES = f"""SELECT {LOG_TABLE} AS oid
        UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = {LOG_TABLE}"""
# ROW, BEFORE and INSERT.
_BEFORE_INSERT = "tgtype & 7 = 7"

#: One row each: what it is, and the statement that ends it.
SWALLOWING = f"""
    SELECT 'rule ' || quote_ident(rulename) || ' on ' || ev_class::regclass AS cause,
        'DROP RULE ' || quote_ident(rulename) || ' ON ' || ev_class::regclass AS remedy
    FROM pg_rewrite
    WHERE ev_class = {LOG_TABLE} AND ev_type = '3' AND is_instead AND ev_enabled IN ('O', 'A')
    UNION ALL
    SELECT 'trigger ' || quote_ident(tgname) || ' on ' || tgrelid::regclass,
        'DROP TRIGGER ' || quote_ident(tgname) || ' ON ' || tgrelid::regclass
    FROM pg_trigger WHERE tgrelid IN ({_TABLES}) AND {_BEFORE_INSERT} AND tgparentid = 0
        AND NOT tgisinternal AND tgenabled IN ('O', 'A')
    UNION ALL
    SELECT 'unlogged table ' || oid::regclass, 'ALTER TABLE ' || oid::regclass || ' SET LOGGED'
    FROM pg_class WHERE oid IN ({_TABLES}) AND relkind = 'r' AND relpersistence = 'u'
    ORDER BY 1"""
