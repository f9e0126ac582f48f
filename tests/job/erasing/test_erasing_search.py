"""Tests that the search for what is erased finds all that a look at each value would find."""

# ruff: noqa: RUF001 - letters that look like others are what this is about

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Callable
from urllib.parse import quote

import pytest
from django.db import connection, transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import IRegex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditrepr.job.erasing.needles import Needles, Words
from auditrepr.models import AuditLog, InstanceRepr
from auditrepr.utils.letter_case import LAST, Folding, alike, cased
from auditrepr.vendors import get_vendor
from auditrepr.vendors.sought import Sought, Stretch
from tests.sizes import examples

COLUMNS = ("row_data", "changed_from", "context")
#: What differs in case, is escaped by JSON, HTML, addresses or Python, or belongs to a number.
ALPHABET = "abkisßſKİıÉéÿǅǆθϑςσиЖ中𝒳𐐀𐐨0179٣ '\"\\/<&>%+_-.,\n\t\x7f\x85\u200b\u2028"
TEXT = st.text(ALPHABET, min_size=1, max_size=8).filter(lambda text: text.strip())
NUMBER = st.from_regex(r"[0-9]{1,8}", fullmatch=True)
NAMES = ["Zoë Quill", "kiss", "10017", "Elm Street 17"]
#: More than is searched for at once.
LONG = 'Çığdem & Zoë\'s <note> of the 17th: "kept" in Elm Street 10017, by ßeaſt'
#: A name with a letter, whose parts and cases others are likely to have.
NEEDLE = st.one_of(TEXT, NUMBER, st.sampled_from([*NAMES, LONG]))
FORMS: list[Callable[[str], str]] = [
    str, str.upper, str.lower, str.title, str.casefold, str.swapcase, html.escape, quote, ascii,
    repr, json.dumps, lambda text: json.dumps(json.dumps(text)), lambda text: text[:40],
    lambda text: text.encode().hex(), lambda text: repr(text.encode()),
    lambda text: "".join(alike(char)[-1] for char in text),
]  # fmt: skip
AROUND = st.sampled_from(
    ["", " ", "x", "1", "0", "%20", r"\x41", r"\u00e9", "\n", "\x10", '"', "\\"]
)


@st.composite
def case(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Texts to search for, and texts that may hold them."""
    needles = draw(st.lists(NEEDLE, min_size=1, max_size=4))
    said = st.one_of(
        TEXT,
        st.builds(
            lambda before, needle, form, after: before + form(needle) + after,
            AROUND, st.sampled_from(needles), st.sampled_from(FORMS), AROUND,
        ),
    )  # fmt: skip
    return needles, draw(st.lists(said, min_size=1, max_size=12))


def _events(texts: list[str]) -> None:
    """Store the texts as values, keys, parts and contexts, and in representations."""
    ways: list[Callable[[str], dict[str, object]]] = [
        lambda text: {"row_data": {"name": text}},
        lambda text: {"row_data": {"n": 1}, "changed_from": {"name": {text: 1}}},
        lambda text: {"row_data": None, "context": {"path": ["x", {"y": text}]}},
        lambda text: {"row_data": {"name": json.dumps({"name": text})}},
    ]
    events = AuditLog.objects.bulk_create(
        AuditLog(table_name="t", object_id="1", action="U", **ways[n % len(ways)](text))
        for n, text in enumerate(texts)
    )
    if connection.vendor == "sqlite":  # as triggers write them
        raw = [(json.dumps(e.row_data, ensure_ascii=False), e.pk) for e in events[1::2]]
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE auditrepr_auditlog SET row_data = %s WHERE id = %s", raw)
    InstanceRepr.objects.bulk_create(
        InstanceRepr(audit_log=event, instance_repr=text, fidelity="E")
        for event, text in zip(events, texts, strict=True)
    )


def _by_regular_expressions(columns: tuple[str, ...], needles: Needles) -> Q:
    """What PostgreSQL was asked before there were stretches."""
    condition = ~Q()
    for column in columns:
        for pattern in needles.patterns:
            condition |= Q(IRegex(Cast(column, TextField()), pattern))
    return condition


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [Needles, Words])
@settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    **examples(60, 2000, "SEARCH_EXAMPLES"),
)
@given(found=case())
def test_the_database_finds_all_that_a_look_at_each_value_finds(
    kind: type[Needles], found: tuple[list[str], list[str]]
):
    vendor, needles = get_vendor("default"), kind(found[0])
    with transaction.atomic():
        _events(found[1])
        logged = AuditLog.objects.filter(vendor.naming(COLUMNS, needles.sought))
        said = InstanceRepr.objects.filter(vendor.naming(("instance_repr",), needles.sought))
        got = {row.pk for row in logged}, {row.pk for row in said}
        wanted = (
            {row.pk for row in AuditLog.objects.all()
             if any(needles.within(getattr(row, name)) for name in COLUMNS)},
            {row.pk for row in InstanceRepr.objects.all() if needles.within(row.instance_repr)},
        )  # fmt: skip
        assert wanted[0] <= got[0]
        assert wanted[1] <= got[1]
        if connection.vendor == "postgresql":
            before = AuditLog.objects.filter(_by_regular_expressions(COLUMNS, needles))
            assert {r.pk for r in before} & wanted[0] <= got[0]
        transaction.set_rollback(True)


def test_characters_are_alike_if_a_regular_expression_says_so():
    assert alike("k") == "Kk\u212a"
    assert alike("1") == "1"
    assert {"i", "I", "ı", "İ"} <= set(alike("İ"))
    assert all(c.lower() == c.upper() == c for c in map(chr, range(LAST + 1, sys.maxunicode + 1)))
    assert len(cased()) > 2_000


@given(TEXT, TEXT)
def test_what_is_folded_is_found_whatever_its_case(text: str, other: str):
    folded = Folding([text])
    for said in (other, other + text.swapcase(), text.upper() + other, text):
        if re.search(re.escape(text), said, re.IGNORECASE):
            assert folded(text) in folded(said)


@pytest.mark.proof
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_a_text_is_sought_by_what_json_has_as_it_is(texts: list[str]):
    for text in texts:
        held = json.dumps({"x": f"a {text} b"}, ensure_ascii=False).replace("/", r"\/")
        assert Sought([Stretch.of(text)]).within(held)
        assert Stretch.of(text).text in text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("held", [r"\u0057ilma Berg", r"Wil\u006da"])
def test_a_letter_that_json_writes_as_its_number_is_found(held: str):
    AuditLog.objects.all().delete()
    event = AuditLog.objects.create(table_name="t", object_id="1", action="U", row_data={})
    with connection.cursor() as cursor:
        document = f'{{"name": "{held}"}}'
        cursor.execute(
            "UPDATE auditrepr_auditlog SET row_data = %s WHERE id = %s", [document, event.pk]
        )
    vendor = get_vendor("default")
    sought = Needles(["wilma"]).sought
    assert AuditLog.objects.filter(vendor.naming(COLUMNS, sought)).get() == event
