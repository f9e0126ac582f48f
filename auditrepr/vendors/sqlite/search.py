"""SQLite's indexes for searching representations: FTS5 if available, or else prefixes."""

from __future__ import annotations

from ..base import SearchFacet
from ..base.search import direction, scanned, within
from ..types import SearchIndex, Window

TRIGRAMS = SearchIndex(anywhere=True, in_order=True)
BEGINNINGS = SearchIndex(anywhere=False, in_order=False)

#: The expression whose trigrams FTS5 indexes.
SHORTEST = 3
INDEXED_LENGTH = 100

TABLE = "auditrepr_instancerepr"
FTS = "auditrepr_repr_trigrams"
INDEX = "auditrepr_repr_beginnings"
_GONE = f"INSERT INTO {FTS} ({FTS}, rowid, instance_repr)"
_GONE += " VALUES ('delete', old.audit_log_id, old.instance_repr);"
_NEW = f"INSERT INTO {FTS} (rowid, instance_repr) VALUES (new.audit_log_id, new.instance_repr);"
#: The triggers that keep the index up to date.
TRIGGERS = {
    f"search_{TABLE}_insert": f"INSERT ON {TABLE} BEGIN {_NEW} END",
    f"search_{TABLE}_update": f"UPDATE ON {TABLE} BEGIN {_GONE} {_NEW} END",
    f"search_{TABLE}_delete": f"DELETE ON {TABLE} BEGIN {_GONE} END",
}
CREATE = {
    TRIGRAMS: [
        f"CREATE VIRTUAL TABLE {FTS} USING fts5(instance_repr, content='{TABLE}',"
        " content_rowid='audit_log_id', tokenize='trigram')",
        f"INSERT INTO {FTS} ({FTS}) VALUES ('rebuild')",
        *(f"CREATE TRIGGER {name} AFTER {does}" for name, does in TRIGGERS.items()),
    ],
    BEGINNINGS: [
        f"CREATE INDEX {INDEX} ON {TABLE}"
        f" (substr(instance_repr, 1, {INDEXED_LENGTH}) COLLATE NOCASE)"
    ],
}
#: Characters of an update's values that are indexed.
VALUES_LENGTH = 10_000
VALUES_TABLE = "auditrepr_changedvalues"
VALUES = "auditrepr_values_trigrams"
_VALUES_GONE = f"INSERT INTO {VALUES} ({VALUES}, rowid, text)"
_VALUES_GONE += " VALUES ('delete', old.audit_log_id, old.text);"
VALUES_TRIGGERS = {
    f"search_{VALUES_TABLE}_insert": f"INSERT ON {VALUES_TABLE} BEGIN INSERT INTO {VALUES}"
    " (rowid, text) VALUES (new.audit_log_id, new.text); END",
    f"search_{VALUES_TABLE}_delete": f"DELETE ON {VALUES_TABLE} BEGIN {_VALUES_GONE} END",
}
DROP_VALUES = [
    *(f"DROP TRIGGER IF EXISTS {name}" for name in VALUES_TRIGGERS),
    f"DROP TABLE IF EXISTS {VALUES}",
]
CREATE_VALUES = [
    *DROP_VALUES,  # the table may have been dropped without it, by a reversed migration
    f"CREATE VIRTUAL TABLE {VALUES} USING fts5(text, content='{VALUES_TABLE}',"
    " content_rowid='audit_log_id', tokenize='trigram')",
    f"INSERT INTO {VALUES} ({VALUES}) VALUES ('rebuild')",
    *(f"CREATE TRIGGER {name} AFTER {does}" for name, does in VALUES_TRIGGERS.items()),
]
#: Characters of a row, or of what changed of it, that a search without an index unpacks.
SCANNED_SIZE = 50_000
_PAIRS = """
    SELECT log.id, old.value
    FROM auditrepr_auditlog AS log, json_each(log.changed_from) AS old WHERE {bounds} {old}
    UNION ALL
    SELECT log.id, new.value FROM auditrepr_auditlog AS log,
        json_each(log.changed_from) AS old, json_each(log.row_data) AS new
    WHERE {bounds} {new} AND new.key = old.key
"""
_SMALL = {
    "old": f"AND length(log.changed_from) < {SCANNED_SIZE}",
    "new": f"AND length(log.changed_from) + length(log.row_data) < {SCANNED_SIZE}",
}
FILL_VALUES = f"""
    INSERT OR IGNORE INTO {VALUES_TABLE} (audit_log_id, text)
    SELECT id, substr(group_concat(value, char(10)), 1, {VALUES_LENGTH})
    FROM ({_PAIRS.format(bounds="log.id > %(after)s AND log.id <= %(upto)s", old="", new="")})
    WHERE value IS NOT NULL AND value <> '' GROUP BY id
"""
# Of the rows nothing but the IDs is kept: there may be large ones among them.
SCAN_VALUES = f"""
    WITH near AS MATERIALIZED (
        SELECT id FROM auditrepr_auditlog
        WHERE id > %(after)s AND id < %(before)s ORDER BY id {{direction}} LIMIT %(most)s
    )
    SELECT DISTINCT id, 1
    FROM ({_PAIRS.format(bounds="log.id IN (SELECT id FROM near)", **_SMALL)})
    WHERE value LIKE %(pattern)s ESCAPE '\\'
    UNION ALL
    SELECT (SELECT id FROM near ORDER BY id {{direction}} LIMIT 1 OFFSET %(skipped)s), 0
"""
SEARCH_VALUES = (
    f"SELECT rowid FROM {VALUES} WHERE {VALUES} MATCH %(phrase)s AND rowid > %(after)s"
    " AND rowid < %(before)s ORDER BY rowid {direction} LIMIT %(limit)s"
)
DROP = [
    *DROP_VALUES,
    *(f"DROP TRIGGER IF EXISTS {name}" for name in TRIGGERS),
    f"DROP TABLE IF EXISTS {FTS}",
    f"DROP INDEX IF EXISTS {INDEX}",
]
INSTALLED = f"SELECT name FROM sqlite_master WHERE tbl_name IN ('{TABLE}', '{FTS}')"
VALUES_INSTALLED = (
    f"SELECT name FROM sqlite_master WHERE tbl_name IN ('{VALUES_TABLE}', '{VALUES}')"
)
HAS_TRIGRAMS = "SELECT 1 FROM pragma_compile_options WHERE compile_options = 'ENABLE_FTS5'"

