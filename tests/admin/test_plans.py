"""Tests the query plans of each page and each batch; ``TEST_EVENTS`` sets the size of the log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import cycle, product
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client

from auditrepr.admin import job_page, keyset
from auditrepr.admin.keyset import LOOKED_AT
from auditrepr.capture import search_index
from auditrepr.models import AuditLog, Checkpoint
from auditrepr.models import related as pending
from auditrepr.reprs import build
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import Event
from tests import restoring
from tests.app.models import Tag
from tests.pages import FAILURES, LOG, RUNS, ids, reader, staff
from tests.sizes import FULL

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

EVENTS = int(os.environ.get("TEST_EVENTS", "100000"))
MIDDLE = EVENTS // 2

LARGE = ("auditrepr_auditlog", "auditrepr_instancerepr", "auditrepr_changedvalues")

TABLES = "auditrepr_auditlog, auditrepr_instancerepr, auditrepr_reprfailure, auditrepr_checkpoint"
TABLES += ", auditrepr_changedvalues"
#: An event a second: two tables have most of them, one has few; deletes and mixed ones are rare.
#: Of the failures nearly all are final.
#: In files without gaps: rows that fill those of others are not in the order of their ids.
POSTGRESQL = f"""
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
FROM generate_series(1, {EVENTS - 100}) n WHERE n % 7777 <> 0 AND n % 10 <> 3;
INSERT INTO auditrepr_reprfailure
    (audit_log_id, error_class, message, traceback, attempts, next_attempt_at)
SELECT n, 'ValueError', 'no', '', 1, CASE WHEN n % 7777 = 0 THEN now() END
FROM generate_series(1, {EVENTS - 100}) n WHERE n % 7777 = 0 OR n % 10 = 3;
ANALYZE auditrepr_auditlog, auditrepr_instancerepr, auditrepr_reprfailure;
"""

#: The same rows.
SQLITE = f"""
DELETE FROM auditrepr_instancerepr;
DELETE FROM auditrepr_reprfailure;
DELETE FROM auditrepr_checkpoint;
DELETE FROM auditrepr_auditlog;
CREATE TEMP TABLE series AS
    WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {EVENTS})
    SELECT n FROM series;
INSERT INTO auditrepr_auditlog
    (id, table_name, object_id, action, row_data, changed_from, transaction_id, occurred_at,
     context)
SELECT n,
    CASE WHEN n % 1000 = 0 THEN 'app_tag' WHEN n % 2 = 0 THEN 'app_book' ELSE 'app_author' END,
    CAST(n / 10 AS TEXT), CASE WHEN n % 9999 = 0 THEN 'D' WHEN n % 3 = 0 THEN 'U' ELSE 'I' END,
    json_object('id', n / 10, 'name', 'name ' || n, 'title', 'title ' || n, 'label', n,
        'price', 1, 'author_id', n),
    CASE WHEN n % 3 = 0 THEN json_object('author_id', n - 10, 'name', 'before') END,
    n / 5, datetime('2026-01-01', n || ' seconds'),
    CASE WHEN n % 97 = 0 THEN json_object('user', CAST(n % 9 AS TEXT)) END
FROM series;
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
SELECT n, 'object ' || n, CASE WHEN n % 5000 = 1 THEN 'M' ELSE 'E' END, ''
FROM series WHERE n <= {EVENTS - 100} AND n % 7777 <> 0 AND n % 10 <> 3;
INSERT INTO auditrepr_reprfailure (audit_log_id, error_class, message, traceback, attempts,
    first_failed_at, last_failed_at, next_attempt_at)
SELECT n, 'ValueError', 'no', '', 1, '2026-01-01', '2026-01-01',
    CASE WHEN n % 7777 = 0 THEN '2026-01-01' END
