"""Tests the attach facet: a view of another log's table in the place of the log."""

from __future__ import annotations

import pytest
from django.db import Error, transaction

from auditrepr import capture
from auditrepr.exceptions import NotAttachable
from auditrepr.models import AuditLog
from auditrepr.vendors import Vendor
from auditrepr.vendors.attach_types import KEY, TABLE, Keys, LogView, Span
from tests.capturing import sql

pytestmark = pytest.mark.django_db

CREATE = "CREATE TABLE other_log (id bigserial PRIMARY KEY, of text, at timestamptz, row jsonb)"
EVENTS = """
INSERT INTO other_log (of, at, row) VALUES
    ('plain', now(), '{"id": 7, "name": "Ann"}'),
    ('paired', now(), '{"a": 1, "b": "x"}'),
    ('named', '2026-01-31', '{"old": "k"}'), ('named', '2026-03-31', '{"new": "k"}'),
    ('plain', now(), '[1]'), ('plain', now(), NULL),
    ('timed', now(), '{"at": "2026-01-31T12:00:00+05:45"}'), ('timed', now(), '{"at": null}'),
    ('paired', now(), '{"b": "x"}'), ('paired', now(), '{"a": 1, "b": null}'),
    ('paired', now(), '{}')
"""
#: What the comment was before keys could be times.
EARLIER = """
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE auditrepr_auditlog_own IS %L', replace(
    obj_description('auditrepr_auditlog_own'::regclass), ', [], []]', ', []]'
)); END $$
"""
KEYS = Keys(
    ["public"],
    {"public": {"former": "current"}},
    {
        "public": {
            "paired": [Span(None, None, [["a"], ["b"]], [], [])],
            "timed": [Span(None, None, [["at"]], [], [True])],
            "named": [
                Span(None, "2026-02-28T00:00:00+00:00", [["old"]], [], []),
                Span("2026-02-28T00:00:00+00:00", None, [["new"]], [], []),
            ],
        }
    },
)
VIEW = LogView(
    "other_log AS event",
    {
        "id": "event.id",
        "table_name": f"{TABLE}('public', event.of)",
        "object_id": f"{KEY}('public', event.of, event.at, event.row)",
        "row_data": "event.row",
        "occurred_at": "event.at",
    },
    excluded={"plain": ["name"]},
)


def refuse(vendor: Vendor) -> None:
    """A vendor that cannot do it says so, and that no log is attached."""
    for refused in (
        lambda: vendor.attach("other", VIEW, KEYS),
        lambda: vendor.view_digest(VIEW, KEYS, 1),
        lambda: vendor.create_keys(KEYS, 1),
        lambda: vendor.view_facts(1),
        vendor.refused_reader,
        vendor.last_id_given,
        vendor.stop_writers,
        vendor.set_view_aside,
        vendor.detach,
    ):
        with pytest.raises(NotAttachable):
            refused()
    assert vendor.attachment() is None
    assert vendor.schemas() == []


def test_a_log_is_attached_and_detached(vendor: Vendor) -> None:
    if not vendor.attachable:
        refuse(vendor)
        return
    capture.remove(vendor.using)
    sql(CREATE, EVENTS)
    vendor.create_keys(KEYS, 1)
    vendor.attach("other", VIEW, KEYS)
    found = vendor.attachment()
    assert found is not None
    assert (found.source, found.version, found.keys, found.in_place) == ("other", 1, KEYS, True)
    assert vendor.refused_reader() is None
    assert vendor.last_id_given() == 11
    assert found.digest == vendor.view_digest(VIEW, KEYS, 1)
    assert found.digest != vendor.view_digest(VIEW, KEYS, 2)
    events = AuditLog.objects.order_by("pk").values_list("table_name", "object_id", "row_data")
    assert [event[:2] for event in events] == [
        ("plain", "7"), ("paired", '[1, "x"]'), ("named", "k"), ("named", "k"),
        ("plain", None), ("plain", None), ("timed", "2026-01-31T06:15:00+00:00"), ("timed", None),
        ("paired", None), ("paired", None), ("paired", None),
    ]  # fmt: skip
    assert events[0][2] == {"id": 7}
    facts = vendor.view_facts(1)
    assert (list(facts.tables), facts.key, facts.id) == (["public.other_log"], "id", "id")
    assert [one.split()[3] for one in facts.indexes] == [
        "auditrepr_attached_object", "auditrepr_attached_table",
    ]  # fmt: skip
    sql(*(one.replace(" CONCURRENTLY", "") for one in facts.indexes))
    assert list(vendor.view_facts(1).indexes) == []
    vendor.stop_writers()
    vendor.set_view_aside()
    aside = vendor.attachment()
    assert aside is not None
    assert not aside.in_place
    vendor.attach("other", VIEW, KEYS)
    sql(EARLIER)
    found = vendor.attachment()
    assert found is not None
    assert found.keys == KEYS, "what was not known earlier is empty"
    stay = vendor.detach()
    assert len(stay) == 2, "the indexes call them"
    assert vendor.attachment() is None
    assert AuditLog.objects.count() == 0
    with pytest.raises(Error), transaction.atomic():
        vendor.set_view_aside()
    assert "public" in vendor.schemas()
