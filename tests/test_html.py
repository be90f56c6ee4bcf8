"""The HTML of the built site."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from built import DOCS, PAGES, ROOT, html
from page.read import scan


class Reader(HTMLParser):
    """What a browser shows as code, and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.code: list[str] = []
        self.fetched: list[str] = []
        self.depth = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "pre":
            self.depth += 1
            self.code.append("")
        if tag in ("script", "img", "iframe", "source") and values.get("src"):
            self.fetched.append(values["src"] or "")
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(values.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "pre"

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.code[-1] += data


def built(site: Path, page: str) -> Reader:
    return Reader(html(site, page).read_text("utf-8"))


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("api/")])
def test_code_on_the_site_is_a_fence_of_the_page(page: str, site: Path) -> None:
    """A reader sees the page's fences as code, in their order, and no other code: nothing is unproven."""
    lines = (DOCS / page).read_text("utf-8").split("\n")
    fences = [
        "\n".join(line[len(fence.indent) :] for line in lines[fence.line : fence.last_line - 1])
        for fence in scan(lines, 1, len(lines))
        if fence.last_line
    ]
    assert [code.strip("\n") for code in built(site, page).code] == fences


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_fetched_from_elsewhere(page: str, site: Path) -> None:
    """Scripts, styles, fonts and pictures are the site's own."""
    fetched = built(site, page).fetched
    assert fetched
    assert [url for url in fetched if re.match(r"(\w+:)?//", url)] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_topic_offers_its_notebook_and_its_script(page: str, site: Path) -> None:
    """As files to keep, the same as in the repository; other pages offer none."""
    stem = page.removesuffix(".md")
    files = [name for name in (f"notebooks/{stem}.ipynb", f"scripts/{stem}.py") if (DOCS / name).is_file()]
    place = html(site, page)
    links = re.findall(r'<a href="([^"]+)" download>', place.read_text("utf-8"))
    assert [(place.parent / link).resolve() for link in links] == [(site / name).resolve() for name in files]
    assert all((site / name).read_bytes() == (DOCS / name).read_bytes() for name in files)


def test_a_wrong_address_leads_to_every_page(site: Path) -> None:
    """The page that a server shows for it lists all pages by links that work from any address."""
    content = (site / "404.html").read_text("utf-8").partition("There is no such page")[2]
    links = re.findall(r'<li><a href="(/[^"]*)">', content.partition("</ul>")[0])
    found = {(site / link.lstrip("/") / "index.html").resolve() for link in links}
    assert found == {html(site, page).resolve() for page in PAGES}
    assert all(path.is_file() for path in found)


def test_the_site_is_built_without_torch(tmp_path: Path) -> None:
    """Reading it must not cost a gigabyte: where torch cannot be imported, it is built all the same."""
    script = "import sys; sys.modules['torch'] = None; from mkdocs.__main__ import cli; cli()"
    command = [sys.executable, "-c", script, "build", "--site-dir", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