FROM series WHERE n <= {EVENTS - 100} AND (n % 7777 = 0 OR n % 10 = 3);
DROP TABLE series;
ANALYZE;
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
    f"{LOG}?state=final",
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
    f"{LOG}?who=5",
    f"{LOG}?table_name=app_author&field=name",
    f"{LOG}?request_id=5&around={MIDDLE}",
    f"{LOG}?request_id=none",
    f"{LOG}?q={MIDDLE // 10}",
    f"{LOG}?q={MIDDLE // 10}&table_name=app_book",
    f"{LOG}?q=no*",
    f"{LOG}object/?table_name=app_book&object_id={MIDDLE // 10}",
    f"{LOG}object/?table_name=app_author&object_id={MIDDLE // 10}&related=1",
    f"{LOG}object/?table_name=app_tag&object_id=no&related=1",
    f"{LOG}object/as-of/?table_name=app_tag&object_id={MIDDLE // 10}&at=2026-01-02&to=2027-01-01",
    f"{LOG}object/as-of/?table_name=app_author&object_id={MIDDLE // 10}&event={MIDDLE}",
    f"{LOG}object/put-back/?table_name=app_tag&object_id={MIDDLE // 10}&at=2026-01-02",
    f"{LOG}{MIDDLE}/change/",
    f"{LOG}{EVENTS}/change/",
    RUNS,
    FAILURES,
    f"{FAILURES}?state=failed",
    f"{FAILURES}?state=final",
]


FILL = {"postgresql": POSTGRESQL, "sqlite": SQLITE}[connection.vendor]


