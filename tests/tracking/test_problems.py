"""Tests that ``check`` reports all problems of the settings at once."""

from __future__ import annotations

import pytest

from auditrepr.checks import check_settings
from auditrepr.tracking import problems, related
from auditrepr.tracking.decorator import MARKED, Declaration, chosen_repr
from tests import old_log
from tests.app.models import Author, Book


def found() -> list[str]:
    return [str(problem) for problem in problems.problems()]


def function(instance: object) -> str:
    return "text"


NOT_CALLABLE = 5


class Callable:
    def __call__(self, instance: object) -> str:
        return "text"


HERE = __name__


@pytest.mark.parametrize("name", ["app.Author", "APP.author"])
@pytest.mark.parametrize("way", ["save", f"{HERE}.function", function, Callable(), str], ids=str)
def test_what_can_be_called_is_right(settings, way, name):
    settings.AUDITREPR = {"REPR": {name: way}}
    assert found() == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"app.Nobody": "save"}, "app.Nobody"),
        ({"nowhere.Author": "save"}, "nowhere.Author"),
        ({"app.*": "save"}, "app.*"),
        ({"*": "save"}, "'*'"),
        ({"Author": "save"}, "'Author'"),
        ({"app.Author": "svae"}, "'svae'"),
        ({"app.Author": "name"}, "'name'"),
        ({"app.Author": "pk"}, "'pk'"),
        ({"app.Author": ""}, "app.Author"),
        ({"app.Author": "tests.nowhere.function"}, "tests.nowhere"),
        ({"app.Author": f"{HERE}.functoin"}, "functoin"),
        ({"app.Author": f"{HERE}.NOT_CALLABLE"}, "NOT_CALLABLE"),
        ({"app.Author": "tests.raising.function"}, "tests.raising"),
        ({"app.Author": ".."}, "'..'"),
    ],
)
def test_what_cannot_be_used_as_a_representation_is_named(settings, given, named):
    settings.AUDITREPR = {"REPR": given}
    (said,) = found()
    assert named in said
    assert "Traceback" not in said


@pytest.mark.parametrize("way", ["svae", "name", f"{HERE}.function", 5])
def test_what_a_model_says_of_itself_is_checked_likewise(monkeypatch, way):
    monkeypatch.setitem(MARKED, Author, Declaration(repr=way))
    (said,) = found()
    assert "@auditrepr.track(repr=...)" in said
    assert "app.Author" in said


def test_every_problem_is_told_at_once(settings, monkeypatch):
    monkeypatch.setitem(MARKED, Book, Declaration(exclude=("nothing", "id"), repr="lable"))
    settings.AUDITREPR = {
        "MODEL": [],
        "BATCH_SIZE": 0,
        "MODELS": ["app.Nobody", "auditrepr.AuditLog", "-app.Nowhere"],
        "EXCLUDE": {"app.Author": ["nothing", "id"], "app.Neither": ["x"]},
        "REPR": {"app.Author": "svae", "app.Nought": "save"},
        "RETENTION": {"*": "1 day", "app.*": "1 day", "ap.*": "1 day", "app.Order_nothing": "1 day",
                      "app.Book_tags": "1 day", "app.author": "1 day"},
        "RELATED": {"app.Author": ["book_set", "name", "book__title"], "app.None": ["books"]},
        "SOURCES": {"ours": "tests.nowhere.select", "theirs": "tests.old_log.SOURCES"},
    }  # fmt: skip
    ids = sorted(message.id for message in check_settings())
    assert ids == [
        *["auditrepr.E001"] * 2,
        *["auditrepr.E002"] * 7,
        *["auditrepr.E003"] * 2,
        *["auditrepr.E004"] * 2,
        "auditrepr.E005",
        *["auditrepr.E008"] * 2,
        *["auditrepr.E010"] * 3,
        *["auditrepr.E011"] * 2,
    ]


def test_an_entry_applies_however_the_apps_label_is_written(settings):
    settings.AUDITREPR = {"REPR": {"App.AUTHOR": "save"}}
    assert chosen_repr(Author) == "save"


def test_a_correct_project_has_none():
    assert found() == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"app.Nobody": ["lines"]}, 'AUDITREPR["RELATED"] contains \'app.Nobody\''),
        ({"Order": ["lines"]}, 'AUDITREPR["RELATED"] contains \'Order\''),
        ({"app.Author": ["boks"]}, "app.Author has no relation 'boks' that its history can show: "
         "it has books"),
        ({"app.Author": ["name"]}, "no relation 'name'"),
        ({"app.Order": ["order"]}, "no relation 'order'"),
        ({"app.Author": ["books__title"]}, "no relation 'books__title'"),
        ({"app.Author": [""]}, "no relation ''"),
        ({"app.Crossing": ["crossing_set"]}, "by a field other than its primary key"),
    ],
)  # fmt: skip
def test_what_no_history_can_show_is_named(settings, given, said):
    settings.AUDITREPR = {"RELATED": given}
    (problem,) = found()
    assert said in problem


def test_what_an_admin_class_names_is_checked_likewise(monkeypatch):
    monkeypatch.setattr(related, "_declared", set())
    related.declare(Author, ["nothing", "books"])
    (message,) = check_settings()
    assert message.id == "auditrepr.E010"
    assert "app.Author has no relation 'nothing'" in message.msg


@pytest.mark.parametrize(
    ("way", "named"),
    [
        ("tests.nowhere.select", "No module named 'tests.nowhere'"),
        ("tests.old_log.selects", "selects"),
        ("tests.raising.select", "not today"),
        ("tests.old_log.COLUMNS", "cannot be called"),
    ],
)
def test_a_source_that_cannot_be_called_is_named(settings, way, named):
    settings.AUDITREPR = {"SOURCES": {"ours": way}}
    (said,) = found()
    assert f"AUDITREPR[\"SOURCES\"] is '{way}' for 'ours'" in said
    assert named in said


def test_a_source_that_can_be_called_is_right(settings):
    settings.AUDITREPR = {"SOURCES": {"theirs": function, **old_log.SOURCES["SOURCES"]}}
    assert found() == []


SEVERAL = '"app_label.Model", "app_label.*" or "*"'


@pytest.mark.parametrize(
    ("given", "name", "names"),
    [
        ({"MODELS": ["app.Nix"]}, "app.Nix", SEVERAL),
        ({"MODELS": ["app.Nix"]}, "app.Nix", '"-app_label.Model"'),
        ({"MODELS": ["-app.Nix"]}, "-app.Nix", '"-app_label.Model"'),
        ({"MODELS": ["-nix.*"]}, "-nix.*", SEVERAL),
        ({"EXCLUDE": {"app.Nix": ["x"]}}, "app.Nix", f"Use {SEVERAL}."),
        ({"RETENTION": {"app.Nix": "1 day"}}, "app.Nix", f"Use {SEVERAL}."),
        ({"REPR": {"app.*": "save"}}, "app.*", 'Use "app_label.Model".'),
        ({"RELATED": {"app.*": ["books"]}}, "app.*", 'Use "app_label.Model".'),
    ],
)
def test_a_name_that_matches_no_model_is_quoted_with_what_the_setting_takes(
    settings, given, name, names
):
    settings.AUDITREPR = given
    (said,) = found()
    assert f'AUDITREPR["{next(iter(given))}"] contains {name!r}, which' in said
    assert names in said


def test_relations_that_a_history_can_show_are_right(settings):
    settings.AUDITREPR = {
        "RELATED": {"app.Order": ["lines", "invoice", "remarks", "labels"], "app.author": ["books"]}
    }
    assert found() == []
