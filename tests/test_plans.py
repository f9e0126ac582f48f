"""What PostgreSQL does for each page and each batch; ``TEST_EVENTS`` says on how large a log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client

from auditrepr import search
from auditrepr.changelist import LOOKED_AT
from auditrepr.events import Event
from auditrepr.models import AuditLog, Checkpoint
from auditrepr.representation import build
from tests.pages import FAILURES, LOG, RUNS, ids, reader, staff

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

EVENTS = int(os.environ.get("TEST_EVENTS", "100000"))
MIDDLE = EVENTS // 2

LARGE = ("auditrepr_auditlog", "auditrepr_instancerepr")

TABLES = "auditrepr_auditlog, auditrepr_instancerepr, auditrepr_reprfailure, auditrepr_checkpoint"
#: An event a second: two tables have most of them, one has few; deletes and mixed ones are rare.
#: In files without gaps: rows that fill those of others are not in the order of their ids.
FILL = f"""
TRUNCATE {TABLES};
INSERT INTO auditrepr_auditlog
    (id, table_name, object_id, action, row_data, changed_from, transaction_id, occurred_at,
     context)
SELECT n,
    CASE WHEN n % 1000 = 0 THEN 'app_tag' WHEN n % 2 = 0 THEN 'app_book' ELSE 'app_author' END,
    (n / 10)::text, CASE WHEN n % 9999 = 0 THEN 'D' WHEN n % 3 = 0 THEN 'U' ELSE 'I' END,
    jsonb_build_object('id', n / 10, 'name', 'name ' || n, 'title', 'title ' || n, 'label', n,
        'price', 1, 'author_id', n),
    CASE WHEN n % 3 = 0 THEN jsonb_build_object('author_id', n - 10, 'name', 'before') END,
    n / 5, timestamptz '2026-01-01' + n * interval '1 second',
    CASE WHEN n % 97 = 0 THEN jsonb_build_object('user', (n % 9)::text) END
