"""The built site in a browser, page by page: private, light, accessible, and as wide as the screen."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import pytest
from tests.site.conftest import Open, Server
from tests.workers import Once
from tests.site.built_site import DOCS, EVERYWHERE, PAGES, ROOT, SITES, address, split
from tools.generate.generated import GeneratedPart
from PIL import Image
from playwright.sync_api import Browser, Error, Page, expect

FIRST, FOLLOWING = 100, 40  # KiB transferred to the reader, at most
ENGLISH = [*PAGES, "404.html"]
ALL = [*EVERYWHERE, *(f"{site}404.html" for site in SITES)]
ZOOMED, PHONE, SMALL_PHONE = 640, 390, 360  # 640: a screen of 1280 at 200 %
AXE = """async () => (await axe.run({preload: false, resultTypes: ["violations"], selectors: false})).violations.flatMap(
    ({id, nodes}) => nodes.map((node) => `${id}: ${node.html}`))"""
TABLE = """
| page | files | first visit, KiB | following page, KiB | ready, ms |
|---|---|---|---|---|
"""


@dataclass
class Visit:
    """Results of two readers on a page: a newcomer in light colors, and one in dark after the home page."""

    files: int = 0
    first: float = 0  # KiB
    following: float = 0
    ready: float = 0  # ms, until DOMContentLoaded
    foreign: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    too_wide: list[int] = field(default_factory=list)

    def row(self, page: str) -> str:
        link = f"[{page}]({page})" if page in PAGES else page
        return f"| {link} | {self.files} | {self.first:.1f} | {self.following:.1f} | {self.ready:.0f} |"


class Reader:
    """A reader's tab, always the same one, with its messages and requests."""

    def __init__(self, browser: Browser, **options: object) -> None:
        self.tab = browser.new_page(**options)  # type: ignore[arg-type]
        self.network = self.tab.context.new_cdp_session(self.tab)
        self.messages: list[str] = []
        self.asked_for: list[str] = []
        self.tab.on("console", lambda message: self.messages.append(message.text))
        self.tab.on("pageerror", lambda error: self.messages.append(str(error)))
        self.tab.on("request", lambda request: self.asked_for.append(request.url))

    def forget(self) -> None:
        """Become a newcomer again, whose browser has cached nothing of the site."""
        self.tab.goto("about:blank")
        self.network.send("Network.clearBrowserCache")
        self.messages.clear()
        self.asked_for.clear()

    def read(self, url: str, server: Server) -> tuple[int, float]:
        """Read a page to its end; return files and KiB of all requests, including its icon and pictures."""
        server.sent.clear()
        self.tab.goto(url)
        self.tab.evaluate("scrollTo(0, document.body.scrollHeight)")
        self.tab.wait_for_function("[...document.images].every((image) => image.complete)")
        self.tab.evaluate("fetch(document.querySelector('link[rel=icon]').href).then((icon) => icon.text())")
        self.tab.wait_for_timeout(100)  # for requests that a script makes afterwards
        files = dict(server.sent)
        return len(files), sum(files.values()) / 1024


Visits = Callable[[str], Visit]


@pytest.fixture(scope="session")
def visit(chromium: Browser, axe: str, server: Server, once: Once) -> Visits:
    """A function that visits a page, once for all tests of all workers."""
    newcomer = Reader(chromium, color_scheme="light")
    other = Reader(chromium, color_scheme="dark", viewport={"width": PHONE, "height": 800})
    wide, narrow = newcomer.tab, other.tab

    def write(page: str, folder: Path) -> None:
        folder.mkdir()
        (folder / "visit.json").write_text(json.dumps(asdict(meet(page))))

    @cache
    def visit(page: str) -> Visit:
        name = f"visit-{page.replace('/', '-')}"
        file = once(name, partial(write, page)) / "visit.json"
        return Visit(**json.loads(file.read_text()))

    def meet(page: str) -> Visit:
        visit, url = Visit(), server.address + address(page)
        for reader in (newcomer, other):
            reader.forget()
        visit.files, visit.first = newcomer.read(url, server)
        visit.ready = wide.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        other.read(server.address + split(page)[0], server)
        _, visit.following = other.read(url, server)
        for tab in (wide, narrow):
            tab.evaluate(axe)
            tab.evaluate(f"window.violations = ({AXE})(); 0")  # start both at once, on two processors
        for tab in (wide, narrow):
            visit.violations += tab.evaluate("violations")
        for width in (ZOOMED, SMALL_PHONE):
            wide.set_viewport_size({"width": width, "height": 400})
            if wide.evaluate("document.documentElement.scrollWidth > innerWidth"):
                visit.too_wide.append(width)
        wide.set_viewport_size({"width": 1280, "height": 720})
        for reader in (newcomer, other):
            visit.messages += reader.messages
            visit.foreign += [each for each in reader.asked_for if not each.startswith(server.address)]
        return visit

    return visit


