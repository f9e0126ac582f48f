"""A new reader walks through the demo in a real browser; ``TEST_SCREENSHOTS`` keeps what they saw.

``TEST_SCREENSHOTS=docs pytest tests/admin/test_browser.py`` makes the README's picture.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import (
    BEYOND,
    LONG_NAME,
    SCROLLED,
    Browser,
    Page,
    address,
    browser,
    done,
    expect,
    login,
    look,
)
from tests.demonstration import Demo, databases

# What pages look like does not depend on the database: this runs on SQLite alone.
pytestmark = pytest.mark.proof

__all__ = ["address", "browser", "databases", "done", "look"]

LOG = "/admin/auditrepr/auditlog/"
JOB = "/admin/auditrepr/backfillrun/"


@pytest.fixture(params=["light", "dark"])
def reader(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The demo's visitor, in both of the admin's colors."""
    yield from login(browser, address, "visitor", request.param)


@pytest.fixture
def guest(browser: Browser, address: str) -> Iterator[Page]:
    """Somebody who may log in, and nothing else."""
    yield from login(browser, address, "guest")


@pytest.fixture
def linguist(browser: Browser, address: str) -> Iterator[Page]:
    """Somebody who may see what happened to languages."""
    yield from login(browser, address, "linguist")


def test_finds_what_renamed_a_country_and_sees_before_and_after(reader: Page, look: Any) -> None:
    reader.get_by_role("link", name="Audit events", exact=True).last.click()
    side = reader.locator("#changelist-filter")
    side.get_by_role("link", name="Country", exact=True).click()
    side.get_by_role("link", name="changed", exact=True).click()
    row = reader.get_by_role("row").filter(has_text="Swaziland → Eswatini")
    expect(row).to_contain_text("Country")
    look(reader, "log")
    row.get_by_role("link").first.click()
    name = reader.get_by_role("row").filter(
        has=reader.get_by_role("rowheader", name="Name", exact=True)
    )
    expect(name.first).to_contain_text(re.compile("Swaziland.*Eswatini", re.DOTALL))
    expect(reader.get_by_role("rowheader", name="Two-letter code")).to_be_hidden()
    reader.get_by_text("Unchanged fields").focus()
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("rowheader", name="Two-letter code")).to_be_visible()
    look(reader, "event")


def test_finds_who_renamed_a_country(reader: Page) -> None:
    reader.goto("/admin/gazetteer/country/?q=Fiji")
    reader.get_by_role("link", name="Fiji").click()
    name = f"Viti {time.monotonic_ns()}"  # each reader renames it anew
    reader.get_by_label("Common name").fill(name)
    reader.get_by_role("button", name="Save", exact=True).click()
    reader.goto(LOG)
    row = reader.get_by_role("row").filter(has_text=f"→ {name}")
    expect(row).to_contain_text("visitor")
    row.get_by_role("link").first.click()
    reader.get_by_role("link", name="Other events by this actor").click()
    expect(reader.get_by_role("row").filter(has_text=name).first).to_contain_text("visitor")


def test_foreign_keys_go_by_names(reader: Page) -> None:
    reader.goto(f"{LOG}?table_name=gazetteer_subdivision&action__exact=U")
    row = reader.get_by_role("row").filter(has_text="Pas-de-Calais, Hauts-de-France")
    expect(row).to_contain_text("parent: Nord-Pas-de-Calais, France → Hauts-de-France, France")


def test_follows_an_object_past_its_deletion(reader: Page, look: Any) -> None:
    reader.goto(LOG)
    side = reader.locator("#changelist-filter")
    side.get_by_role("link", name="Subdivision").click()
    side.get_by_role("link", name="deleted", exact=True).click()
    reader.get_by_role("row").filter(has_text="Picardie").get_by_role("link").first.click()
    expect(reader.get_by_role("link", name="Current object")).to_be_hidden()
    reader.get_by_role("link", name="Object history").click()
    actions = reader.locator("#content-main tbody tr td:nth-child(3)")
    expect(actions.first).to_have_text("added")
    expect(actions.last).to_have_text("deleted")
    look(reader, "timeline")


def test_the_history_button_of_an_object_leads_to_its_events(reader: Page) -> None:
    reader.goto("/admin/gazetteer/country/?q=Eswatini")
    reader.get_by_role("link", name="Eswatini").click()
    reader.get_by_role("link", name="History").click()
    expect(reader.get_by_role("heading", name="History of Country")).to_be_visible()
    expect(reader.locator("#content-main")).to_contain_text("name: Swaziland → Eswatini")


