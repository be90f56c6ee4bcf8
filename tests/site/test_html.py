"""The HTML of the built site."""

import importlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.site.built_site import DOCS, EVERYWHERE, NODE_MODULES, NPM, PAGES, PUBLISHED, REPOSITORY, ROOT, SITES, html, split
from tests.site.conftest import Needs
from tools.pages import project
from tests.site.broken_links import defects

TOPICS = [page for page in PAGES if (DOCS / "api" / page).is_file()]


class Reader(HTMLParser):
    """The code that a browser shows, and the files that it would fetch."""

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


@pytest.mark.parametrize("page", [page for page in EVERYWHERE if "api/" not in page])
def test_code_on_the_site_is_a_fence_of_the_page(page: str, site: Path) -> None:
    """The site shows the page's fences as code, in their order, and no other code, so all code is tested."""
    _, name = split(page)
    source = project().page(DOCS / name, name)
    fences = [
        "\n".join(line[len(fence.indent) :] for line in source.lines[fence.line : fence.last_line - 1])
        for fence in source.fences()
        if fence.last_line
    ]
    assert [code.strip("\n") for code in built(site, page).code] == fences


@pytest.mark.parametrize("page", EVERYWHERE)
def test_a_comment_of_a_page_is_not_shown(page: str, site: Path) -> None:
    """A comment appears neither on the page nor in the search."""
    index = (site / split(page)[0] / "search" / "search_index.json").read_text("utf-8")
    for text in (html(site, page).read_text("utf-8"), index):
        assert "<!-" not in re.sub("<!--.*?-->", "", text, flags=re.S)
        assert "&lt;!-" not in text
    assert "<!-" not in index


@pytest.mark.parametrize("page", EVERYWHERE)
def test_every_name_of_the_api_is_a_link(page: str, site: Path) -> None:
    """A reference that was not found would stay as `[name][path]`."""
    assert "][d2lblocks." not in html(site, page).read_text("utf-8")


@pytest.mark.parametrize("page", EVERYWHERE)
def test_nothing_is_fetched_from_elsewhere(page: str, site: Path) -> None:
    """Scripts, styles, fonts and pictures are the site's own."""
    fetched = built(site, page).fetched
    assert fetched
    assert [url for url in fetched if re.match(r"(\w+:)?//", url)] == []


@pytest.mark.parametrize("page", EVERYWHERE)
def test_a_topic_offers_its_notebook_and_its_script(page: str, site: Path) -> None:
    """Both files can be downloaded, and equal those in the repository. Other pages offer none."""
    folder, name = split(page)
    stem = name.removesuffix(".md")
    source = ROOT / "docs" / (folder or "en")
    files = [name for name in (f"notebooks/{stem}.ipynb", f"scripts/{stem}.py") if (source / name).is_file()]
    place = html(site, page)
    links = re.findall(r'<a href="([^"]+)" download>', place.read_text("utf-8"))
    wanted = [(site / folder / name).resolve() for name in files]
    assert [(place.parent / link).resolve() for link in links] == wanted
    assert all((site / folder / name).read_bytes() == (source / name).read_bytes() for name in files)


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("api/")])
def test_an_entry_of_the_api_leads_to_its_topic(page: str, site: Path) -> None:
    """Every public name has such a link, before its description."""
    name = Path(page).stem
    text = html(site, page).read_text("utf-8")
    module = importlib.import_module(f"d2lblocks.{name}")
    for public in module.__all__:
        entry = text.partition(f'id="d2lblocks.{name}.{public}"')[2]
        assert entry.index(f'Taught in <a href="../../{name}/#in-the-library">') < entry.index("</p>")


@pytest.mark.parametrize("folder", SITES)
def test_a_wrong_address_leads_to_every_page(folder: str, site: Path) -> None:
    """The page for wrong addresses lists all pages of its language, with links that work from any address."""
    content = (site / folder / "404.html").read_text("utf-8").partition("<h1>")[2]
    links = re.findall(r'<li><a href="(/[^"]*)">', content.partition("</ul>")[0])
    found = {(site / link.lstrip("/") / "index.html").resolve() for link in links}
    assert found == {html(site, folder + page).resolve() for page in PAGES}
    assert all(path.is_file() for path in found)


