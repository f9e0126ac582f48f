"""A real browser: a project's server, the reader who logs in, and the walk to an answer."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.demonstration import Demo
from tests.missing import could_not_try
from tests.project import ROOT
from tests.waiting import LONG

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
if not CHROMIUM:
    could_not_try("the admin in a browser", "no Chromium is installed")
try:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
except ModuleNotFoundError as error:
    could_not_try("the admin in a browser", f"{error.name} is not installed")

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OPTIONS += [f"--disable-{name}" for name in ("background-networking", "component-update", "sync")]
#: Tables whose columns do not all fit.
SCROLLED = """
[...document.querySelectorAll("#content .results")]
    .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.className)
"""
#: What of the page a reader would have to scroll sideways for; a table may scroll by itself.
BEYOND = """
[...document.querySelectorAll("#content *:not(.module *)")]
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(one => `${one.tagName} ${one.className}: ${one.textContent.trim().slice(0, 40)}`)
"""
#: Words in tables that are continued in another line; a longer one than this may be.
BROKEN = r"""
[...document.querySelectorAll("#content :is(td, th)")].flatMap(cell => {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    const found = [];
    while (texts.nextNode()) {
        for (const word of texts.currentNode.data.matchAll(/[\p{L}\p{N}@._+:]+/gu)) {
            range.setStart(texts.currentNode, word.index);
            range.setEnd(texts.currentNode, word.index + word[0].length);
            const lines = new Set([...range.getClientRects()].map(one => Math.round(one.top)));
            if (word[0].length <= 20 && lines.size > 1) found.push(word[0]);
        }
    }
    return found;
})
"""

#: Milliseconds: no answer takes so long, however busy the machine is.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

WIDTHS = (1440, 1280, 390)
CLICKS = 3


class Walk:
    """Goes from page to page, counts the clicks, and looks at each page."""

    def __init__(self, page: Page, look: Any) -> None:
        self.page = page
        self.clicks = 0
        self._look = look
        page.goto("/admin/")
        page.goto = self._refuse  # type: ignore[method-assign]

    @staticmethod
    def _refuse(*_: object) -> None:
        raise AssertionError("An answer takes clicks, and no address.")

    def link(self, name: str | re.Pattern[str], within: Locator | None = None) -> None:
        """Follow the link of this name."""
        exact = isinstance(name, str)
        self.click((within or self.page).get_by_role("link", name=name, exact=exact).last)

    def click(self, what: Locator) -> None:
        what.click()
        self.clicks += 1

    def type(self, label: str, text: str) -> None:
        field = self.page.get_by_label(label, exact=True)
        field.fill(text)
        field.press("Enter")

    def row(self, text: str | re.Pattern[str]) -> Locator:
        return self.page.locator("#content").get_by_role("row").filter(has_text=text).first

    def look(self, name: str) -> None:
        """Look at the page in all widths: nothing is beyond its right edge."""
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self._look(self.page, f"{name}-{width}")
            assert self.page.evaluate(BEYOND) == [], (name, width)
            assert self.page.evaluate(SCROLLED) == [], (name, width)
            assert self.page.evaluate(BROKEN) == [], (name, width)
        self.page.set_viewport_size({"width": 1280, "height": 900})

    def answered(self, name: str) -> None:
        """The page has the answer, and was found soon enough."""
        assert self.clicks <= CLICKS
        self.look(name)


@contextmanager
def serving(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run the project's server, and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [sys.executable, folder / "manage.py", "runserver", "--noreload", host],
        env={"PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://{host}/admin/login/", server)
        yield f"http://{host}"
    finally:
        server.kill()
        server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        assert server.poll() is None, "the server ended"
        try:
            urlopen(url).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


def login(browser: Browser, address: str, name: str, colors: Any = "light") -> Iterator[Page]:
    context = browser.new_context(
        base_url=address, color_scheme=colors, viewport={"width": 1440, "height": 800}
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    expect(
        page.get_by_role("link", name="Log out").or_(page.locator("#logout-form"))
    ).to_be_visible()
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def look(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Takes a picture of the page, and finds nothing that keeps anybody from reading it."""
    folder = Path(os.environ.get("TEST_SCREENSHOTS") or tmp_path)
    dark = "dark" in request.node.name

    def look(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}{'-dark' * dark}.png")
        found = Axe().run(page, context="#main")
        assert found.violations_count == 0, found.generate_report()

    return look


LONG_NAME = 24 * "long"  # and not a space in it
INJECTION = '<img src=x onerror="takenOver=1">'
MORE_DATA = f"""
from django.contrib.auth.models import Permission, User
from management.gazetteer.models import Country, Language
visitor = User.objects.get(username="visitor"); visitor.set_password("demo"); visitor.save()
for name, codenames in [("guest", []), ("linguist", ["view_auditlog", "view_language"])]:
    user = User.objects.create_user(name, password="demo", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
Country.objects.create(name={INJECTION!r}, alpha_2="XX", alpha_3="XXX")
Language.objects.create(name={LONG_NAME!r}, alpha_3="xxy", scope="I", type="L")
Language.objects.filter(alpha_3="xxy").update(name={LONG_NAME[:-1] + "n"!r})
import auditrepr
ann = User.objects.create_user("ann", password="demo")
with auditrepr.context(user=ann, reason="official spelling", request_id="8f2c1d"):
    Country.objects.filter(alpha_2="FR").update(official_name="République française")
    Language.objects.filter(alpha_3="fra").update(common_name="français")
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, databases: Any) -> tuple[Demo, str]:
    """A demo that has run, and what it printed."""
    demo = Demo(tmp_path_factory.mktemp("project"), databases())
    return demo, demo.demo()


@pytest.fixture(scope="module")
def address(done: tuple[Demo, str]) -> Iterator[str]:
    """Where the demo's server listens."""
    demo, _ = done
    made = demo.run("shell", "-v0", "-c", MORE_DATA)
    assert made.returncode == 0, made.stderr
    with serving(demo.folder, demo.environment) as address:
        yield address
