"""The site that `make offline` packs, opened from a disk."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.site.built_site import DOCS, EVERYWHERE, ROOT, split
from tests.site.broken_links import defects
from playwright.sync_api import Browser, Page
from tools.languages.catalogs import Translations

MESSAGE = """RuntimeError: Error(s) in loading state_dict for LeNet:
\tMissing key(s) in state_dict: "encoder.weight". """


def pack(folder: Path, **environment: str) -> Path:
    """Make the folder and the zip beside it, like `make offline`, and return the zip."""
    command = [sys.executable, ROOT / "tools" / "offline_site.py", folder]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"} | environment
    run = subprocess.run(command, env=quiet, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder.with_suffix(".zip")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("dist") / "d2lblocks-offline")


@pytest.fixture(scope="module")
def folder(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked zip."""
    place = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(packed).extractall(place)
    return place / "d2lblocks-offline"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of a browser without a network."""
    with chromium.new_context(offline=True) as context:
        yield context.new_page()


def test_every_link_leads_to_a_file(folder: Path) -> None:
    """No link leads to a folder, which a browser would list, or to an address at the root of the disk."""
    found = list(defects(folder, "file:///home/reader/guide/"))
    assert not found, "\n".join(found)
    pages = [path.relative_to(folder).with_suffix(".md").as_posix() for path in folder.rglob("*.html")]
    assert sorted(pages) == sorted(EVERYWHERE)


def test_the_zip_is_the_same_wherever_it_is_made(packed: Path, tmp_path: Path) -> None:
    """The bytes are the same for another folder, time zone, site address and day."""
    other = {
        "TZ": "Pacific/Auckland",
        "SITE_URL": "https://example.org/guide/",
        "SOURCE_DATE_EPOCH": "2000000000",
    }
    again = pack(tmp_path / packed.stem, PYTHONHASHSEED="1", **other)
    assert again.read_bytes() == packed.read_bytes()
    texts = {path.name: path.read_bytes() for path in again.with_suffix("").rglob("*.*")}
    assert not [name for name, text in texts.items() if str(ROOT).encode() in text]


def test_it_is_read_and_searched_without_a_server(folder: Path, page: Page) -> None:
    """Every page in every language, its pictures, links and the search work without a request to a network."""
    requests, complaints = [], []
    page.set_default_timeout(10_000)
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    addresses = {name: (folder / name).with_suffix(".html").as_uri() for name in EVERYWHERE}
    widths = []
    for name, address in addresses.items():
        page.goto(address)
        language, english = split(name)
        title = re.search("^# (.+)$", (DOCS / english).read_text("utf-8"), re.M)[1]
        title = Translations(ROOT / "docs" / (language or "en")).say(title)
        assert page.locator("h1").text_content().startswith(title)
        widths += page.locator("article img").evaluate_all("all => all.map(each => each.naturalWidth)")
    assert widths
    assert all(widths)

    page.goto(addresses["index.md"])
    page.get_by_role("link", name="Parameters").first.click()
    page.wait_for_url(addresses["parameters.md"])

    page.goto(addresses["index.md"])
    page.get_by_role("textbox", name="Search").fill("state_dict")
    page.keyboard.press("End")  # the search reacts when a key is released
    page.locator(".md-search-result__link").first.click()
    page.wait_for_url(lambda url: not url.startswith(addresses["index.md"]))
    assert "state_dict" in page.locator("article").text_content()

    page.get_by_role("textbox", name="Search").fill(MESSAGE)
    page.keyboard.press("End")
    page.locator(".md-search-result__link[href*='#']:visible").first.click()
    page.wait_for_url("**/serialization.html#missing-keys-in-state_dict-and-the-same-names-with-module")

    page.locator(".md-select").hover()
    page.get_by_role("link", name="简体中文").click()
    page.wait_for_url("**/zh-CN/serialization.html#missing-keys-in-state_dict-and-the-same-names-with-module")
    page.get_by_role("textbox", name="搜索").fill("共享参数")
    page.keyboard.press("End")
    page.locator(".md-search-result__link[href*='#']:visible").first.click()
    page.wait_for_url("**/zh-CN/parameters.html#sharing-parameters-tied-weights")

    assert complaints == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}
