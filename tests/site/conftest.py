"""The built site, a server of its files, a real browser, and pages opened in it."""

import gzip
import mimetypes
import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.site.built_site import NODE_MODULES, NPM, PUBLISHED, build
from tests.workers import Once

# The first one is Chromium without windows, which takes only two thirds of the time.
CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
expect.set_options(timeout=15_000)  # ms: a busy machine can be slow
Needs = Callable[[str, str | Path | None, str], str]  # the fixture of this name


class Server(ThreadingHTTPServer):
    """A host for the site: text is compressed with gzip, and may be cached for ten minutes."""

    daemon_threads = True

    def __init__(self, site: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Answer, site))
        self.address = f"http://127.0.0.1:{self.server_port}/"
        self.sent: list[tuple[str, int]] = []  # each request, and the bytes of its response


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def __init__(self, site: Path, *connection: object) -> None:
        self.site = site
        super().__init__(*connection)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        file = self.site / self.path.partition("?")[0].lstrip("/")
        file = file / "index.html" if file.is_dir() else file
        status, file = ("200 OK", file) if file.is_file() else ("404 Not Found", self.site / "404.html")
        kind, body = mimetypes.guess_type(file)[0], packed(file)
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Encoding: gzip\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: max-age=600\r\n\r\n"
        )
        self.server.sent.append((self.path, len(head) + len(body)))
        self.wfile.write(head.encode() + body)

    def log_message(self, *_: object) -> None:
        """Print nothing: tests read `sent`."""


@cache
def packed(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), compresslevel=6, mtime=0)


@pytest.fixture(scope="session")
def needs(pytestconfig: pytest.Config) -> Needs:
    """The path of a tool that some machines lack; without it the test is skipped or fails."""

    def place(name: str, path: str | Path | None, remedy: str) -> str:
        if path is None or not Path(path).is_file():
            fail_or_skip = pytest.fail if pytestconfig.getoption("browser_required") else pytest.skip
            fail_or_skip(f"There is no {name} here: {remedy}.")
        return str(path)

    return place


@pytest.fixture(scope="session")
def site(once: Once) -> Path:
    """The built site, built once for all tests."""
    return once("site", build)


@pytest.fixture(scope="session")
def published(once: Once) -> Path:
    """The site built for a public address, in a folder of a server, without torch installed."""
    return once("published", partial(build, address=PUBLISHED, torch=False))


@pytest.fixture(scope="session")
def chromium(needs: Needs, pytestconfig: pytest.Config) -> Iterator[Browser]:
    """The browser, started once for all tests."""
    if pytestconfig.getoption("no_browser"):
        pytest.skip("--no-browser was given")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    found = needs("Chromium", found, "install it (on Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe(needs: Needs) -> str:
    """The script that finds accessibility problems."""
    return Path(needs("axe-core", NODE_MODULES / "axe-core" / "axe.min.js", NPM)).read_text("utf-8")


@pytest.fixture(scope="session")
def server(site: Path) -> Iterator[Server]:
    """A host for the built site, on a free port."""
    with Server(site) as server:
        Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


Open = Callable[..., Page]
FORGET = "localStorage.clear(); sessionStorage.clear()"


@pytest.fixture(scope="session")
def tabs(chromium: Browser) -> Callable[..., Page]:
    """A function that returns the tab with these options, always the same one."""

    @cache
    def tab(width: int, **options: object) -> Page:
        tab = chromium.new_page(viewport={"width": width, "height": 800}, **options)  # type: ignore[arg-type]
        tab.set_default_timeout(15_000)
        return tab

    return tab


@pytest.fixture(scope="session")
def open_page(tabs: Callable[..., Page], server: Server) -> Open:
    """A function that opens an address of the site like a first visit, but with cached files.

    It reuses the tab for a width and options, because a new tab would take several times as long.
    """

    def open_page(address: str = "", width: int = 1280, **options: object) -> Page:
        tab = tabs(width, **options)
        if tab.url != "about:blank":
            tab.evaluate(FORGET)
            tab.goto("about:blank")
        tab.goto(server.address + address)
        return tab

    return open_page
