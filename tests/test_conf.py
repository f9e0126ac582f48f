"""Tests that settings are parsed once, and again when they change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from auditrepr.attribution import AuditContextMiddleware, middleware
from auditrepr.conf import Settings, get_settings
from auditrepr.exceptions import InvalidSetting

pytestmark = pytest.mark.sqlite


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What has been parsed since the test began."""
    given: list[Any] = []
    parse = Settings.parse

    def noting(value: Any) -> Settings:
        given.append(value)
        return parse(value)

    monkeypatch.setattr(Settings, "parse", noting)
    return given


@pytest.fixture
def without_the_fixture() -> Iterator[None]:
    """Settings that the test assigns as a project does, and that it leaves as they were."""
    missing = object()
    before = getattr(django_settings, "AUDITREPR", missing)
    yield
    if before is missing:
        if hasattr(django_settings, "AUDITREPR"):
            del django_settings.AUDITREPR
    else:
        django_settings.AUDITREPR = before


def test_they_are_parsed_once(settings: Any, parsed: list[Any]) -> None:
    settings.AUDITREPR = {"BATCH_SIZE": 7}
    assert [get_settings().BATCH_SIZE for _ in range(3)] == [7] * 3
    assert get_settings() is get_settings()
    assert parsed == [{"BATCH_SIZE": 7}]


def test_they_are_parsed_once_where_the_project_has_none(
    without_the_fixture: None, parsed: list[Any]
) -> None:
    with override_settings():
        if hasattr(django_settings, "AUDITREPR"):
            del django_settings.AUDITREPR
        assert [get_settings().MAX_LENGTH for _ in range(3)] == [10_000] * 3
    assert parsed == [{}]


def test_a_test_may_override_them(settings: Any) -> None:
    settings.AUDITREPR = {"BATCH_SIZE": 7}
    with override_settings(AUDITREPR={"BATCH_SIZE": 8}):
        assert get_settings().BATCH_SIZE == 8
        with override_settings(AUDITREPR={"BATCH_SIZE": 9}):
            assert get_settings().BATCH_SIZE == 9
        assert get_settings().BATCH_SIZE == 8
    assert get_settings().BATCH_SIZE == 7


def test_a_project_may_assign_them_and_send_no_signal(without_the_fixture: None) -> None:
    django_settings.AUDITREPR = {"BATCH_SIZE": 7}
    assert get_settings().BATCH_SIZE == 7
    django_settings.AUDITREPR = {"BATCH_SIZE": 8}
    assert get_settings().BATCH_SIZE == 8


def test_a_key_may_be_changed_in_place(settings: Any) -> None:
    settings.AUDITREPR = {"BATCH_SIZE": 7}
    assert get_settings().BATCH_SIZE == 7
    django_settings.AUDITREPR["BATCH_SIZE"] = 8
    assert get_settings().BATCH_SIZE == 8
    django_settings.AUDITREPR["MAX_LENGTH"] = 50
    assert get_settings().MAX_LENGTH == 50


def test_other_settings_decide_what_is_valid(settings: Any, parsed: list[Any]) -> None:
    settings.AUDITREPR = {"LANGUAGE": "de"}
    assert get_settings().LANGUAGE == "de"
    settings.USE_I18N = False
    assert get_settings().LANGUAGE == "de"
    assert len(parsed) == 2


def test_an_error_is_raised_each_time_and_hides_nothing(settings: Any) -> None:
    settings.AUDITREPR = {"BATCH_SIZE": 7}
    assert get_settings().BATCH_SIZE == 7
    settings.AUDITREPR = {"BATCH_SIZE": "many"}
    for _ in range(2):
        with pytest.raises(InvalidSetting, match="BATCH_SIZE"):
            get_settings()
    settings.AUDITREPR = {"BATCH_SIZE": 9}
    assert get_settings().BATCH_SIZE == 9