FROM generate_series(1, {EVENTS}) n;
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
SELECT n, 'object ' || n, CASE WHEN n % 5000 = 1 THEN 'M' ELSE 'E' END, ''
FROM generate_series(1, {EVENTS - 100}) n WHERE n % 7777 <> 0;
INSERT INTO auditrepr_reprfailure (audit_log_id, error_class, message, traceback, attempts)
SELECT n, 'ValueError', 'no', '', 1 FROM generate_series(1, {EVENTS - 100}) n WHERE n % 7777 = 0;
ANALYZE auditrepr_auditlog, auditrepr_instancerepr, auditrepr_reprfailure;
"""

PAGES = [
    LOG,
    f"{LOG}?before={MIDDLE}",
    f"{LOG}?after={MIDDLE}",
    f"{LOG}?table_name=app_book",
    f"{LOG}?table_name=app_tag&before={MIDDLE}",
    f"{LOG}?table_name=shop_gone",
    f"{LOG}?action__exact=D",
    f"{LOG}?action__exact=T",
    f"{LOG}?action__exact=D&table_name=app_tag",
    f"{LOG}?state=mixed",
    f"{LOG}?state=failed",
    f"{LOG}?state=pending",
    f"{LOG}?state=mixed&table_name=app_tag",
    f"{LOG}?since=2026-01-01&until=2026-01-01",
    f"{LOG}?since=2026-01-02",
    f"{LOG}?since=2027-01-02",
    f"{LOG}?transaction_id={MIDDLE // 5}",
    f"{LOG}?table_name=app_book&object_id={MIDDLE // 10}",
    f"{LOG}?object_id={MIDDLE // 10}",
    f"{LOG}?actor=5",
    f"{LOG}?actor=7&action__exact=D",
    f"{LOG}?q={MIDDLE // 10}",
    f"{LOG}?q={MIDDLE // 10}&table_name=app_book",
    f"{LOG}?q=no*",
    f"{LOG}object/?table_name=app_book&object_id={MIDDLE // 10}",
    f"{LOG}{MIDDLE}/change/",
    f"{LOG}{EVENTS}/change/",
    RUNS,
    FAILURES,
]


@pytest.fixture(scope="module")
def large(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """A log that is filled once, for all of these tests."""
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(FILL)
        Checkpoint.objects.create(settled_id=EVENTS - 200)
        yield
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {TABLES}")


@pytest.fixture(params=["everything", "one model"])
def somebody(large: None, request: pytest.FixtureRequest) -> Client:
    """Who may see everything, and who may see the model that has few events."""
    if request.param == "everything":
        return request.getfixturevalue("reader")
    return staff("view_auditlog", "view_tag", "view_backfillrun", "view_reprfailure")


class Plans:
    """Looks at the plan of every query before it runs."""

    def __init__(self) -> None:
        self.scanned: list[str] = []
        self.read = 0  # rows of auditrepr's tables
        self.compiled: list[str] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(("SELECT", "WITH")) and "auditrepr_" in sql:
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
                [(plan,)] = cursor.fetchall()
            plan = json.loads(plan) if isinstance(plan, str) else plan
            self._walk(plan[0]["Plan"], sql)
            if "JIT" in plan[0]:
                self.compiled.append(sql)
        return execute(sql, params, many, context)

    def _walk(self, node: dict[str, Any], sql: str) -> None:
        if str(node.get("Relation Name", "")).startswith("auditrepr_"):
            removed = node.get("Rows Removed by Filter", 0)
            self.read += int((node["Actual Rows"] + removed) * node["Actual Loops"])
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
                self.scanned.append(sql)
        for part in node.get("Plans", ()):
            self._walk(part, sql)


@pytest.mark.parametrize("url", PAGES)
def test_a_page_reads_a_bounded_part_of_the_log_and_never_scans_it(
    somebody: Client, url: str
) -> None:
    plans = Plans()
    with connection.execute_wrapper(plans):
        assert somebody.get(url).status_code in (200, 302, 403)
    assert plans.scanned == []
    assert plans.read < 2.1 * LOOKED_AT


#: What is everywhere, in one part, in one event, nowhere, and what no index serves.
SEARCHES = [
    "object",
    f"object {MIDDLE}",
    f"{MIDDLE}",
    "object 77",
    "nothing",
    "no",
    "%%%",
]
AROUND = ["", f"&before={MIDDLE}", f"&after={MIDDLE}", "&action__exact=D", "&table_name=app_tag"]


EXTENSION = {"trigrams": "CREATE EXTENSION IF NOT EXISTS pg_trgm"}


@pytest.mark.parametrize("kind", ["no index", "trigrams", "beginnings"])
def test_a_search_reads_a_bounded_part_of_the_log_and_never_scans_it(
    somebody: Client, kind: str, settings: Any
) -> None:
    settings.AUDITREPR = {"SEARCH": kind != "no index"}
    with connection.cursor() as cursor:
        cursor.execute(EXTENSION.get(kind, "DROP EXTENSION IF EXISTS pg_trgm"))
    made = search.install("default")
    assert (made and made.anywhere) == {"no index": None, "trigrams": True}.get(kind, False)
    for text in SEARCHES:
        for around in AROUND:
            plans = Plans()
            with connection.execute_wrapper(plans):
                answer = somebody.get(f"{LOG}?text={quote(text)}{around}")
                assert answer.status_code == 200
            assert plans.scanned == [], (text, around)
            assert plans.read < 2.1 * LOOKED_AT, (text, around)


def test_an_index_finds_the_one_among_all(reader: Client, large: None, settings: Any) -> None:
    settings.AUDITREPR = {"SEARCH": True}
    with connection.cursor() as cursor:
        cursor.execute(EXTENSION["trigrams"])
    search.install("default")
    assert ids(reader, f"{LOG}?text=ect {MIDDLE}") == [MIDDLE]


def test_a_batch_reads_what_it_asks_for_and_nothing_is_compiled(large: None) -> None:
    size = 4000
    events = [Event.of(row) for row in AuditLog.objects.filter(pk__gt=EVENTS - size)]
    plans = Plans()
    with connection.execute_wrapper(plans):
        built = build(events, "default")
    assert len(built) == size
    assert plans.scanned == plans.compiled == []
    assert size <= plans.read < 4 * size
