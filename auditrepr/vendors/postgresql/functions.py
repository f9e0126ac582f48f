"""Functions of the database that may read tables: a statement that calls them does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

#: Those of PostgreSQL itself and of its extensions that are given a query, or the name of a table.
_GIVEN = frozenset(
    {"query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "cursor_to_xml"}
    | {"table_to_xml", "table_to_xml_and_xmlschema", "schema_to_xml", "schema_to_xml_and_xmlschema"}
    | {"database_to_xml", "database_to_xml_and_xmlschema", "ts_stat", "ts_rewrite", "xpath_table"}
    | {"crosstab", "crosstab2", "crosstab3", "crosstab4", "connectby", "dblink"}
)
# Those in C compute, as a rule. A function of a trigger cannot be called.
FUNCTIONS_SQL = """
SELECT proname, coalesce(prosrc, '') || coalesce(pg_get_function_sqlbody(pg_proc.oid), ''),
    lanname IN ('sql', 'plpgsql')
FROM pg_proc
JOIN pg_language ON pg_language.oid = prolang
WHERE lanname NOT IN ('c', 'internal') AND prorettype <> 'trigger'::regtype
    AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
"""
_READS = re.compile(r"\b(?:FROM|JOIN|TABLE|EXECUTE)\b", re.IGNORECASE)


@lru_cache(maxsize=8)  # an extension may bring a thousand functions, and few change
def functions_that_read(every: tuple[tuple[str, str, bool], ...]) -> frozenset[str]:
    """Return the names of those that may read tables, themselves or by calling another one.

    :param every: the name and the source of each function, and whether that is SQL.
    """
    others = list(every)
    names = set(_GIVEN)
    while found := [one for one in others if not one[2] or _may_read(one[1], names)]:
        names |= {name for name, _, _ in found}
        others = [one for one in others if one not in found]
    return frozenset(names)


def _may_read(source: str, readers: Iterable[str]) -> bool:
    called = rf"""\b(?:{"|".join(map(re.escape, readers))})"?\s*\("""
    return bool(_READS.search(source) or re.search(called, source, re.IGNORECASE))