def test_takes_away_what_the_list_and_a_history_show(
    reader: Page, look: Any, tmp_path: Path
) -> None:
    reader.goto(f"{LOG}?table_name=gazetteer_country&action__exact=U")
    shown = reader.locator("#result_list tbody tr").count()
    look(reader, "export-list")
    with reader.expect_download() as download:
        reader.get_by_role("link", name="Export as CSV").click()
    assert re.fullmatch(r"audit-log-[\d-]{10}\.csv", download.value.suggested_filename)
    download.value.save_as(tmp_path / "log.csv")
    with (tmp_path / "log.csv").open(encoding="utf-8-sig", newline="") as file:
        *rows, last = csv.DictReader(file)
    assert len(rows) >= shown > 0
    assert {row["action"] for row in rows} == {"changed"}
    assert any('"old": "Swaziland", "new": "Eswatini"' in row["changes"] for row in rows)
    assert (last["id"], last["time"]) == ("end", "complete")
    reader.get_by_role("row").filter(has_text="Eswatini").get_by_role("link").first.click()
    reader.get_by_role("link", name="Object history").click()
    look(reader, "export-history")
    with reader.expect_download() as download:
        reader.get_by_role("link", name="Export as JSON Lines").click()
    assert download.value.suggested_filename.startswith("object-history-")


def test_the_job_page_shows_what_was_done_and_what_is_left(reader: Page, look: Any) -> None:
    reader.goto("/admin/")
    reader.get_by_role("link", name="Runs", exact=True).last.click()
    expect(reader.get_by_role("heading", name="Backfill status")).to_be_visible()
    expect(reader.get_by_role("row", name="Pending events")).to_be_visible()
    expect(
        reader.get_by_role("img", name="Representations stored per minute, last 24 hours")
    ).to_be_visible()
    reader.get_by_text("Show as table", exact=True).click()
    expect(reader.get_by_role("columnheader", name="Hour starting at")).to_be_visible()
    look(reader, "job")


def test_the_job_page_leads_to_an_erasure_that_is_to_be_continued(
    reader: Page, done: tuple[Demo, str], look: Any
) -> None:
    begin = "import auditrepr.models as m; m.Erasure.objects.all().delete(); m.Erasure.objects"
    begin += ".create(subject='object', table_name='gazetteer_country', by='ann@office', events=3)"
    assert done[0].run("shell", "-v0", "-c", begin).returncode == 0
    reader.goto(JOB)
    expect(reader.get_by_role("row", name="Erasure unfinished for")).to_be_visible()
    reader.get_by_role("link", name="Show all erasures").click()
    expect(reader.get_by_role("row", name="unfinished")).to_contain_text("ann@office")
    look(reader, "erasures")
    reader.get_by_role("row", name="unfinished").get_by_role("link").first.click()
    expect(reader.get_by_text("erase_from_audit_log --object gazetteer.Country:PK")).to_be_visible()
    look(reader, "erasure")


def test_searches_a_representation(reader: Page, look: Any) -> None:
    reader.goto(LOG)
    reader.get_by_label("Text", exact=True).fill("pas-de-CAL")
    reader.get_by_role("button", name="Search").click()
    rows = reader.locator("#result_list tbody tr")
    expect(rows.first).to_contain_text("Pas-de-Calais")
    expect(rows.filter(has_not_text="Pas-de-Calais")).to_have_count(0)
    expect(reader.get_by_label("Text", exact=True)).to_have_value("pas-de-CAL")
    look(reader, "search")
    reader.locator("#changelist-filter").get_by_role("link", name="changed", exact=True).click()
    expect(rows.filter(has_text="Nord-Pas-de-Calais, France → Hauts")).not_to_have_count(0)
    expect(rows.filter(has_not_text="Pas-de-Calais")).to_have_count(0)


def test_finds_a_country_by_its_old_name(reader: Page, look: Any) -> None:
    reader.goto(LOG)
    reader.get_by_label("Text", exact=True).fill("turkey")
    reader.get_by_label("Text", exact=True).press("Enter")
    row = reader.get_by_role("row").filter(has_text="name: Turkey → Türkiye")
    expect(row).to_contain_text("Country")
    row.get_by_role("link", name="Türkiye").click()
    expect(reader.get_by_role("heading", name="History of Country")).to_be_visible()


