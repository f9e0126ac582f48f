"""The same questions as on the demo, in a shop of its own: customers, orders, lines and tags."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import Browser, Walk, browser, expect, login, look, serving
from tests.demonstration import databases
from tests.selling import AuditedShop

__all__ = ["browser", "databases", "look"]
pytestmark = [pytest.mark.proof, pytest.mark.each_database]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, databases: Any) -> Iterator[str]:
    """Where the shop's server listens."""
    shop = AuditedShop(tmp_path_factory.mktemp("shop"), databases())
    with serving(shop.folder, {}) as address:
        yield address


@pytest.fixture(params=["light", "dark"])
def walk(browser: Browser, address: str, look: Any, request: pytest.FixtureRequest) -> Any:
    """Ann, who keeps the shop, on the admin's first page."""
    for page in login(browser, address, "ann", request.param):
        yield Walk(page, look)


def test_who_renamed_this_customer_found_by_the_old_name(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Text", "dupont")
    row = walk.row("name: Chloé Dupont → Chloé Martin")
    expect(row).to_contain_text("bob")
    expect(row).to_contain_text("married")
    walk.answered("s-renamed")


def test_what_bob_did_yesterday(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Part of a name", "bo")
    side = walk.page.locator("#changelist-filter")
    walk.link("bob", side)
    walk.link("Yesterday", side)
    rows = walk.page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Chloé Dupont → Chloé Martin")
    walk.answered("s-person")


def test_who_made_bob_an_administrator(walk: Walk) -> None:
    walk.link("Users")
    walk.link("bob")
    walk.link("History")
    row = walk.row("superuser status: no → yes")
    expect(row).to_contain_text("ann")
    expect(row).to_contain_text("stands in for me")
    walk.answered("s-administrator")


def test_what_happened_to_a_deleted_order_and_its_lines(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Text", "A-7")
    row = walk.page.get_by_role("row").filter(has_text=re.compile(r"deleted.*Order \d", re.DOTALL))
    walk.link("A-7 of Chloé Martin", row.first)
    order = walk.row(re.compile(r"deleted.*A-7 of Chloé Martin", re.DOTALL))
    expect(order).to_contain_text("sent twice")
    for line in ("1 × teapot", "6 × cup"):
        expect(walk.row(re.compile(f"deleted.*{line}", re.DOTALL))).to_contain_text("bob")
        expect(walk.row(re.compile(f"added.*{line}", re.DOTALL))).to_contain_text("ann")
    walk.answered("s-order")


def test_this_order_on_a_day_in_the_past(walk: Walk) -> None:
    walk.link("Orders")
    walk.link("A-8 of Dan Okafor")
    walk.link("History")
    when = walk.row("status: new → sent").get_by_role("link").first.text_content() or ""
    before = datetime.fromisoformat(when.strip()) - timedelta(hours=12)
    walk.type("As of", f"{before:%Y-%m-%dT%H:%M:%S}")
    expect(walk.row("Status")).to_contain_text("new")
    expect(walk.page.get_by_text("exact: built only from data as of this moment")).to_be_visible()
    walk.answered("s-as-of")


def test_all_of_one_request(walk: Walk) -> None:
    walk.link("Audit events")
    walk.type("Text", "A-8")
    walk.link(re.compile(r"^\d{4}-"), walk.row("status: new → sent"))
    walk.link("b2b2b2b2b2b2")
    rows = walk.page.locator("#result_list tbody tr")
    expect(rows).to_have_count(5)  # an order and its two lines are deleted, others are changed
    expect(rows.filter(has_text="quantity: 6 → 5")).to_have_count(1)
    expect(rows.filter(has_text="deleted")).to_have_count(3)
    walk.answered("s-request")


def test_who_gave_a_customer_these_tags(walk: Walk) -> None:
    walk.link("Customers")
    walk.link("Chloé Martin")
    walk.link("History")
    row = walk.row("pays at once")
    expect(row).to_contain_text("ann")
    expect(row).to_contain_text(
        re.compile(r"tags: \+\svip, \+\slate payer|\+\slate payer, \+\svip")
    )
    walk.answered("s-tags")


def test_puts_a_deleted_customer_back(walk: Walk, request: pytest.FixtureRequest) -> None:
    name = "Eve Adler" if "light" in request.node.name else "Finn Berg"
    walk.link("Audit events")
    walk.type("Text", name)
    walk.link(re.compile(r"^\d{4}-"), walk.row(re.compile(f"deleted.*{name}", re.DOTALL)))
    walk.link("Put back the deleted object")
    expect(walk.row("Email")).to_contain_text("gone@example.org")
    walk.answered("s-put-back")
    walk.page.get_by_role("button", name="Put back").click()
    expect(walk.page.get_by_role("textbox", name="Name")).to_have_value(name)
    walk.link("History")
    expect(walk.row("restored from event")).to_contain_text("ann")


def test_puts_one_field_back_and_leaves_the_other(
    walk: Walk, request: pytest.FixtureRequest
) -> None:
    name = "Gus Ito" if "light" in request.node.name else "Hal Jones"
    walk.link("Audit events")
    walk.type("Text", name)
    walk.link(re.compile(r"^\d{4}-"), walk.row(f"name: {name} → {name.upper()}"))
    walk.link("Put back as it was before this event")
    walk.answered("s-one-field")
    walk.page.get_by_role("checkbox", name="Email").focus()
    walk.page.keyboard.press("Space")
    walk.page.get_by_role("button", name="Preview the chosen fields").click()
    expect(walk.page.get_by_role("checkbox", name="Email")).not_to_be_checked()
    expect(walk.page.get_by_role("checkbox", name="Name")).to_be_checked()
    walk.look("s-one-field-preview")
    walk.page.get_by_role("button", name="Put back", exact=True).click()
    expect(walk.page.get_by_role("textbox", name="Name")).to_have_value(name)
    expect(walk.page.get_by_role("textbox", name="Email")).to_have_value("new@example.org")
    walk.link("History")
    expect(walk.row("restored name from before event")).to_contain_text("ann")


def test_takes_the_result_away_as_csv_and_opens_it(walk: Walk, tmp_path: Path) -> None:
    walk.link("Audit events")
    walk.type("Text", "teapot")
    with walk.page.expect_download() as download:
        walk.page.get_by_role("link", name="Export as CSV").click()
    download.value.save_as(tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(encoding="utf-8-sig", newline="") as file:
        *rows, end = csv.DictReader(file)
    assert [(row["action"], row["representation"]) for row in rows] == [
        ("added", "1 × teapot"),
        ("added", "1 × teapot"),
        ("deleted", "1 × teapot"),
    ]
    assert end["id"] == "end"
    walk.answered("s-export")
