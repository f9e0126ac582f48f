"""Each question that the log answers, asked in a real browser as somebody asks it who is new here.

From the admin's first page an answer takes at most three clicks, typing excepted. Each page on the
way is looked at in three widths, light and dark; ``TEST_SCREENSHOTS`` keeps the pictures.
"""

from __future__ import annotations

import csv
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import Browser, Page, Walk, address, browser, done, expect, login, look
from tests.demonstration import Demo, databases

__all__ = ["address", "browser", "databases", "done", "look"]
pytestmark = [pytest.mark.proof, pytest.mark.each_database]


@pytest.fixture(params=["light", "dark"])
def walk(browser: Browser, address: str, look: Any, request: pytest.FixtureRequest) -> Any:
    """The demo's visitor, on the admin's first page."""
    for page in login(browser, address, "visitor", request.param):
        yield Walk(page, look)


def test_who_renamed_turkey_found_by_its_old_name(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Text", "turkey")
    row = walk.row("name: Turkey → Türkiye")
    expect(row).to_contain_text("ada")
    expect(row).to_contain_text("new name since 2022")
    walk.answered("q-renamed")
    walk.link("Türkiye", row)
    expect(walk.page.get_by_role("heading", name="History of Country")).to_be_visible()
    expect(walk.row("name: Turkey → Türkiye")).to_contain_text("new name since 2022")
    walk.answered("q-renamed-history")


def test_what_sofia_did_today(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Part of a name", "sof")
    side = walk.page.locator("#changelist-filter")
    walk.link("sofia", side)
    walk.link("Today", side)
    rows = walk.page.locator("#result_list tbody tr")
    expect(rows.first).to_contain_text("European Union: members - United Kingdom")
    expect(rows.filter(has_not_text="sofia")).to_have_count(0)
    walk.answered("q-person")


def test_what_sofia_did_from_her_own_page(walk: Walk) -> None:
    walk.link("Users")
    walk.link("sofia")
    walk.link("What this user did")
    expect(walk.row("withdrawal agreement")).to_contain_text("- United Kingdom")
    walk.answered("q-user-did")


def test_who_made_sofia_an_administrator(walk: Walk) -> None:
    walk.link("Users")
    walk.link("sofia")
    walk.link("History")
    row = walk.row("superuser status: no → yes")
    expect(row).to_contain_text("ada")
    expect(row).to_contain_text("stands in for Ada in July")
    walk.answered("q-administrator")


def test_what_happened_to_a_deleted_organization_and_its_members(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Text", "western european")
    row = walk.row("deleted").filter(has_text="Organization").first
    expect(row).to_contain_text("Treaty of Brussels ended")
    walk.link(
        "Western European Union",
        walk.page.get_by_role("row")
        .filter(has_text=re.compile(r"deleted.*Organization \d", re.DOTALL))
        .first,
    )
    expect(walk.row("deleted").last).to_be_visible()
    expect(walk.row("members: - ")).to_contain_text("- France")
    walk.answered("q-deleted")


def test_which_countries_and_organizations_had_to_do_with_each_other(walk: Walk) -> None:
    walk.link("Countries")
    walk.page.locator("#searchbar").fill("united kingdom")
    walk.page.locator("#searchbar").press("Enter")
    walk.link("United Kingdom")
    walk.link("History")
    expect(walk.row("Treaty of Maastricht")).to_contain_text("members: + United Kingdom")
    expect(walk.row("withdrawal agreement")).to_contain_text("members: - United Kingdom")
    walk.answered("q-pairs")


def test_all_of_one_request(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Text", "members + Estonia")
    walk.link(re.compile(r"^\d{4}-"), walk.row("+ Estonia"))
    walk.look("q-event")
    walk.link(re.compile(r"^[0-9a-f]{12}$"))
    (row,) = walk.page.locator("#result_list tbody tr").all()  # ten events, in one line
    expect(row).to_contain_text("Treaty of Athens")
    expect(row).to_contain_text("+ Estonia")
    expect(row).to_contain_text("+ Slovenia")
    walk.answered("q-request")


def test_what_a_country_was_before(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Text", "zaire")
    walk.link(re.compile(r"^\d{4}-"), walk.row("name: Zaire"))
    walk.link("The whole object as of this event")
    expect(walk.row("Former code")).to_contain_text("ZRCD")
    walk.answered("q-as-of")
    walk.link("Object history")
    walk.page.get_by_label("As of").fill("2001-03-01T12:00:00")
    walk.page.get_by_role("button", name="Show the object").click()
    expect(walk.page.get_by_text("did not exist yet")).to_be_visible()
    walk.look("q-as-of-early")


def test_what_france_was_called_before_a_time(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Text", "République")
    walk.link("France", walk.row("official spelling"))
    when = walk.row("official spelling").get_by_role("link").first.text_content() or ""
    before = datetime.fromisoformat(when.strip()) - timedelta(seconds=1)
    walk.type("As of", f"{before:%Y-%m-%dT%H:%M:%S}")
    expect(walk.row("Official name")).to_contain_text("French Republic")
    expect(walk.page.get_by_text("exact: built only from data as of this moment")).to_be_visible()
    walk.answered("q-as-of-time")


REGIONS = {"light": "Basse-Normandie", "dark": "Haute-Normandie"}


def test_puts_a_deleted_region_back(walk: Walk, request: pytest.FixtureRequest) -> None:
    region = next(name for key, name in REGIONS.items() if key in request.node.name)
    walk.link("Audit events")
    walk.type("Text", region)
    walk.link(re.compile(r"^\d{4}-"), walk.row("deleted"))
    walk.link("Put back the deleted object")
    expect(walk.row("Name")).to_contain_text(region)
    walk.answered("q-put-back")
    walk.page.get_by_role("button", name="Put back").click()
    expect(walk.page.get_by_text("Put back: Subdivision")).to_be_visible()
    expect(walk.page.get_by_role("textbox", name="Name")).to_have_value(region)
    walk.link("History")
    expect(walk.row("restored from event")).to_contain_text("visitor")
    walk.look("q-put-back-history")


def test_an_organization_that_is_put_back_is_without_its_members_which_the_page_says(
    walk: Walk,
) -> None:
    walk.link("Audit events")
    walk.type("Text", "western european")
    row = walk.page.get_by_role("row").filter(
        has_text=re.compile(r"deleted.*Organization \d", re.DOTALL)
    )
    walk.link(re.compile(r"^\d{4}-"), row.first)
    walk.link("Put back the deleted object")
    expect(walk.page.get_by_text(re.compile("members", re.IGNORECASE)).first).to_be_visible()
    walk.answered("q-put-back-members")


def test_takes_a_persons_events_away_and_opens_them(walk: Walk, tmp_path: Path) -> None:
    walk.link("Users")
    walk.link("luc")
    walk.link("What this user did")
    with walk.page.expect_download() as download:
        walk.page.get_by_role("link", name="Export as CSV").click()
    download.value.save_as(tmp_path / "luc.csv")
    with (tmp_path / "luc.csv").open(encoding="utf-8-sig", newline="") as file:
        *rows, end = csv.DictReader(file)
    assert {row["changed_by"] for row in rows} == {"luc"}
    assert {row["reason"] for row in rows} == {"French law 2015-29"}
    assert "Picardie, France" in {row["representation"] for row in rows}
    assert end["id"] == "end"
    walk.answered("q-export")


ANSWERS = {
    "Who renamed Turkey?": "ada new name since 2022 changed Türkiye name: Turkey → Türkiye",
    "What did Sofia do?": "sofia Treaty of Brussels ended deleted Organization 1",
    "In one request?": "Western European Union: members - France",
    "What was deleted?": "luc French law 2015-29 deleted Picardie, France",
    "Before that?": "exact: built only from data as of this moment",
    "Back again?": "Change subdivision Picardie, France",
    "Who promoted Sofia?": "ada stands in for Ada in July changed sofia superuser status: no → yes",
    "And you?": "visitor changed Shqipëria (not stored yet) common name: (empty) → Shqipëria",
}


def test_what_the_demo_says_to_try_works_to_the_letter(
    browser: Browser, address: str, done: tuple[Demo, str], look: Any
) -> None:
    to_try = done[1].partition("What to try there:")[2].partition("The same on")[0]
    joined = re.sub(r"\n {28}(?=\w)", " ", to_try)
    questions = re.findall(r"^ {4,6}(\S.*?\?) {2,}(.*)$", joined, re.MULTILINE)
    assert [question for question, _ in questions] == [*ANSWERS]
    for page in login(browser, address, "visitor"):
        for question, steps in questions:
            if not steps.startswith("there "):
                page.goto("/admin/auditrepr/auditlog/")
            for step in steps.removeprefix("there ").split("; "):
                _take(page, step)
            page.wait_for_load_state()
            text = " ".join(page.locator("#container").inner_text().split())
            assert ANSWERS[question] in text, (question, text)
            if "/admin/auditrepr/" in page.url:  # one of ours
                look(page, f"q-try-{[*ANSWERS].index(question)}")


def _take(page: Page, step: str) -> None:
    """Do what one step of the demo's list says, and nothing else."""
    verb, what = step.split(" ", 1)
    content = page.locator("#content")
    if verb == "type":
        text, label = what.split(" under ")
        field = page.get_by_label(re.compile(f"^{label}:?$"))
        field.fill(text)
        if label != "Common name":  # of a form with several buttons
            field.press("Enter")
    elif verb == "press":
        page.get_by_role("button", name=what, exact=True).click()
    elif row := what.removeprefix("the time of ") if what.startswith("the time of ") else "":
        content.get_by_role("row").filter(has_text=row).get_by_role("link").first.click()
    elif what == "its request ID":
        content.get_by_role("link", name=re.compile(r"^[0-9a-f]{12}$")).click()
    else:
        link = content.get_by_role("link", name=what, exact=True)
        (link if link.count() else page.get_by_role("link", name=what, exact=True)).first.click()