def test_what_did_this_person_do_today(reader: Page, look: Any) -> None:
    reader.goto(LOG)
    reader.get_by_label("Part of a name").fill("AN")
    reader.get_by_label("Part of a name").press("Enter")
    side = reader.locator("#changelist-filter")
    side.get_by_role("link", name="ann", exact=True).click()
    side.get_by_role("link", name="Today", exact=True).click()
    rows = reader.locator("#result_list tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("official spelling")
    look(reader, "person")
    rows.first.get_by_role("link", name=re.compile(r"^\d{4}-")).click()
    reader.get_by_role("link", name="8f2c1d").click()
    expect(reader.locator("#result_list tbody tr")).to_have_count(2)
    look(reader, "request")


@pytest.mark.parametrize("width", [1440, 1280, 390])
def test_the_list_is_read_without_scrolling_sideways(reader: Page, look: Any, width: int) -> None:
    reader.set_viewport_size({"width": width, "height": 900})
    for name, query in [("list", ""), ("none", "?text=nowhere"), ("who", "?who=an")]:
        reader.goto(LOG + query)
        assert reader.evaluate(BEYOND) == []
        assert reader.evaluate(SCROLLED) == []
        look(reader, f"{name}-{width}")
    assert reader.evaluate(BROKEN) == []


def test_a_representation_that_tries_to_run_is_only_text(reader: Page, look: Any) -> None:
    reader.goto(f"{LOG}?table_name=gazetteer_country")
    row = reader.get_by_role("row").filter(has_text="<img src=x onerror=")
    expect(row).to_contain_text("not stored yet")
    row.get_by_role("link").first.click()
    expect(reader.get_by_role("heading", name="<img src=x")).to_be_visible()
    reader.get_by_text("Raw data").click()
    look(reader, "injection")
    reader.get_by_role("link", name="Object history").click()
    expect(reader.get_by_role("cell", name="<img src=x")).to_be_visible()
    assert reader.evaluate("typeof takenOver") == "undefined"


def test_a_long_word_pushes_nothing_out_of_a_narrow_window(reader: Page) -> None:
    reader.goto(f"{LOG}?table_name=gazetteer_language&action__exact=U&text=longlong")
    reader.get_by_role("link", name=re.compile(r"^\d{4}-")).first.click()
    expect(reader.get_by_role("heading", name=LONG_NAME[:12])).to_be_visible()
    for link in (None, "Object history"):
        if link:
            reader.get_by_role("link", name=link).click()
        for width in (1440, 600, 360, 600):
            reader.set_viewport_size({"width": width, "height": 800})
            assert reader.evaluate(BEYOND) == [], (reader.url, width)


#: Words of the list, of usual length, that are on two lines.
BROKEN = """
[...document.querySelectorAll("#result_list bdi, #result_list th, #result_list td")]
    .flatMap(one => [...one.childNodes].filter(node => node.nodeType === Node.TEXT_NODE))
    .flatMap(node => [...node.data.matchAll(/[\\p{L}\\d]{2,20}(?![\\p{L}\\d])/gu)].map(found => {
        const range = document.createRange();
        range.setStart(node, found.index);
        range.setEnd(node, found.index + found[0].length);
        const tops = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
        return tops.size > 1 && !node.data.includes("longlong") ? found[0] : null;
    })).filter(Boolean)
"""


def press(page: Page, key: str, until: str) -> None:
    """Press the key until what has the focus is called so."""
    for _ in range(200):
        page.keyboard.press(key)
        if (
            until
            in page.evaluate(
                "document.activeElement.textContent || document.activeElement.value || ''"
            ).strip()
        ):
            return
    raise AssertionError(f"{key} does not reach {until!r}")


def test_a_reader_needs_no_mouse(reader: Page) -> None:
    reader.goto(f"{LOG}?action__exact=U")
    press(reader, "Tab", until="Country")
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile("table_name=gazetteer_country"))
    press(reader, "Tab", until=f"{date.today().year}-")
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile(r"/auditlog/\d+/change/"))
    press(reader, "Tab", until="Unchanged fields")
    folded = reader.locator("details").first
    assert folded.get_attribute("open") is None
    reader.keyboard.press("Enter")
    expect(folded).to_have_attribute("open", "")
    press(reader, "Tab", until="Object history")
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile("/object/"))
    reader.goto(JOB)
    press(reader, "Tab", until="Show as table")
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("columnheader", name="Hour starting at")).to_be_visible()


