"""Tests errors in one line, and text that every database can store."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from auditrepr.utils.text import can_be_stored, clean, one_line, storable


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("what\n  DETAIL:  why\n"), "what DETAIL: why"),
        (ValueError(), "ValueError"),
        (KeyError(" \n"), r"' \n'"),
        (RuntimeError(" \n"), "RuntimeError"),
    ],
)
def test_an_error_is_one_line_and_never_an_empty_one(error: Exception, line: str) -> None:
    assert one_line(error) == line


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\N{SNOWMAN}", "plain\n\N{SNOWMAN}"),
        ("a\0b", "a\N{SYMBOL FOR NULL}b"),
        ("\ud800", "\\ud800"),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_what_no_database_stores_is_made_visible(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert can_be_stored(text) is (text == shown)
    assert storable(text, 100)[0] == shown


@pytest.mark.django_db
def test_every_database_finds_what_it_is_said_to_store() -> None:
    from tests.app.models import Author

    for text in ("a\0b\ud800", "it's 100%\\", "\x01\x7f"):
        Author.objects.create(name=clean(text))
        assert Author.objects.get(name=clean(text)).name == clean(text)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "command",
    [
        ("audit_triggers", "check"),
        ("backfill_status",),
        ("prune_audit_log", "--before", "2026-01-01"),
    ],
)
def test_a_database_that_the_settings_do_not_know_is_named(command: tuple[str, ...]) -> None:
    with pytest.raises(
        CommandError, match=r'Unknown database "nowhere"\. DATABASES defines: default'
    ):
        call_command(*command, database="nowhere")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("option", "value"), [("batch_size", None), ("batch_size", 0), ("wait", "soon")]
)
def test_an_option_that_python_passes_is_checked_as_the_parser_would(
    option: str, value: object
) -> None:
    with pytest.raises(CommandError, match=r"^argument --") as raised:
        call_command("prune_audit_log", before="2026-01-01", **{option: value})
    assert raised.value.returncode == 2
