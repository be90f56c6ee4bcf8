"""The site in other languages: the same pages at the same places, and a way from each to the others."""

import html as html_module
import json
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.exceptions import Abort
from playwright.sync_api import expect

from tests.site.built_site import EVERYWHERE, PAGES, PUBLISHED, ROOT, SITES, address, html, split
from tests.site.conftest import Open, Server
from tools.languages import site as site_hook
from tools.languages.catalogs import LANGUAGES, translations
from tools.languages.messages import pages
from tools.languages.pictures import pictures
from tools.languages.problems import wording

TRANSLATED = pages()
OTHERS = [page for page in EVERYWHERE if split(page)[0]]
NOTE = '<p class="english"'


def language(page: str) -> str:
    return split(page)[0].rstrip("/") or "en"


@pytest.mark.parametrize("page", OTHERS)
def test_a_page_is_in_its_language(page: str, site: Path) -> None:
    """Its title is translated; a page that is only in English says so."""
    folder, name = split(page)
    text, english = (html(site, each).read_text("utf-8") for each in (page, name))
    assert f'<html lang="{language(page)}"' in text
    title, original = (re.findall(r"<h1[^>]*>(.*?)<a", each, re.S)[0] for each in (text, english))
    if name == "index.md":
        assert f"<title>{title} - d2lblocks</title>" in text
    if name.removesuffix(".md") in TRANSLATED:
        say = translations(ROOT / "docs" / folder).say
        assert re.sub("<.*?>", "", title) == re.sub("<.*?>", "", say(original))
        assert NOTE not in text
    else:
        content = text.partition('<div lang="en">')[2]
        assert title == original
        assert NOTE in content


@pytest.mark.parametrize("page", OTHERS)
def test_a_page_is_described_in_its_language(page: str, site: Path) -> None:
    """Search engines show it; of a page that is only in English, in English."""
    text = html(site, page).read_text("utf-8")
    (described,) = re.findall('<meta name="description" content="(.*)">', text)
    if re.search("[\u4e00-\u9fff]", described):
        assert split(page)[1].removesuffix(".md") in TRANSLATED
    else:
        assert 'class="english"' in text
    taught = re.search(r"<li><strong>(\w+)：</strong>(.*?)</li>", text)
    assert taught or 'class="downloads"' not in text or 'class="english"' in text  # a topic says it
    if taught:
        what = html_module.unescape(re.sub("<.*?>", "", taught[2]))
        assert html_module.unescape(described) == taught[1] + what


@pytest.mark.parametrize("page", OTHERS)
def test_each_language_has_the_same_anchors(page: str, site: Path) -> None:
    """So a link to a section is the same in all languages."""
    ids = re.compile(r'<(?:h\d|div)[^>]* id="([^"]+)"')
    text, english = (html(site, each).read_text("utf-8") for each in (page, split(page)[1]))
    assert ids.findall(text) == ids.findall(english) != []


@pytest.mark.parametrize("page", EVERYWHERE)
def test_a_page_names_its_other_languages(page: str, site: Path, published: Path) -> None:
    """In its head, for search engines, with whole addresses as soon as the site has one; and in its header."""
    name = split(page)[1]
    place = html(site, page)
    links = re.findall(r'<link rel="alternate" hreflang="([^"]+)" href="([^"]+)">', place.read_text("utf-8"))
    pages = [html(site, folder + name).resolve() for folder in SITES]
    assert [each for each, _ in links] == ["en", *LANGUAGES]
    assert [(place.parent / link / "index.html").resolve() for _, link in links] == pages
    switch = re.findall(r'<a href="([^"]+)" hreflang="[^"]+" lang', place.read_text("utf-8"))
    assert [(place.parent / link / "index.html").resolve() for link in switch] == pages

    text = html(published, page).read_text("utf-8")
    links = re.findall(r'<link rel="alternate" hreflang="([^"]+)" href="([^"]+)">', text)
    assert links == [
        ("x-default", PUBLISHED + address(name)),
        *((folder.rstrip("/") or "en", PUBLISHED + folder + address(name)) for folder in SITES),
    ]
    assert f'<link rel="canonical" href="{PUBLISHED}{address(page)}">' in text