def test_a_period_is_chosen_by_the_keyboard(reader: Page) -> None:
    reader.goto(LOG)
    reader.get_by_label("to", exact=True).fill("2001-01-01")
    reader.get_by_label("to", exact=True).press("Enter")
    expect(reader).to_have_url(re.compile("until=2001-01-01"))
    expect(reader.get_by_text("No results.")).to_be_visible()


def test_who_may_view_nothing_sees_nothing(guest: Page) -> None:
    for url in (LOG, f"{LOG}1/change/", f"{LOG}object/?table_name=x&object_id=1", JOB):
        answer = guest.goto(url)
        assert answer
        assert answer.status == 403


def test_who_may_view_one_model_sees_its_events_alone(linguist: Page) -> None:
    linguist.goto(LOG)
    expect(linguist.locator("#changelist-filter")).to_contain_text("Language")
    expect(linguist.locator("#changelist-filter")).not_to_contain_text("Country")
    expect(linguist.locator("#result_list tbody tr").first).to_contain_text("Language")
    expect(linguist.locator("#result_list")).not_to_contain_text("Country")


@pytest.fixture
def widths(look: Any) -> Any:
    """Takes a picture in each width, in which the page does not scroll sideways."""

    def at_each_width(page: Page, name: str) -> None:
        for width in (1440, 1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            look(page, f"{name}-{width}")
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{name} is {wide} px too wide at {width}"

    return at_each_width


def test_compares_a_country_with_what_it_was(reader: Page, widths: Any) -> None:
    reader.goto("/admin/gazetteer/country/?q=Eswatini")
    reader.get_by_role("link", name="Eswatini").click()
    reader.get_by_role("link", name="History").click()
    widths(reader, "history")
    event = reader.get_by_role("row").filter(has_text="Swaziland → Eswatini")
    event.get_by_role("link").first.click()
    reader.get_by_role("link", name="The whole object as of this event").click()
    expect(reader.get_by_role("row", name="Name Eswatini")).to_be_visible()
    widths(reader, "as-of")
    reader.get_by_role("link", name="Object history").click()
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 86_400))
    reader.get_by_label("As of").fill(now)
    reader.get_by_label("compared with").fill("2001-01-01T12:00:00")
    reader.get_by_role("button", name="Show the object").press("Enter")
    expect(reader.get_by_text("did not exist yet")).to_be_visible()
    widths(reader, "compared")


def test_puts_a_former_name_back_by_the_keyboard(reader: Page, widths: Any) -> None:
    reader.goto("/admin/gazetteer/country/?q=Tonga")
    reader.get_by_role("link", name="Tonga").click()
    name = reader.get_by_label("Official name")
    former = name.input_value()
    name.fill(f"Tonga {time.monotonic_ns()}")
    reader.get_by_role("button", name="Save and continue editing").click()
    reader.get_by_role("link", name="History").click()
    reader.get_by_role("row").filter(has_text="official name").last.get_by_role(
        "link"
    ).first.click()
    reader.get_by_role("link", name="Put back as it was before this event").focus()
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("row", name="Official name")).to_contain_text(former)
    widths(reader, "put-back")
    reader.get_by_role("button", name="Put back").focus()
    reader.keyboard.press("Enter")
    expect(reader.get_by_text("Put back: Country")).to_be_visible()
    expect(reader.get_by_label("Official name")).to_have_value(former)


def test_puts_a_deleted_subdivision_back(reader: Page, widths: Any) -> None:
    reader.goto(f"{LOG}?table_name=gazetteer_subdivision&action__exact=D")
    reader.get_by_role("row").filter(has_text="Picardie").get_by_role("link").first.click()
    reader.get_by_role("link", name="Put back the deleted object").click()
    if reader.get_by_text("Nothing to put back").is_visible():
        return  # the reader before this one has done it
    widths(reader, "put-back-deleted")
    reader.get_by_role("button", name="Put back").click()
    expect(reader.get_by_text("Put back: Subdivision")).to_be_visible()
    expect(reader.get_by_role("textbox", name="Name")).to_have_value("Picardie")
