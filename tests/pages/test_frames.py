"""Each topic begins and ends in the same way: what for, what before, how long; at the end a table and the next step."""

import re

import pytest

from tests.page_runner import Page
from tools.generate.all_files import generated
from tools.generate.gpu_record import Record
from tools.pages import ROOT, project, topics
from tools.reading_time import END_OF_FIRST_READING, reading_time

PAGES = project().pages()
TOPICS = topics(PAGES)
FRAME = re.compile(
    r"# .+\n\n(?:[^-#\n].+\n)+\n"
    r"- \*\*What you will be able to do:\*\* .+\n"
    r"- \*\*What you need:\*\* .+\n"
    r"- \*\*How long it takes:\*\* about (\d+) minutes up to \[.+?\]\(#(.+?)\), .+; about (\d+) minutes with .+\n"
)


def text_of(page: Page) -> str:
    return page.path.read_text("utf-8")


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.path.stem)
def test_a_topic_begins_with_its_frame(page: Page) -> None:
    """A scene, and then what one will be able to do, what one needs before, and how long it takes."""
    assert FRAME.match(text_of(page))


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.path.stem)
def test_it_takes_as_long_as_it_says(page: Page) -> None:
    """Within a fifth, or five minutes; `python -m tools.reading_time` tells how long."""
    frame = FRAME.match(text_of(page))
    assert frame
    for said, counted in zip((frame[1], frame[3]), reading_time(text_of(page)), strict=True):
        assert abs(int(said) - counted) <= max(5, counted / 5), f"said {said}, counted {counted:.0f}"


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.path.stem)
def test_the_first_reading_ends_where_the_frame_says(page: Page) -> None:
    """At the heading that follows the sentence, or the one above it."""
    frame, text = FRAME.match(text_of(page)), text_of(page)
    assert frame
    assert text.count(END_OF_FIRST_READING) == 1
    line = text[: text.index(END_OF_FIRST_READING)].count("\n") + 1
    headings = list(page.headings())
    near = [
        *[heading for heading in headings if heading.line < line][-1:],
        *[heading for heading in headings if heading.line > line][:1],
    ]
    assert frame[2] in [heading.anchor for heading in near]


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.path.stem)
def test_a_topic_ends_with_a_table_and_the_next_step(page: Page) -> None:
    """Under the heading "In short"."""
    last = text_of(page).partition("\n## In short\n")[2]
    assert last.count("\n|") > 3
    assert re.search(r"\nNext: .*\[.+?\]\(.+?\)", last)


@pytest.mark.parametrize("name", ["proof", "tables of scales", "glossary", "list of mistakes"])
def test_a_generated_part_has_its_place(name: str) -> None:
    """Without the two comments that mark it, nobody would notice that the part is missing."""
    assert name in [part.name for part in generated(PAGES, ROOT)]


def test_the_readme_says_what_has_never_run() -> None:
    """Snippets that no machine has run yet are excepted there, and only as long as there are any."""
    record = Record(PAGES, ROOT)
    never = [gated.needs for gated in record.gated.values() if record.find(gated)[0] == "never run"]
    excepted = "(two wait for a machine with two GPUs)" in (ROOT / "README.md").read_text("utf-8")
    assert never == (["2 GPUs"] * 2 if excepted else [])


WIDTH = 87  # columns of code beside the navigation, on a screen of 1280 pixels


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.path.stem)
def test_code_fits_beside_the_navigation(page: Page) -> None:
    """Source of the package may be wider."""
    wide = [
        f"{snippet.file}:{snippet.line + number}"
        for snippet in page.snippets
        if not snippet.source
        for number, line in enumerate(snippet.code, 1)
        if number not in snippet.output_lines() and snippet.indent + len(line) > WIDTH
    ]
    assert wide == []
