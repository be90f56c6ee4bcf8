"""The site as plain text, for language models and terminals: llms.txt and llms-full.txt."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.site.built_site import DOCS, PAGES, PUBLISHED, ROOT, html

NAMED = re.findall(r"^ *- (?:(\w+): )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.M)
NAV = [page for _, page in NAMED]


def source(page: str) -> list[str]:
    """The lines of a page, without the settings at its top."""
    text = (DOCS / page).read_text("utf-8")
    return re.sub(r"\A---\n.*?\n---\n+", "", text, flags=re.S).rstrip().split("\n")


def description(lines: list[str]) -> str:
    """What a topic teaches, or another page's first sentence."""
    able = "- **What you will be able to do:** "
    taught = [line.replace(able, "You will be able to ") for line in lines if line.startswith(able)]
    first = next(line for line in lines[1:] if line and not line.startswith("<"))
    return re.sub(r"\[(.+?)\]\(.+?\)|`", r"\1", (taught or [first])[0])


SOURCES = {page: source(page) for page in NAV}
TITLES = {page: name or SOURCES[page][0].removeprefix("# ") for name, page in NAMED}
DESCRIPTIONS = {page: description(lines) for page, lines in SOURCES.items()}


def full_text(site: Path, address: str = "") -> dict[str, str]:
    """The full text of each page, in its order."""
    parts = (site / "llms-full.txt").read_text("utf-8").split("\n---\n\n")[1:]
    texts = {}
    for place, text in (part.split("\n\n", 1) for part in parts):
        url, page = re.fullmatch(r"(\S+) \((\S+)\)", place).groups()
        assert html(site, page) == site / url.removeprefix(address) / "index.html"
        texts[page] = text
    return texts


@pytest.mark.parametrize("address", ["", PUBLISHED], ids=["at home", "published"])
def test_the_list_has_every_page(address: str, site: Path, published: Path) -> None:
    """An entry has the title, address and first sentence; test_html.py checks that the addresses exist."""
    folder = published if address else site
    text = (folder / "llms.txt").read_text("utf-8")
    assert re.match(r"# \S+\n\n> \S.*\n\n", text)
    assert f": [llms-full.txt]({address}llms-full.txt).\n" in text
    assert re.findall("^## (.+)$", text, re.M) == ["Guide", "Topics", "API"]
    entries = re.findall(r"^- \[(.+?)\]\((.+?)\): (.+)$", text, re.M)
    found = {
        (name, folder / url.removeprefix(address) / "index.html", sentence) for name, url, sentence in entries
    }
    assert all(url.startswith(address) for _, url, _ in entries)
    assert found == {(TITLES[page], html(folder, page), DESCRIPTIONS[page]) for page in PAGES}


@pytest.mark.parametrize("address", ["", PUBLISHED], ids=["at home", "published"])
def test_the_full_text_has_all_pages_in_order(address: str, site: Path, published: Path) -> None:
    """Each comes after a line with its address and the name of its source."""
    assert list(full_text(published if address else site, address)) == NAV
    assert sorted(NAV) == PAGES


@pytest.mark.parametrize("page", [page for page in NAV if not page.startswith("api/")])
def test_the_full_text_has_every_line_of_a_page(page: str, site: Path) -> None:
    """Code and outputs are unchanged, comments are removed, and a table of another page is a reference."""
    instead = [
        re.sub("^--8<--.*", "This table is at the end of that page.", line) for line in SOURCES[page]
    ]
    wanted = "\n".join(line for line in instead if not line.startswith("<!--"))
    assert full_text(site)[page].rstrip() == wanted.rstrip()


@pytest.mark.parametrize("page", [page for page in NAV if page.startswith("api/")])
def test_the_full_text_has_every_name_of_the_package(page: str, site: Path) -> None:
    """A class or function appears with its signature and its docstring, instead of a directive."""
    text = full_text(site)[page]
    topic = ROOT / "src" / "d2lblocks" / Path(page).stem
    files = [*topic.glob("__init__.py"), *topic.glob("[!_]*.py")] or [topic.with_suffix(".py")]
    modules = {file.stem: ast.parse(file.read_text("utf-8")) for file in files}
    head = str(ast.get_docstring(modules.get("__init__") or modules[topic.stem]))
    assert text.startswith("\n".join(SOURCES[page]).partition(":::")[0] + head)
    assert ":::" not in text
    top = documented(part for module in modules.values() for part in module.body)
    assert top
    for node in [*top, *documented(method for part in top for method in part.body)]:
        docstring = re.escape(str(ast.get_docstring(node)))
        assert re.search(rf"^##+ {node.name}\n\n```python\n.+\n```\n\n{docstring}\n", text, re.M)
    for node in top:
        assert re.search(rf"^```python\n(class )?{node.name}\(", text, re.M)


def documented(nodes: Iterable[ast.stmt]) -> list[ast.ClassDef | ast.FunctionDef]:
    """The public definitions that have a docstring."""
    named = [node for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return [node for node in named if not node.name.startswith("_") and ast.get_docstring(node)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_described_by_what_it_teaches(page: str, site: Path) -> None:
    """Or by its first sentence. Search engines and previews of links show it."""
    described = re.findall('<meta name="description" content="(.*)">', html(site, page).read_text("utf-8"))
    assert described == [DESCRIPTIONS[page].replace('"', "&#34;").replace("'", "&#39;")]
