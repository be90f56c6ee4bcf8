"""What happens if the English page changes: exactly the changed block is English, and marked, until it is translated."""

import re
from collections import Counter

import pytest
from markdown import Markdown
from mkdocs.config import load_config

from tools.languages.blocks import Block, blocks, is_prose, with_texts
from tools.languages.catalogs import LANGUAGES, translations
from tools.languages.messages import FRONT_MATTER, pages
from tools.pages import ROOT

BOTH = pytest.mark.parametrize("language", LANGUAGES)
MARK = re.compile(r'<span class="english" lang="en" title="note">(.*?)</span>', re.S)
TRANSLATE = "tools.markdown_extensions.translate"


def markdown(language: str | None) -> Markdown:
    """Markdown as on the site, in English or in another language."""
    site = load_config(str(ROOT / "mkdocs.yml"))
    options = {"catalogs": str(ROOT / "docs" / str(language)), "note": "only in English", "title": "note"}
    extensions = [*site.markdown_extensions, *([TRANSLATE] if language else [])]
    configs = site.mdx_configs | ({TRANSLATE: options} if language else {})
    return Markdown(extensions=extensions, extension_configs=configs)


def shown(text: str, language: str) -> list[str]:
    """The lines of a page in another language, as the site's other extensions get them."""
    page = markdown(language).preprocessors["translate"]
    lines: list[str] = page.run(FRONT_MATTER.sub("", text).split("\n"))
    return lines


@BOTH
@pytest.mark.parametrize("page", pages())
def test_what_has_no_translation_is_marked(page: str, language: str) -> None:
    """And nothing else is: test_translations.py names such blocks. All of the code is English."""
    english = (ROOT / "docs/en" / f"{page}.md").read_text("utf-8")
    find = translations(ROOT / "docs" / language).find
    prose = [each for each in blocks(FRONT_MATTER.sub("", english).split("\n")) if isinstance(each, Block)]
    missing = [each.text for each in prose if is_prose(each.text) and not find(each.text)]
    lines = shown(english, language)
    assert MARK.findall("\n".join(lines)) == missing
    fences = re.compile(r"^ *```.*?^ *```$", re.M | re.S)
    assert [re.sub(' title="[^"]*"', "", each) for each in fences.findall("\n".join(lines))] == [
        re.sub(' title="[^"]*"', "", each) for each in fences.findall(english)
    ]


@BOTH
def test_a_changed_sentence_is_english_and_marked(language: str) -> None:
    """The block of that sentence, and no other line of the page, differs from before."""
    text = (ROOT / "docs/en/modules.md").read_text("utf-8")
    block = next(
        each for each in blocks(text.split("\n")) if isinstance(each, Block) and each.kind == "paragraph"
    )
    first = block.text.split(". ")[0]
    changed = text.replace(first, f"{first}, and this is new", 1)
    before, after = shown(text, language), shown(changed, language)
    differing = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(differing) == 1
    assert MARK.findall(differing[0][1]) == [block.text.replace(first, f"{first}, and this is new", 1)]


@BOTH
@pytest.mark.parametrize("page", pages())
def test_each_changed_block_is_english_and_marked(page: str, language: str) -> None:
    """Of every kind: a word of each third block changes, and exactly these blocks are shown as they are now."""
    text = FRONT_MATTER.sub("", (ROOT / "docs/en" / f"{page}.md").read_text("utf-8"))
    preprocessor = markdown(language).preprocessors["translate"]
    places = [each for each in blocks(text.split("\n")) if isinstance(each, Block) and is_prose(each.text)]
    once = Counter(each.text for each in places)  # a cell such as "easy" is in many rows
    changing = {each.text for each in places[1::3] if once[each.text] == 1}

    def changed(block: Block) -> str:
        return f"{block.text} zebra" if block.text in changing else block.text

    before = preprocessor.run(with_texts(text.split("\n"), lambda block: block.text))
    after = preprocessor.run(with_texts(text.split("\n"), changed))
    captions = {f"{each.text} zebra" for each in places if each.kind == "caption" and each.text in changing}
    assert {each for each in MARK.findall("\n".join(after)) if each.endswith(" zebra")} | captions == {
        f"{each} zebra" for each in changing
    }
    for old, new in zip(before, after, strict=True):
        assert (old == new) == (" zebra" not in new), new


@BOTH
def test_a_changed_number_needs_no_translator(language: str) -> None:
    """A sentence that differs only in its numbers keeps its translation, with the new numbers."""
    text = (ROOT / "docs/en/index.md").read_text("utf-8")
    number = re.search(r"\*\*(\d+)\*\* lines of output compared", text)
    assert number
    lines = shown(text.replace(f"**{number[1]}** lines", "**98765** lines"), language)
    assert MARK.findall("\n".join(lines)) == MARK.findall("\n".join(shown(text, language)))
    assert any("98765" in line for line in lines)


@BOTH
def test_a_page_without_translations_says_so(language: str) -> None:
    """Below its title, it has a note; the rest is as in English."""
    lines = shown("# Nobody translated this\n\nSome text.\n", language)
    assert lines == [
        "# Nobody translated this",
        "",
        f'<p class="english" lang="{language}">only in English</p>',
        "",
        "",
        "Some text.",
        "",
    ]


@BOTH
def test_docstrings_stay_as_they_are(language: str) -> None:
    """What has no title is no page."""
    assert shown("Some text.\n\n| a table | of two |\n", language) == [
        "Some text.",
        "",
        "| a table | of two |",
        "",
    ]