@pytest.mark.parametrize("page", ALL)
def test_nothing_leaves_the_site(page: str, visit: Visits) -> None:
    """All requests of a page go to its own host."""
    assert visit(page).files
    assert visit(page).foreign == []


@pytest.mark.parametrize("page", ALL)
def test_the_console_is_silent(page: str, visit: Visits) -> None:
    """There are no errors and no warnings."""
    assert visit(page).messages == []


@pytest.mark.parametrize("page", ALL)
def test_a_page_is_light(page: str, visit: Visits) -> None:
    """The limits cover all that a reader fetches, on a first visit and when coming from another page."""
    assert visit(page).following < visit(page).first
    assert visit(page).first <= FIRST
    assert visit(page).following <= FOLLOWING


@pytest.mark.parametrize("page", ALL)
def test_nobody_is_kept_out(page: str, visit: Visits) -> None:
    """axe finds no problem, in light colors on a screen and in dark colors on a phone."""
    assert visit(page).violations == []


@pytest.mark.parametrize("page", ALL)
def test_a_page_is_as_wide_as_the_screen(page: str, visit: Visits) -> None:
    """At 200 % and on a small phone, only code and tables scroll sideways."""
    assert visit(page).too_wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, PHONE])
def test_nobody_is_kept_out_of_what_opens(scheme: str, width: int, axe: str, open_page: Open) -> None:
    """axe finds no problem in the search results and the drawer, in any colors and on any screen."""
    tab = open_page("api/lazy/", width, color_scheme=scheme)  # a short page: other tests check the pages
    tab.evaluate(axe)
    tab.keyboard.press("/")
    tab.keyboard.type("state_dict")
    expect(tab.locator(".md-search-result__item").first).to_be_visible()
    tab.wait_for_timeout(300)  # until animations have ended
    assert tab.evaluate(AXE) == []
    tab.keyboard.press("Escape")
    if width == PHONE:
        tab.get_by_role("button", name="Navigation").click()
        tab.wait_for_timeout(300)
        assert tab.evaluate(AXE) == []


def test_pictures_follow_the_colors_of_the_page(open_page: Open) -> None:
    """Pictures also follow if the colors are switched by hand to other colors than the system's."""

    def picture(system: str, clicks: int) -> bytes:
        tab = open_page("modules/", color_scheme=system, reduced_motion="reduce")
        for _ in range(clicks):
            tab.locator(".md-header__option label:visible").click()
        return tab.locator("article img").first.screenshot()

    light, dark = picture("light", 0), picture("dark", 0)
    assert light != dark
    assert picture("light", 1) == dark
    assert picture("dark", 1) == light


def test_the_table_is_what_is_measured(visit: Visits, pytestconfig: pytest.Config) -> None:
    """The page Tested has a row for each page; its weights are within 10 % or 1 KiB of the measured ones."""
    table = [*TABLE.split("\n")[1:-1], *(visit(page).row(page) for page in ENGLISH)]
    print(*table, sep="\n")
    part = GeneratedPart(ROOT, "docs/en/tested.md", "table of pages in a browser", table, "make site-record")
    if pytestconfig.getoption("site_record"):
        part.show()
    shown, true = part.pages()
    rows = r"^\| (\S+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| \d+ \|$"
    recorded, measured = (re.findall(rows, text, re.M) for text in (shown, true))
    assert [row[:2] for row in recorded] == [row[:2] for row in measured]
    for row, now in zip(recorded, measured, strict=True):
        for column in (2, 3):
            assert float(row[column]) == pytest.approx(float(now[column]), rel=0.1, abs=1), row


