"""Tests what reads an attached log: job, watermark, pages, plans; and that nothing writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import Error, connection
from django.test import Client

import auditrepr
from auditrepr.models import AuditLog, Checkpoint, InstanceRepr
from auditrepr.vendors import get_vendor
from tests.app.models import Author, Book
from tests.attaching.attached import attach, kind
from tests.capturing import sql
from tests.pages import LOG, page, reader, words
from tests.running import run

__all__ = ["reader"]
pytestmark = [
    pytest.mark.proof,
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.usefixtures("supa_audit"),
]

INSERT = """
INSERT INTO audit.record_version (op, table_oid, table_schema, table_name, record)
VALUES ('INSERT', 'app_author'::regclass, 'public', 'app_author',
    jsonb_build_object('id', {id}, 'name', 'Ann'))
"""


def settled() -> int:
    return Checkpoint.objects.get().settled_id


def test_the_watermark_waits_for_transactions_that_write_the_other_log() -> None:
    """One has taken a lower ID, and is still open: its event comes later, and is not lost."""
    Author.objects.create(name="Ann")
    attach("supa_audit")
    run()
    first = AuditLog.objects.get().pk
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("INSERT INTO app_author (name) VALUES ('Bea')")
        Author.objects.create(name="Cid")
        run()
        assert InstanceRepr.objects.count() == 2
        assert settled() < first + 1
        assert Checkpoint.objects.get().candidate_evidence["transactions"]
    run()
    run()
    texts = InstanceRepr.objects.order_by("pk").values_list("instance_repr", flat=True)
    assert list(texts) == ["Ann", "Bea", "Cid"]
    assert settled() == AuditLog.objects.order_by("pk").last().pk


def test_where_the_log_ends_is_known_from_the_other_logs_sequence() -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    reach = get_vendor("default").reach()
    assert (reach.visible, reach.handed_out) == (AuditLog.objects.get().pk,) * 2
    sql("SELECT nextval('audit.record_version_id_seq')")
    assert get_vendor("default").position().event == reach.visible + 1
    sql("ALTER SEQUENCE audit.record_version_id_seq CACHE 5")
    assert get_vendor("default").sequence_cache() == 5


def test_readers_read_the_other_log(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    Author.objects.update(name="Bea")
    attach("supa_audit")
    first, second = AuditLog.objects.for_object(author).order_by("pk")
    assert auditrepr.as_of(author, first).name == "Ann"
    assert second.changes == {"name": ("Ann", "Bea")}
    run()
    both = AuditLog.objects.with_reprs().order_by("pk")
    assert [event.representation for event in both] == ["Ann", "Bea"]
    assert "Bea" in page(reader)
    assert "Ann" in page(reader, f"{LOG}{first.pk}/change/")
    runs = words(page(reader, f"{LOG.replace('auditlog', 'backfillrun')}"))
    assert "attached to supa_audit" in runs.lower()
    assert "triggers are missing" not in runs
    out = StringIO()
    call_command("export_audit_log", "--format", "jsonl", stdout=out)
    exported = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["representation"] for line in exported if "id" in line] == ["Ann", "Bea"]
    status = StringIO()
    call_command("backfill_status", format="json", stdout=status)
    (document,) = json.loads(status.getvalue())
    assert (document["attached_to"], document["triggers"]) == ("supa_audit", {})


def test_nothing_writes_through_the_log() -> None:
    """A view of one table could be written to, and its rows are another tool's."""
    Author.objects.create(name="Ann")
    attach("supa_audit")
    for statement in (
        "DELETE FROM auditrepr_auditlog",
        "UPDATE auditrepr_auditlog SET id = 9",
        "INSERT INTO auditrepr_auditlog (id) VALUES (9)",
    ):
        with pytest.raises(Error, match="is attached to another log"):
            sql(statement)
    with pytest.raises(Error, match="is attached to another log"):
        AuditLog.objects.all().delete()
    call_command("flush", interactive=False, verbosity=0)
    ((left,),) = sql("SELECT count(*) FROM audit.record_version")
    assert left
    assert kind() == "v"


def test_excluded_columns_do_not_show() -> None:
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="Go", author=author, secret="x")
    Book.objects.update(secret="y")
    attach("supa_audit")
    for event in AuditLog.objects.filter(table_name="app_book"):
        assert "secret" not in event.row_data
        assert "secret" not in (event.changed_from or {})
    assert all("secret" in text for (text,) in sql(
        "SELECT record::text FROM audit.record_version WHERE table_name = 'app_book'"
    ))  # fmt: skip


def plan(query: Any) -> str:
    return str(query.explain(verbose=True))


def test_every_look_up_has_an_index(reader: Client) -> None:
    """100 000 events of the other log: nothing reads all of them."""
    sql("""
        INSERT INTO audit.record_version (op, table_oid, table_schema, table_name, record)
        SELECT 'INSERT', 0, 'public', 'app_author', jsonb_build_object('id', n % 20000, 'name', n)
        FROM generate_series(1, 100000) AS n
    """)
    attach("supa_audit")
    sql("ANALYZE audit.record_version")
    log = AuditLog.objects.filter(table_name="app_author")
    for query in (
        log.filter(object_id="77").order_by("-pk"),
        log.order_by("-pk")[:1],
        log.filter(previous_object_id="77"),
        AuditLog.objects.by("77"),
        AuditLog.objects.order_by("-pk")[:100],
        AuditLog.objects.pending(after=50_000, upto=50_100),
    ):
        assert "Seq Scan on audit.record_version" not in plan(query), query.query
    with explained() as plans:
        run(max_batches=1)
        page(reader)
        page(reader, f"{LOG}?q=app_author")
    assert len(plans) > 10
    assert [found for found in plans if "Seq Scan on audit.record_version" in found] == []


@contextmanager
def explained() -> Iterator[list[str]]:
    """Collect the plans of all queries that read the log."""
    plans: list[str] = []

    def explain(execute: Any, query: str, parameters: Any, many: bool, context: Any) -> Any:
        if "auditrepr_auditlog" in query and query.lstrip()[:6] in ("SELECT", "WITH a", "WITH R"):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (VERBOSE) {query}", parameters)
                plans.append("\n".join([query, *(line for (line,) in cursor.fetchall())]))
        return execute(query, parameters, many, context)

    with connection.execute_wrapper(explain):
        yield plans


ROLE = "attached_reader"


def test_roles_that_read_the_log_need_no_right_to_the_other_one() -> None:
    """The view has the privileges of the log's own table, and its owner reads for the others."""
    Author.objects.create(name="Ann")
    sql(f"CREATE ROLE {ROLE}", f"GRANT SELECT ON auditrepr_auditlog TO {ROLE}")
    try:
        attach("supa_audit")
        Author.objects.update(name="Bea")
        sql(f"SET ROLE {ROLE}")
        with pytest.raises(Error, match="permission denied for schema audit"):
            sql("SELECT * FROM audit.record_version")
        names = [event.row_data["name"] for event in AuditLog.objects.order_by("pk")]
        assert names == ["Ann", "Bea"]
        reach = get_vendor("default").reach()
        assert reach.visible == AuditLog.objects.order_by("pk").last().pk
        assert reach.whole
        assert get_vendor("default").writers().names == frozenset()
    finally:
        sql("RESET ROLE", f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")