def test_a_wrong_address_leads_to_every_language(site: Path) -> None:
    """Most hosts show only the English page for wrong addresses."""
    content = (site / "404.html").read_text("utf-8").partition("<h1>")[2]
    assert re.findall(r'<p><a href="/([^"]*)" hreflang', content) == SITES[1:]


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/", PUBLISHED], ids=["at home", "published"])
def test_every_link_leads_somewhere(address: str, site: Path, published: Path) -> None:
    """Links of pages, pictures, the search and the sitemap work. Every id is unique on its page."""
    found = list(defects(published if address == PUBLISHED else site, address))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "text", "defect"),
    [
        ("index.html", '<a href="two/">', "index.html: href 'two/': there is no file /guide/two/"),
        ("index.html", '<a href="one/#end">', "index.html: href 'one/#end': there is no id 'end' on one/index.html"),
        ("index.html", '<a href="#end">', "index.html: href '#end': there is no id 'end' on index.html"),
        ("index.html", '<a href="/one/">', "index.html: href '/one/': there is no file /one/"),
        ("index.html", '<a href="../guide/">', None),
        ("index.html", '<a href="one/index.html?print#start">', None),
        ("index.html", '<a href="https://example.com/two/#end">', None),
        ("index.html", '<a href="https://example.org/guide/two/">', "index.html: href 'https://example.org/guide/two/': there is no file /guide/two/"),
        ("one/index.html", '<a href="one/">', "one/index.html: href 'one/': there is no file /guide/one/one/"),
        ("one/index.html", '<img src="pic.svg">', "one/index.html: src 'pic.svg': there is no file /guide/one/pic.svg"),
        ("one/index.html", '<img srcset="../pic.svg 1x, ../pic@2.png 2x">', "one/index.html: srcset '../pic@2.png': there is no file /guide/pic@2.png"),
        ("one/index.html", '<video poster="../pic.png">', "one/index.html: poster '../pic.png': there is no file /guide/pic.png"),
        ("one/index.html", '<p id="a"><p id="a">', "one/index.html: the id 'a' stands here 2 times"),
        ("404.html", '<a href="one/">', "404.html: href 'one/': there is no file /guide/no/such/page/one/"),
        ("404.html", '<a href="/guide/one/">', None),
        ("search/search_index.json", '{"docs": [{"location": "one/#start"}]}', None),
        ("search/search_index.json", '{"docs": [{"location": "one/#end"}]}', "search/search_index.json: location '../one/#end': there is no id 'end' on one/index.html"),
        ("sitemap.xml", "<loc>https://example.org/guide/one/</loc>", None),
        ("sitemap.xml", "<loc>https://example.org/guide/two/</loc>", "sitemap.xml: loc 'https://example.org/guide/two/': there is no file /guide/two/"),
    ],
)  # fmt: skip
def test_a_link_that_leads_nowhere_is_named(file: str, text: str, defect: str | None, tmp_path: Path) -> None:
    """The message names its file, and what is missing where."""
    start = {"index.html": "", "one/index.html": '<h1 id="start">', "pic.svg": ""}
    for name, content in (start | {file: start.get(file, "") + text}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    assert list(defects(tmp_path, "https://example.org/guide/")) == ([defect] if defect else [])


# Messages of v.Nu about other projects' output, and the source of each.
NOT_OURS = {
    'Attribute "autocomplete" is only allowed when the input type is': "the theme's switches of drawer and search",
    'Bad value "" for attribute "tabindex" on element "label"': "the theme's headings in the navigation",
    "This validator does not validate RDF.": "Matplotlib's metadata in the plots",
}


def test_html_svg_and_css_are_as_the_standards_have_them(site: Path, needs: Needs) -> None:
    """The Nu Html Checker only reports errors of other projects, and every listed error still exists."""
    java = needs("Java", shutil.which("java"), "install it (on Debian: apt install default-jre-headless)")
    jar = needs("vnu-jar", NODE_MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar", NPM)
    theme = ROOT / "docs" / "theme"
    ours = [path.relative_to(theme) for path in theme.rglob("*") if path.suffix in (".css", ".svg")]
    options = ["--also-check-css", "--also-check-svg", "--asciiquotes", "--skip-info-messages"]
    files = [*site.rglob("*.html"), *(site / folder / path for folder in SITES for path in ours)]
    said = subprocess.run(
        [java, "-XX:-UsePerfData", "-jar", jar, *options, *files], capture_output=True, text=True
    ).stderr.splitlines()
    ours_to_mend = [line for line in said if not any(each in line for each in NOT_OURS)]
    assert not ours_to_mend, "\n".join(ours_to_mend)
    assert [each for each in NOT_OURS if not any(each in line for line in said)] == []


def test_the_site_is_built_without_torch(site: Path, published: Path) -> None:
    """The site must not require a gigabyte of torch: without torch, the same pages are built."""
    with_torch, without = (
        {path.relative_to(built) for path in built.rglob("*")} for built in (site, published)
    )
    assert with_torch == without


@pytest.mark.parametrize("page", [folder + page for folder in SITES for page in TOPICS])
def test_a_topic_leads_to_colab_and_to_the_editor(page: str, site: Path, published: Path) -> None:
    """If the address of the repository is known; nothing is requested from there before a click."""
    folder, name = split(page)
    source = f"docs/{folder or 'en/'}"
    notebook = f"{source}notebooks/{name.replace('.md', '.ipynb')}"
    text = name.replace(".md", ".po") if folder else name  # the sentences of a translation
    links = [
        f'<a href="https://colab.research.google.com/github/example/guide/blob/main/{notebook}">',
        f'<a href="{REPOSITORY}/edit/main/{source}{text}">',
    ]
    assert (ROOT / notebook).is_file()
    assert (ROOT / source / text).is_file()
    without, text = (html(folder, page).read_text("utf-8") for folder in (site, published))
    assert all(link in text and link not in without for link in links)
    assert 'data-md-component="source"' not in text  # with this, the theme asks for the number of stars