SEARCH = {
    TRIGRAMS: f"SELECT rowid FROM {FTS} WHERE {FTS} MATCH %(phrase)s"
    " AND rowid > %(after)s AND rowid < %(before)s ORDER BY rowid {direction} LIMIT %(limit)s",
    # LIKE uses no index together with ESCAPE.
    BEGINNINGS: f"SELECT audit_log_id FROM {TABLE}"
    f" WHERE substr(instance_repr, 1, {INDEXED_LENGTH}) COLLATE NOCASE >= %(beginning)s"
    f" AND substr(instance_repr, 1, {INDEXED_LENGTH}) COLLATE NOCASE < %(end)s"
    " AND instance_repr LIKE %(pattern)s ESCAPE '\\'"
    " AND +audit_log_id > %(after)s AND +audit_log_id < %(before)s LIMIT %(limit)s",
}


class Searching(SearchFacet):
    """Searches representations."""

    def search_index(self) -> SearchIndex | None:
        names = set(self.column(INSTALLED))
        if names.issuperset({FTS, *TRIGGERS}):  # and up to date
            return TRIGRAMS
        return BEGINNINGS if INDEX in names else None

    def best_search_index(self) -> SearchIndex:
        return TRIGRAMS if self.row(HAS_TRIGRAMS) else BEGINNINGS

    def search_sql(self, index: SearchIndex) -> list[str]:
        return CREATE[index]

    def remove_search_sql(self) -> list[str]:
        return DROP

    def values_index(self) -> bool:
        return set(self.column(VALUES_INSTALLED)).issuperset({VALUES, *VALUES_TRIGGERS})

    def values_sql(self) -> list[str]:
        return CREATE_VALUES

    def fill_values(self, after: int, upto: int) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(FILL_VALUES, {"after": after, "upto": upto})

    def scan_values(
        self, text: str, window: Window, forward: bool, most: int
    ) -> tuple[list[int], int | None]:
        return scanned(self, SCAN_VALUES, text, window, forward, most)

    def search_values(
        self, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        if len(text) < SHORTEST:
            return None
        parameters = within(window) | {"phrase": _phrase(text), "limit": most}
        return self.column(SEARCH_VALUES.format(direction=direction(forward)), parameters)

    def search(
        self, index: SearchIndex, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        if index == TRIGRAMS and len(text) < SHORTEST:
            return None
        beginning = text[:INDEXED_LENGTH]
        parameters = within(window) | {
            "phrase": _phrase(text),
            "beginning": beginning,
            "end": beginning + chr(0x10FFFF),
            "pattern": self.connection.ops.prep_for_like_query(text) + "%",
            "limit": most if index.in_order else most + 1,
        }
        found = self.column(SEARCH[index].format(direction=direction(forward)), parameters)
        return None if len(found) > most else found


def _phrase(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