@pytest.mark.parametrize("folder", SITES)
@pytest.mark.parametrize(
    ("name", "address", "scheme"), [("home", "", "light"), ("page", "parameters/", "dark")]
)
def test_the_readme_shows_the_site(
    name: str, address: str, scheme: str, folder: str, open_page: Open, pytestconfig: pytest.Config
) -> None:
    """`make site-record` takes its screenshots. Another machine has other fonts: only the size is compared."""
    taken = open_page(folder + address, color_scheme=scheme, reduced_motion="reduce").screenshot()
    language = f".{folder}".rstrip("./")
    place = ROOT / "docs" / f"screenshot-{name}{language}.png"
    if pytestconfig.getoption("site_record"):
        Image.open(BytesIO(taken)).quantize().save(place, optimize=True)
    size = slice(16, 24)  # of a PNG file
    assert place.read_bytes()[size] == taken[size]
    assert f"](docs/{place.name})" in (ROOT / f"README{language}.md").read_text("utf-8")


def test_a_page_under_work_can_be_read(chromium: Browser, tmp_path: Path) -> None:
    """`mkdocs serve`, which `make serve` calls, shows a page in the browser, in every language."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "mkdocs", "serve", "--dev-addr", host]
    title = (DOCS / "modules.md").read_text("utf-8").partition("\n")[0].removeprefix("# ")
    tab = chromium.new_page()
    own = os.environ | {"TMPDIR": str(tmp_path)}  # the site is built there, and is not removed
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=own, **quiet) as serving:
        try:
            opened(tab, f"http://{host}/modules/", seconds=120)
            expect(tab.get_by_role("heading", level=1)).to_contain_text(title)
            tab.goto(f"http://{host}/zh-TW/modules/")
            expect(tab.get_by_role("heading", level=1)).to_contain_text("層與模組")
        finally:
            serving.terminate()
            tab.close()


def opened(tab: Page, url: str, seconds: float) -> None:
    """Open an address as soon as it is served."""
    until = time.monotonic() + seconds
    while True:
        try:
            tab.goto(url)
            return
        except Error:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def test_source_entry_and_topic_lead_to_each_other(open_page: Open) -> None:
    """The library's source on a page leads to its entry in the API, and the entry leads back to the page."""
    tab = open_page("layers/")
    tab.locator("summary", has_text="Source of").first.click()
    tab.locator(".filename a", has_text="MyLinear").click()
    tab.wait_for_url("**/api/layers/#d2lblocks.layers.MyLinear")
    entry = '.doc-object:has(> [id="d2lblocks.layers.MyLinear"])'
    tab.locator(f"{entry} > .doc-contents > .taught a").click()
    tab.wait_for_url("**/layers/#in-the-library")


def test_home_is_one_screen(open_page: Open) -> None:
    """A small laptop shows all from the title to the first topics: the example, its output and the proof."""
    tab = open_page()
    for part in ("h1", ".hero .go", ".md-button--primary", ".proof", ".map li >> nth=0"):
        expect(tab.locator(part).first).to_be_in_viewport(ratio=1)


ENTRY = (
    '.doc-object:has(> [id="d2lblocks.layers.MyLinear"]) > .doc-contents > details:has-text("Source code in")'
)


@pytest.mark.parametrize(
    ("clicks", "found"),
    [
        (
            ["text=When it goes wrong", "a:has-text('Weights only load failed')"],
            "[id^=weights-only-load-failed] + p",
        ),
        (
            ["text=Custom layers", "text=In the library", "summary:has-text('Source of')"],
            ".highlight:has(.filename):has-text('class MyLinear')",
        ),
        (
            ["article a[href='api/layers/']", ".md-nav >> text=MyLinear", f"{ENTRY} > summary"],
            f"{ENTRY} code >> nth=1",
        ),
    ],
)
def test_three_clicks_from_home_are_enough(clicks: list[str], found: str, open_page: Open) -> None:
    """Three clicks lead to the fix of an error, and to the source of a layer, on its page and in the API."""
    tab = open_page()
    for each in clicks:
        tab.locator(each).locator("visible=true").first.click()
    expect(tab.locator(found).first).to_be_in_viewport()


def test_a_notebook_is_two_clicks_from_home(open_page: Open) -> None:
    """The notebook is downloaded under its own name."""
    tab = open_page()
    tab.get_by_role("link", name="Lazy initialization").first.click()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Notebook").click()
    assert download.value.suggested_filename == "lazy.ipynb"