@pytest.mark.parametrize("folder", SITES[1:])
def test_the_themes_words_are_translated(folder: str, site: Path) -> None:
    """Labels of fences, buttons, the navigation, pictures and the page for wrong addresses."""
    files = ("modules/index.html", "devices/index.html", "404.html")
    original, text = (
        re.sub(r">\s+", ">", "".join((place / name).read_text("utf-8") for name in files))
        for place in (site, site / folder)
    )
    for english in (
        "<h1>There is no such page", ">Home", ">Topics", ">Notebook", ">Script", "Copy all", "library's source", "raises ", "needs a GPU",
        "Back to top", "Skip to content", "Type to start", "Previous", "Permanent link",
        "Made with", "Dark colors", "Select language", "Search",
    ):  # fmt: skip
        assert english in original
        assert english not in text
    drawn = {path.name: path.read_text("utf-8") for path in pictures()}
    other = {name: (site / folder / "img" / name).read_text("utf-8") for name in drawn}
    assert [name for name in drawn if other[name] == drawn[name]] == []
    assert all(f'xml:lang="{folder.rstrip("/")}"' in each for each in other.values())


@pytest.mark.parametrize("folder", SITES[1:])
def test_the_themes_words_are_those_of_the_place(folder: str, site: Path) -> None:
    """Labels, texts of pictures and the messages of the search have no word of the other Chinese."""
    words: set[str] = set()
    for page in ("index.html", "modules/index.html", "404.html"):
        text = (site / folder / page).read_text("utf-8")
        words.update(re.findall(r' (?:title|aria-label|alt|placeholder|content)="([^"]*)"', text))
        (config,) = re.findall(r'<script id="__config"[^>]*>(.*?)</script>', text, re.S)
        words.update(json.loads(config)["translations"].values())
    words = {each for each in words if re.search("[\u4e00-\u9fff]", each)}
    assert len(words) > 20
    # The theme writes the colon of "Previous: Layers".
    found = [(each, problem) for each in words for problem in wording(each, folder.rstrip("/"))]
    assert [each for each in found if "western" not in each[1]] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_switch_stays_at_the_place(width: int, open_page: Open, server: Server) -> None:
    """It leads to the same page and section, and back."""
    tab = open_page("modules/#exercises", width)
    for name, folder in (("繁體中文", "zh-TW/"), ("简体中文", "zh-CN/"), ("English", "")):
        tab.locator(".md-select").hover()
        tab.locator(".md-select__link", has_text=name).click()
        tab.wait_for_url(f"{server.address}{folder}modules/#exercises")
        expect(tab.locator("#exercises")).to_be_in_viewport()


@pytest.mark.parametrize(("section", "anchor"), [("custom-layers", ""), ("compile-and-export", "#compile-and-export")])
def test_the_switch_finds_the_place(section: str, anchor: str, open_page: Open, server: Server) -> None:
    """Of a reader who has scrolled, from an address that names no section, or one that is out of sight."""
    for start in ("layers/", "layers/#exercises"):
        tab = open_page(start)
        tab.evaluate("name => document.getElementById(name).scrollIntoView({ behavior: 'instant' })", section)
        tab.locator(".md-select").hover()
        tab.locator(".md-select__link", has_text="简体中文").click()
        tab.wait_for_url(f"{server.address}zh-CN/layers/{anchor}")


def test_the_sitemap_lists_every_page(published: Path) -> None:
    """In all languages; that of another language has only its own."""
    for folder, expected in (("", EVERYWHERE), ("zh-TW/", [f"zh-TW/{page}" for page in PAGES])):
        listed = re.findall("<loc>(.*?)</loc>", (published / folder / "sitemap.xml").read_text("utf-8"))
        assert sorted(listed) == sorted(PUBLISHED + address(page) for page in expected)


def test_the_switch_works_without_a_mouse(open_page: Open, server: Server) -> None:
    """The button shows the languages when it is focused, and each is a link."""
    tab = open_page("lazy/")
    tab.locator(".md-select button").focus()
    expect(tab.locator(".md-select__link", has_text="繁體中文")).to_be_visible()
    for _ in range(3):
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{server.address}zh-TW/lazy/")


@pytest.mark.parametrize("folder", SITES[1:])
def test_the_sliders_speak_the_language(folder: str, open_page: Open) -> None:
    """The picture on the page about initialization, with the same numbers."""
    english, other = (
        open_page(f"{each}init/").locator(".scale-picture output").inner_text() for each in ("", folder)
    )
    assert re.search("[\u4e00-\u9fff]", other)
    number = re.compile(r"\d+(?:\.\d+)?")
    assert number.findall(english) == number.findall(other) != []


def test_a_language_that_does_not_build_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although it is built by a process of its own; without English, the others are not built on."""
    config = SimpleNamespace(site_dir="site", theme={"language": "en"})
    for codes, fails in ([0, 0], False), ([0, 3], True):
        started = [subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"]) for code in codes]
        monkeypatch.setattr(site_hook, "running", started)
        with pytest.raises(Abort) if fails else nullcontext():
            site_hook.on_post_build(config)
    endless = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(site_hook, "running", [endless])
    site_hook.on_build_error(RuntimeError())
    assert endless.returncode not in (None, 0)