def test_a_request_asks_for_them_once_and_parses_nothing(
    settings: Any, parsed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDITREPR = {"CONTEXT": ["path", "request_id"]}
    get_settings()
    parsed.clear()
    asked: list[Settings] = []

    def noting() -> Settings:
        asked.append(get_settings())
        return asked[-1]

    monkeypatch.setattr(middleware, "get_settings", noting)
    answer = AuditContextMiddleware(lambda request: HttpResponse("fine"))
    assert answer(RequestFactory().get("/")).content == b"fine"
    assert (len(asked), parsed) == (1, [])


@pytest.mark.parametrize(
    "value",
    [["ours"], {"ours": ""}, {"ours": "path"}, {"ours": "a..b"}, {"": "a.b"}, {"-x": "a.b"},
     {"a b": "a.b"}, {7: "a.b"}, {"ours": 7}, {"ours": "a b.c"}],
)  # fmt: skip
def test_sources_are_names_with_functions_or_their_paths(value: Any) -> None:
    with pytest.raises(InvalidSetting, match=r'\["SOURCES"\] must be a dictionary such as'):
        Settings.parse({"SOURCES": value})


def test_sources_may_be_functions() -> None:
    sources = {"ours": "shop.old_log.select", "the-other_1.x": str}
    assert sources == Settings.parse({"SOURCES": sources}).SOURCES


@pytest.mark.parametrize(
    "value",
    ["7 years", ["*"], {"*": 7}, {"*": "seven years"}, {"*": "0 days"}, {"*": ""}, {7: "1 day"},
     {"shop.Cart": None}, {"shop.Cart": "1 hour"}],
)  # fmt: skip
def test_retention_is_an_age_for_each_model(value: Any) -> None:
    with pytest.raises(InvalidSetting, match=r'\["RETENTION"\] must be a dictionary such as'):
        Settings.parse({"RETENTION": value})


@pytest.mark.parametrize("name", ["RETENTION", "REPR"])
def test_a_setting_names_each_model_once(name: str) -> None:
    entries = {"shop.Cart": "7 years", "shop.Order": "1 day", "Shop.cart": "1 day"}
    with pytest.raises(InvalidSetting, match=r"once, .* not 'shop\.Cart, Shop\.cart'"):
        Settings.parse({name: entries})


def test_retention_is_parsed() -> None:
    ages = Settings.parse({"RETENTION": {"shop.Cart": "90 days", "*": "7 years"}}).RETENTION
    assert {entry: str(age) for entry, age in ages.items()} == {
        "shop.Cart": "90 days",
        "*": "7 years",
    }


@pytest.mark.parametrize(
    "value",
    ["audit.lock", "./audit.lock", "../audit.lock", Path("audit.lock"), "/", "~nobody-here/lock",
     "/a\0b", 5, 0, False, [], b"/run/lock"],
)  # fmt: skip
def test_the_lock_file_is_the_same_in_every_working_directory(value: Any) -> None:
    with pytest.raises(InvalidSetting, match=r'\["LOCK_FILE"\] must be an absolute file path'):
        Settings.parse({"LOCK_FILE": value})


def test_it_may_be_in_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/shop")
    given = ("~/audit.lock", Path("~/audit.lock"), Path("/run/lock"), "", None)
    there = [Settings.parse({"LOCK_FILE": value}).LOCK_FILE for value in given]
    assert there == [*[Path("/home/shop/audit.lock")] * 2, Path("/run/lock"), None, None]


@pytest.mark.parametrize("value", [0, False, [], {}, 5, b"UTC", "Mars/Base"], ids=repr)
def test_only_none_and_an_empty_name_are_no_time_zone(value: Any) -> None:
    with pytest.raises(InvalidSetting, match=r'\["TIME_ZONE"\] must be a time zone name'):
        Settings.parse({"TIME_ZONE": value})
    assert Settings.parse({"TIME_ZONE": ""}).TIME_ZONE is None


@pytest.mark.parametrize("value", [1e-300, 0.0009, 0, -1, 86_401, math.nan, math.inf, True, "1"])
def test_the_time_of_a_row_is_one_that_an_alarm_can_have(value: Any) -> None:
    with pytest.raises(InvalidSetting, match=r'\["ROW_SECONDS"\] must be a number of seconds'):
        Settings.parse({"ROW_SECONDS": value})
    assert Settings.parse({"ROW_SECONDS": 0.001}).ROW_SECONDS == 0.001