@pytest.fixture(scope="module")
def large(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """A log that is filled once, for all of these tests."""
    with django_db_blocker.unblock():
        restoring.record("default")
        _run(FILL)
        Checkpoint.objects.create(settled_id=EVENTS - 200)
        yield
        restoring.restore("default")


def _run(script: str) -> None:
    with connection.cursor() as cursor:
        for statement in script.split(";"):
            if statement.strip():
                cursor.execute(statement)


#: Who may see everything, and who may see the model that has few events.
READERS = ["everything", "one model"]
#: Each page for one of them in turns; for both at full size.
READ = list(product(READERS, PAGES)) if FULL else list(zip(cycle(READERS), PAGES, strict=False))


@pytest.fixture(params=READERS)
def somebody(large: None, request: pytest.FixtureRequest) -> Client:
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


class Steps:
    """Counts what SQLite's machine does for every query, on a connection of its own."""

    def __init__(self) -> None:
        self.read = 0  # the machine's instructions

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(("SELECT", "WITH")) and "auditrepr_" in sql:
            other = connection.copy()
            with other.cursor() as cursor:
                other.connection.set_progress_handler(self._step, STEP)
                cursor.execute(sql, params)
                cursor.fetchall()
            other.close()
        return execute(sql, params, many, context)

    def _step(self) -> int:
        self.read += STEP
        return 0


STEP = 100  # instructions between two looks


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize(("somebody", "url"), READ, indirect=["somebody"])
def test_a_page_reads_a_bounded_part_of_the_log_and_never_scans_it(
    somebody: Client, url: str
) -> None:
    plans = Plans()
    with connection.execute_wrapper(plans):
        assert somebody.get(url).status_code in (200, 302, 403)
    assert plans.scanned == []
    assert plans.read < 2.1 * LOOKED_AT


@pytest.mark.proof
@pytest.mark.sqlite
@pytest.mark.parametrize(("somebody", "url"), READ, indirect=["somebody"])
def test_sqlite_takes_no_more_steps_for_a_page_than_for_a_part_of_the_log(
    somebody: Client, url: str
) -> None:
    steps = Steps()
    with connection.execute_wrapper(steps):
        assert somebody.get(url).status_code in (200, 302, 403)
    assert steps.read < 20 * LOOKED_AT


@pytest.mark.parametrize("url", [FAILURES, f"{FAILURES}?state=final", RUNS])
def test_of_many_failures_a_bounded_part_is_read_for_who_may_see_few(
    large: None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = 200
    for module in (keyset, job_page):
        monkeypatch.setattr(module, "LOOKED_AT", few)
    client = staff("view_tag", "view_backfillrun", "view_reprfailure")
    counter = Plans() if connection.vendor == "postgresql" else Steps()
    with connection.execute_wrapper(counter):
        assert client.get(url).status_code == 200
    kinds = 2 if url == RUNS else 1
    assert 0 < counter.read < kinds * (5 if connection.vendor == "postgresql" else 50) * few


@pytest.mark.proof
@pytest.mark.parametrize("narrowed", ["", "&table_name=app_book", "&since=2026-01-01"])
def test_a_page_far_down_costs_what_one_near_the_top_costs(
    reader: Client, large: None, narrowed: str
) -> None:
    costs = []
    # On both, what can be is stored, and no event refers to an author with events.
    for before in (EVENTS - 1000, EVENTS // 5):
        url = f"{LOG}?before={before}{narrowed}"
        counter = Plans() if connection.vendor == "postgresql" else Steps()
        with connection.execute_wrapper(counter):
            assert reader.get(url).status_code == 200
        costs.append(counter.read)
    near, far = costs
    assert far <= 1.1 * near


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
#: Each text, and each part of the log, with some of the others; all pairs at full size.
SOME = [(text, AROUND[number % len(AROUND)]) for number, text in enumerate(SEARCHES)]
PAIRED = list(product(SEARCHES, AROUND)) if FULL else SOME


EXTENSION = {"trigrams": "CREATE EXTENSION IF NOT EXISTS pg_trgm"}


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["no index", "trigrams", "beginnings"])
def test_a_search_reads_a_bounded_part_of_the_log_and_never_scans_it(
    somebody: Client, kind: str, settings: Any
) -> None:
    settings.AUDITREPR = {"SEARCH": kind != "no index"}
    with connection.cursor() as cursor:
        cursor.execute(EXTENSION.get(kind, "DROP EXTENSION IF EXISTS pg_trgm"))
    made = search_index.install("default")
    assert (made and made.anywhere) == {"no index": None, "trigrams": True}.get(kind, False)
    for text, around in PAIRED:
        plans = Plans()
        with connection.execute_wrapper(plans):
            answer = somebody.get(f"{LOG}?text={quote(text)}{around}")
            assert answer.status_code == 200
        assert plans.scanned == [], (text, around)
        assert plans.read < 2.1 * LOOKED_AT, (text, around)


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_search_by_the_index_of_values_is_bounded_too(
    reader: Client, large: None, settings: Any
) -> None:
    settings.AUDITREPR = {"SEARCH": True}
    with connection.cursor() as cursor:
        cursor.execute(EXTENSION["trigrams"])
    search_index.install("default")
    since = EVENTS - 20_000
    get_vendor("default").fill_values(since, EVENTS)
    Checkpoint.objects.update(values_since=since, values_upto=EVENTS - 200)
    one = EVENTS - 15_000 - (EVENTS - 15_000) % 3
    for text, found in [("before", None), (f"name {one}", [one]), ("zzzz", [])]:
        plans = Plans()
        with connection.execute_wrapper(plans):
            shown = ids(reader, f"{LOG}?text={quote(text)}")
        assert found is None or shown == found
        assert plans.scanned == [], text
        assert plans.read < 2.1 * LOOKED_AT, text


@pytest.mark.proof
@pytest.mark.postgresql
def test_an_index_finds_the_one_among_all(reader: Client, large: None, settings: Any) -> None:
    settings.AUDITREPR = {"SEARCH": True}
    with connection.cursor() as cursor:
        cursor.execute(EXTENSION["trigrams"])
    search_index.install("default")
    assert ids(reader, f"{LOG}?text=ect {MIDDLE}") == [MIDDLE]


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_batch_reads_what_it_asks_for_and_nothing_is_compiled(large: None) -> None:
    size = 4000
    events = [Event.of(row) for row in AuditLog.objects.filter(pk__gt=EVENTS - size)]
    plans = Plans()
    with connection.execute_wrapper(plans):
        built = build(events, "default")
    assert len(built) == size
    assert plans.scanned == plans.compiled == []
    assert size <= plans.read < 4 * size


PAIRS = """
UPDATE auditrepr_auditlog SET table_name = 'app_book_tags',
    row_data = jsonb_build_object('id', id, 'book_id', id / 10, 'tag_id', id % 10)
WHERE id % 4 = 1
"""


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("settled", [EVENTS - 200, 0])
def test_the_pending_part_of_an_object_is_read_from_an_index_however_common_its_table(
    reader: Client, large: None, settled: int
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(PAIRS)
        cursor.execute("ANALYZE auditrepr_auditlog")
    Checkpoint.objects.update(settled_id=settled)
    plans = Plans()
    with connection.execute_wrapper(plans):
        found = list(AuditLog.objects.for_object(Tag(pk=1)).order_by("pk"))
    looked_at = range(EVENTS - 3, max(settled, EVENTS - 4 * pending.LOOKED_AT), -4)
    assert [event.pk for event in found] == sorted(pk for pk in looked_at if pk % 10 == 1)
    assert plans.scanned == []
    assert plans.read < 6 * pending.LOOKED_AT
    plans = Plans()
    with connection.execute_wrapper(plans):
        assert reader.get(f"{LOG}object/?table_name=app_tag&object_id=1").status_code == 200
    assert plans.scanned == []
